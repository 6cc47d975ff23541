"""Live sockets, from the kernel's own tables.

Reads /proc/net/tcp and tcp6 (proc(5)), which every Linux has, instead of `ss`, which may be missing or replaced.
"""

from __future__ import annotations

import ipaddress
from typing import Final, cast

from remedy.core.canon import Json
from remedy.core.errors import AnswerUnusable
from remedy.core.values import Command, Probe, Reply
from remedy.probes import text

_ESTABLISHED: Final = "01"
_LISTEN: Final = "0A"
_ADDRESS_FIELDS: Final = 4

_READ = 'for f in tcp tcp6; do [ -r "/proc/net/$f" ] && cat "/proc/net/$f"; done; :'
_READ_WITH_ALLOWED = 'for a in "$@"; do printf "allowed %s\\n" "$a"; done; ' + _READ


def tcp() -> Probe:
    """Listening ports and established flows, TCP over both families."""
    return Probe(Command(("sh", "-c", _READ)), "sockets.tcp")


def foreign(allowed: tuple[str, ...], port: int) -> Probe:
    """Established TCP flows with peers outside loopback, except from `allowed` addresses to local `port`."""
    return Probe(Command(("sh", "-c", _READ_WITH_ALLOWED, "foreign", str(port), *allowed)), "sockets.foreign")


def parse_tcp(reply: Reply) -> Json:
    """Read the kernel's tables.

    Sample (addresses are hexadecimal words in host byte order, state 0A is LISTEN, 01 ESTABLISHED)::

          sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
           0: 0B0112C6:0016 010312C6:C958 01 00000000:00000000 02:000A7F3D 00000000     0        0 13377 …

    Returns {"listening": [ports], "flows": [[local, port, remote, port]]}, loopback flows left out.
    """
    raw = text(reply, "reading /proc/net/tcp")
    listening = {lport for state, local, lport, _, _ in _rows(raw) if state == _LISTEN and not _loop(local)}
    return {"listening": cast("list[Json]", sorted(listening)), "flows": [list[Json](flow) for flow in _flows(raw)]}


def parse_foreign(reply: Reply) -> Json:
    """The remote addresses and ports of established flows that are not management's.

    The first lines repeat the question: ``allowed 22`` (the port), then one ``allowed ADDRESS-OR-PREFIX`` each;
    the kernel's tables as for `parse_tcp` follow. Returns ["198.18.0.66:4444 to 40022", …], empty when clean.
    """
    raw = text(reply, "reading /proc/net/tcp")
    said = [line.partition(" ")[2] for line in raw.splitlines() if line.startswith("allowed ")]
    try:
        port, nets = int(said[0]), [ipaddress.ip_network(word, strict=False) for word in said[1:]]
    except (ValueError, IndexError) as error:
        raise AnswerUnusable("the list of flows does not repeat the question", hint="nothing was decided") from error
    out = []
    for _, lport, remote, rport in _flows(raw):
        address = ipaddress.ip_address(remote)
        if not (lport == port and any(address.version == net.version and address in net for net in nets)):
            out.append(f"{remote}:{rport} to {lport}")
    return list(out)


def _flows(raw: str) -> list[tuple[str, int, str, int]]:
    return [(a, b, c, d) for state, a, b, c, d in _rows(raw) if state == _ESTABLISHED and a != c and not _loop(c)]


def _loop(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback


def _rows(raw: str) -> list[tuple[str, str, int, str, int]]:
    rows: set[tuple[str, str, int, str, int]] = set()
    for line in raw.splitlines():
        words = line.split()
        if len(words) < _ADDRESS_FIELDS or not words[0].endswith(":"):
            continue
        try:
            rows.add((words[3], *_endpoint(words[1]), *_endpoint(words[2])))
        except ValueError:
            continue
    return sorted(rows)


def _endpoint(word: str) -> tuple[str, int]:
    host, _, port = word.partition(":")
    raw = bytes.fromhex(host)
    raw = b"".join(raw[i : i + 4][::-1] for i in range(0, len(raw), 4))  # little-endian words: x86-64, arm64, riscv64
    value = ipaddress.ip_address(raw)
    mapped = value.ipv4_mapped if isinstance(value, ipaddress.IPv6Address) else None
    return str(mapped or value), int(port, 16)


PARSERS = {"tcp": parse_tcp, "foreign": parse_foreign}
