"""What kind of host this is and what it has: one question, answered by a fixed read-only script.

Decides how the facts an isolation needs are asked and read. Sources: proc(5), sysfs, sshd(8) for SSH_CONNECTION,
os-release(5). Everything runs on dash, bash and busybox ash.
"""

from __future__ import annotations

import ipaddress
import re
from typing import cast

from remedy.core.canon import Json
from remedy.core.errors import AnswerUnusable
from remedy.core.values import Command, Probe, Reply
from remedy.probes import text

_TOOLS = "nft iptables-restore ip6tables-restore iptables-save ip6tables-save ss conntrack setsid systemctl unshare"

_SINGLE = frozenset({"uid", "boot", "kernel", "nft_version", "init", "free_kib", "ipsec", "namespaces"})

#: Few processes: the target may be busy, and is asked more than once. Control characters go once, at the end.
_FACTS = r"""
PATH="$PATH:/usr/sbin:/sbin:/usr/local/sbin"
{
  printf 'uid='; id -u
  read -r v < /proc/sys/kernel/random/boot_id; echo "boot=$v"
  read -r v < /proc/sys/kernel/osrelease; echo "kernel=$v"
  for t in TOOLS; do command -v "$t" >/dev/null 2>&1 && echo "tool.$t=yes"; done
  v=$(nft --version 2>/dev/null); echo "nft_version=${v%%"
"*}"
  i=other; [ -d /etc/rcS.d ] && i=sysv; [ -d /run/systemd/system ] && i=systemd; echo "init=$i"
  for b in /sys/class/net/*/bridge; do [ -d "$b" ] && echo "bridge=$b"; done
  df -Pk /etc 2>/dev/null | awk 'NR==2 {n = ($4 > 1024) ? "enough" : "full"} END {print "free_kib=" n}'
  ip -o addr show 2>/dev/null | awk '$3 ~ /^inet/ {print "address=" $2 " " $4 ($0 ~ / dynamic/ ? " dynamic" : "")}'
  v=$(ip xfrm state 2>/dev/null); [ -n "$v" ] && echo ipsec=yes || echo ipsec=no
  n=$(readlink /proc/[0-9]*/ns/net 2>/dev/null | sort -u | wc -l)
  [ "$n" -gt 1 ] && echo namespaces=several || echo namespaces=one
} | tr -d '\000-\011\013-\037\177' | cut -c1-400
""".replace("TOOLS", _TOOLS)


def facts() -> Probe:
    """Identity, tools, init system, bridges, addresses, and room on the disk below /etc."""
    return Probe(Command(("sh", "-c", _FACTS)), "host.facts")


_PEER = r"""
set -- $SSH_CONNECTION; printf '%s\n' "$*"
[ -n "$1" ] || exit 0
dev=$(ip -o route get "$1" 2>/dev/null | sed -n 's/.* dev \([^ ]*\).*/\1/p' | head -1)
kind=$(sed -n 's/^DEVTYPE=//p' "/sys/class/net/$dev/uevent" 2>/dev/null)
[ -e "/sys/class/net/$dev/tun_flags" ] && kind=tun
printf 'dev=%s type=%s kind=%s\n' "$dev" "$(cat "/sys/class/net/$dev/type" 2>/dev/null)" "$kind"
"""


def peer() -> Probe:
    """Whom sshd is talking to and over which device: asked without elevation, because sudo drops the variable."""
    return Probe(Command(("sh", "-c", 'PATH="$PATH:/usr/sbin:/sbin"' + _PEER), root=False), "host.peer")


def clock() -> Probe:
    """The target's own idea of the time, in seconds since 1970. Its trustworthiness is the caller's concern."""
    return Probe(Command(("date", "-u", "+%s"), root=False), "host.clock")


def addresses() -> Probe:
    """The addresses of a host, loopback left out."""
    return Probe(Command(("ip", "-o", "addr", "show"), root=False), "host.addresses")


_CARDS = """
PATH="$PATH:/usr/sbin:/sbin"
for d in /sys/class/net/*; do
  read -r v < "$d/address" 2>/dev/null && echo "card=${d##*/} $v"
done
ip -o addr show 2>/dev/null | awk '$3 ~ /^inet/ {print "address=" $2 " " $4}'
"""


def cards() -> Probe:
    """The hardware addresses of a host, with the IP addresses of each card: `[{"mac": …, "addresses": […]}]`."""
    return Probe(Command(("sh", "-c", _CARDS), root=False), "host.cards")


def parse_cards(reply: Reply) -> Json:
    """Read the script's lines; loopback and cards without a hardware address are left out.

    Sample::

        card=eth0 52:54:00:12:34:56
        card=lo 00:00:00:00:00:00
        address=eth0 198.18.1.11/24
    """
    macs: dict[str, str] = {}
    found: dict[str, list[Json]] = {}
    for line in text(reply, "reading the host's network cards").splitlines():
        key, _, value = line.partition("=")
        name, _, rest = value.partition(" ")
        if key == "card" and re.fullmatch(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}", rest) and rest.strip("0:"):
            macs[name] = rest
        elif key == "address" and (made := _address(value)):
            found.setdefault(name.partition("@")[0], []).append(cast("dict[str, Json]", made[0])["address"])
    return [{"mac": mac, "addresses": found.get(name, [])} for name, mac in sorted(macs.items())]


