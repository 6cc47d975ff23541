"""nftables: what is loaded, and what a ruleset would look like once loaded.

Source: nft(8). `rehearse` loads the ruleset into a network namespace that exists only for that question
(unshare(1)), and prints it back: the target's own nft says whether it understands every word, and how it will
show the table afterwards, without touching the live rules.
"""

from __future__ import annotations

import re

from remedy.core.canon import Json
from remedy.core.errors import AnswerUnusable
from remedy.core.values import Command, Probe, Reply
from remedy.probes import text

#: sudo and cron give a short PATH on some systems; nft lives in sbin.
PATH = 'PATH="$PATH:/usr/sbin:/sbin"; '

_TABLES = PATH + 'for f in "$@"; do nft -s -nn list table $f 2>/dev/null || :; done'
_REHEARSE = (
    PATH
    + "exec unshare -n sh -c 'first=$1 second=$2; shift 2; "
    + 'printf %s "$first" | nft -f - && for f in "$@"; do nft -s -nn list table $f; done && echo "== fallback" && '
    + 'printf %s "$second" | nft -f - && for f in "$@"; do nft -s -nn list table $f; done\' remedy "$@"'
)
_ALL = PATH + "nft -s -nn list ruleset"


def tables(*names: str) -> Probe:
    """The named tables ("inet NAME") as text, without counters; an absent one is left out."""
    return Probe(Command(("sh", "-c", _TABLES, "remedy", *names)), "nft.tables")


def rehearse(text: str, fallback: str, *names: str) -> Probe:
    """How the target's nft would list the tables after loading `text`, and after `fallback` on top of it."""
    return Probe(Command(("sh", "-c", _REHEARSE, "remedy", text, fallback, *names)), "nft.rehearsal")


def ruleset() -> Probe:
    """Everything loaded, without counters: to show that other services' rules were left alone."""
    return Probe(Command(("sh", "-c", _ALL)), "nft.tables")


def parse_tables(reply: Reply) -> Json:
    """Normalise a listing: trailing blanks and empty lines go, everything else stays.

    Sample::

        table inet remedy_isolation {
                chain input {
                        type filter hook input priority -310; policy drop;
                        iifname "lo" accept comment "remedy …"
                }
        }
    """
    return _normal(text(reply, "nft list table"))


def parse_rehearsal(reply: Reply) -> Json:
    """The two listings, or nft's first complaint: {"listing": text, "fallback": text} or {"refused": text}.

    Sample of a complaint on standard error: ``/dev/stdin:4:9-14: Error: syntax error, unexpected reject``
    """
    if reply.status == 0:
        first, _, second = text(reply, "rehearsing").partition("== fallback\n")
        return {"listing": _normal(first), "fallback": _normal(second)}
    said = reply.err[:2000].decode("utf-8", "backslashreplace")
    match = re.search(r"(Error: [^\n]{1,160}|unshare: [^\n]{1,160}|[^\n]*not found)", said)
    if not match:
        raise AnswerUnusable(f"the rehearsal of the ruleset failed: {said[:160]!r}", hint="nothing was changed")
    return {"refused": match[1]}


def _normal(listing: str) -> str:
    return "\n".join(line.rstrip() for line in listing.splitlines() if line.strip())


def stamp(listing: str) -> dict[str, str]:
    """Whose table a listing is: the words of the comment that remedy leaves in its first rule.

    Sample: ``comment "remedy incident=INC-20261120-1 run=R7f3 anchor=9f86d081884c7d65"``. Empty when unknown.
    """
    match = re.search(r'comment "remedy ([a-zA-Z0-9=_\- .:]*)"', listing)
    return dict(word.partition("=")[::2] for word in match[1].split()) if match else {}


PARSERS = {"tables": parse_tables, "rehearsal": parse_rehearsal}
