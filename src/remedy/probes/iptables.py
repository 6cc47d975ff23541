"""iptables hosts: remedy's own chains in the mangle table, both families.

Source: iptables-save(8), iptables-restore(8). As with nft, `rehearse` tries the rules in an empty network namespace
and reads them back, so that the target's own iptables says what it understands and how it shows it.
"""

from __future__ import annotations

import re

from remedy.core.canon import Json
from remedy.core.errors import AnswerUnusable
from remedy.core.values import Command, Probe, Reply
from remedy.probes import text
from remedy.probes.nft import PATH

CHAINS = ("REMEDY_IN", "REMEDY_OUT", "REMEDY_FWD")

_SAVE = (
    'for t in iptables ip6tables; do if command -v "$t-save" >/dev/null 2>&1; then '
    'echo "== $t"; "$t-save" -t mangle || exit 9; fi; done'
)
_STATE = PATH + _SAVE
_LOAD = 'printf %s "$1" | iptables-restore -w 5 --noflush && printf %s "$2" | ip6tables-restore -w 5 --noflush'
_REHEARSE = (
    PATH + f'exec unshare -n sh -c \'{_LOAD} && {{ {_SAVE}; }} && echo "=== fallback" && shift 2 && '
    f'{_LOAD} && {{ {_SAVE}; }}\' remedy "$@"'
)


def chains() -> Probe:
    """Remedy's chains and whether each hook jumps to them first."""
    return Probe(Command(("sh", "-c", _STATE)), "iptables.chains")


def rehearse(rules: tuple[str, str], fallback: tuple[str, str]) -> Probe:
    """How the target's iptables would list the chains after loading `rules`, and `fallback` on top (IPv4, IPv6)."""
    return Probe(Command(("sh", "-c", _REHEARSE, "remedy", *rules, *fallback)), "iptables.rehearsal")


def parse_chains(reply: Reply) -> Json:
    """Keep remedy's rules, and for each hook whether its first rule is the jump.

    Sample::

        == iptables
        *mangle
        :INPUT ACCEPT [120:9600]
        :REMEDY_IN - [0:0]
        -A INPUT -j REMEDY_IN
        -A REMEDY_IN -i lo -m comment --comment "remedy …" -j RETURN
        COMMIT
        == ip6tables
        …

    Returns the lines as one text, "" when remedy has nothing there. A jump that is not first shows as such.
    """
    return _chains(text(reply, "iptables-save"))


def _chains(listing: str) -> str:
    out: list[str] = []
    first: dict[str, bool] = {}
    family = ""
    for line in listing.splitlines():
        if line.startswith("== "):
            family, first = line[3:].strip(), {}
        rule = re.match(r"-A (\S+) (.*)", re.sub(r"^\[\d+:\d+\] ", "", line))
        if not rule:
            continue
        chain, rest = rule[1], rule[2].rstrip()
        leads = first.setdefault(chain, True)
        first[chain] = False
        jump = re.search(r"-j (REMEDY_\w+)$", rest)
        if chain.startswith("REMEDY_"):
            out.append(f"{family} {chain} {rest}")
        elif jump:
            out.append(f"{family} {chain} {'first' if leads else 'NOT FIRST'} {rest}")
    return "\n".join(out)


def parse_rehearsal(reply: Reply) -> Json:
    """The two listings or the first complaint, as in `nft.parse_rehearsal`.

    Sample of a complaint: ``iptables-restore v1.8.9 (legacy): Couldn't load match `foo'``
    """
    if reply.status == 0:
        listing, _, fallback = text(reply, "rehearsing").partition("=== fallback\n")
        return {"listing": _chains(listing), "fallback": _chains(fallback)}
    said = reply.err[:2000].decode("utf-8", "backslashreplace").strip().splitlines()
    if not said:
        raise AnswerUnusable(
            f"the rehearsal of the rules failed with status {reply.status}", hint="nothing was changed"
        )
    return {"refused": said[0][:160]}


PARSERS = {"chains": parse_chains, "rehearsal": parse_rehearsal}