def parse_facts(reply: Reply) -> Json:
    """Read the script's `key=value` lines.

    Sample::

        uid=0
        boot=6a7f…
        tool.nft=yes
        nft_version=nftables v1.0.6 (Lester Gooch #5)
        init=sysv
        bridge=/sys/class/net/docker0/bridge
        free_kib=enough
        ipsec=no
        namespaces=one
        address=eth0 198.18.1.11/24
    """
    single: dict[str, Json] = {}
    tools: dict[str, Json] = {}
    bridges: list[Json] = []
    found: list[Json] = []
    for line in text(reply, "reading the host's facts").splitlines():
        key, _, value = line.partition("=")
        if key.startswith("tool."):
            tools[key[5:]] = value
        elif key == "bridge":
            bridges.append(value.split("/")[4] if value.count("/") > 4 else value)  # noqa: PLR2004 -- /sys/class/net/NAME
        elif key == "address":
            found += _address(value)
        elif key in _SINGLE:
            single[key] = value
    if single.get("uid") != "0":
        raise AnswerUnusable(
            f"not root on the target (uid {single.get('uid', 'unknown')!r})",
            hint="log in as root, or set ansible_become: true for the host",
        )
    if missing := sorted(_SINGLE - set(single)):
        raise AnswerUnusable(f"the host's facts lack {missing[0]!r}", hint="nothing was decided from them")
    version = re.search(r"v(\d+)\.(\d+)(?:\.(\d+))?", str(single.get("nft_version", "")))
    return {
        **single,
        "nft_version": ".".join(part or "0" for part in version.groups()) if version else "",
        "tools": tools,
        "bridges": sorted(bridges, key=str),
        "addresses": sorted(found, key=str),
    }


def _address(value: str) -> list[Json]:
    """One address as {"dev", "address", "net", "dynamic"}; nothing when it is no address."""
    words = value.split()
    try:
        made = ipaddress.ip_interface(words[1])
    except (ValueError, IndexError):
        return []
    dynamic = words[-1] == "dynamic"
    return [{"dev": words[0], "address": str(made.ip), "net": str(made.network), "dynamic": dynamic}]


def parse_peer(reply: Reply) -> Json:
    """Read `SSH_CONNECTION` (client address and port, server address and port), and the device towards the client.

    Sample::

        198.18.3.1 51544 198.18.1.11 22
        dev=eth0 type=1 kind=

    An IPv6 link-local client may carry a zone (``fe80::1%eth0``). An empty line means that the session is not SSH:
    null. `tunnel` names a device whose packets travel inside others (ARPHRD types of if_arp.h: 1 is Ethernet, 32
    InfiniBand, 772 loopback), which an isolation would cut off underneath the session.
    """
    lines = [*text(reply, "reading SSH_CONNECTION").splitlines(), "", ""]
    words = lines[0].split()
    if not words:
        return None
    try:
        client, server = (_plain(words[i]) for i in (0, 2))
        port = int(words[3])
        ok = len(words) == 4 and 0 < port < 65536  # noqa: PLR2004 -- four fields, a TCP port
    except (ValueError, IndexError) as error:
        raise AnswerUnusable("SSH_CONNECTION on the target makes no sense", hint="nothing was changed") from error
    if not ok:
        raise AnswerUnusable("SSH_CONNECTION on the target makes no sense", hint="nothing was changed")
    device = dict(word.partition("=")[::2] for word in lines[1].split())
    carried = device.get("kind") in _CARRIED or device.get("type", "") not in {"", "1", "32", "772"}
    return {"client": client, "server": server, "port": port, "tunnel": device.get("dev", "") if carried else ""}


#: DEVTYPE of devices whose packets travel inside others (Documentation/networking, uevent of each driver).
_CARRIED = frozenset({"tun", "wireguard", "vxlan", "geneve", "gretap", "ip6gretap", "l2tpeth", "macsec"})


def _plain(address: str) -> str:
    value = ipaddress.ip_address(address.partition("%")[0])
    mapped = value.ipv4_mapped if isinstance(value, ipaddress.IPv6Address) else None
    return str(mapped or value)


def parse_clock(reply: Reply) -> Json:
    """Read seconds since 1970. Sample: ``1795152000``."""
    line = text(reply, "reading the clock").strip()
    if not re.fullmatch(r"\d{1,12}", line):
        raise AnswerUnusable("the target's date command gave no time", hint="nothing was decided from it")
    return int(line)


def parse_addresses(reply: Reply) -> Json:
    r"""Read `ip -o addr show`.

    Sample::

        1: lo    inet 127.0.0.1/8 scope host lo\       valid_lft forever preferred_lft forever
        2: eth0    inet 198.18.1.11/24 brd 198.18.1.255 scope global eth0\       valid_lft forever …
        2: eth0    inet6 2001:db8:0:1::11/64 scope global nodad \       valid_lft forever preferred_lft forever
    """
    out: set[str] = set()
    for line in text(reply, "ip -o addr show").splitlines():
        match = re.match(r"\d+:\s+(\S+)\s+inet6?\s+([0-9a-fA-F.:]+)/\d+", line)
        if match and match[1] != "lo" and (made := _address(f"{match[1]} {match[2]}")):
            out.add(str(cast("dict[str, Json]", made[0])["address"]))
    return cast("list[Json]", sorted(out))


PARSERS = {
    "cards": parse_cards,
    "facts": parse_facts,
    "peer": parse_peer,
    "clock": parse_clock,
    "addresses": parse_addresses,
}
