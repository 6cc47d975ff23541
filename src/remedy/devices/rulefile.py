"""The rule file that `remedy acl push` takes: what a firewall's administrator would write down, in no vendor's words.

One rule to a line; `#` begins a comment, which goes with the rule. Sample::

    list OUTSIDE-IN                          # the rules below are of this list
    deny   203.0.113.7                       # everything from there
    deny   tcp from 198.51.100.0/24 to any port 22,3389 for 24h      # brute force
    permit udp from any port 53 to 192.0.2.0/24 port 1024-65535
    permit ip6 from 2001:db8::/32 to any log until 2026-12-31T22:00:00Z

    ACTION   permit allow accept pass | deny drop block reject
    PROTOCOL ip (both families) ip4 ip6 tcp udp icmp icmpv6, or a number (IANA protocol numbers); default ip
    SOURCE   any, or addresses, prefixes and ranges separated by commas; `from` may be left out
    port     numbers and ranges separated by commas; TCP and UDP only

A rule with no address stands for both families and becomes two rules. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from remedy.core.errors import UsageError
from remedy.core.text import printable
from remedy.devices.acl import ANY, Endpoint, Ports, Rule
from remedy.devices.addresses import Span, merged, parse

__all__ = ["Written", "lasting", "read"]

_ACTIONS: Final = {
    **dict.fromkeys(("permit", "allow", "accept", "pass"), "permit"),
    **dict.fromkeys(("deny", "drop", "block", "reject"), "deny"),
}
#: The protocol of a rule, and the families it is for.
_PROTOCOLS: Final = {
    "ip": ("ip", (4, 6)),
    "all": ("ip", (4, 6)),
    "ip4": ("ip", (4,)),
    "ipv4": ("ip", (4,)),
    "ip6": ("ip", (6,)),
    "ipv6": ("ip", (6,)),
    "tcp": ("tcp", (4, 6)),
    "udp": ("udp", (4, 6)),
    "icmp": ("icmp", (4,)),
    "icmpv6": ("icmpv6", (6,)),
    "icmp6": ("icmpv6", (6,)),
}
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_DURATION: Final = re.compile(r"([0-9]{1,6})([mhdw])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LONGEST: Final = timedelta(days=366)
_LAST_PORT: Final = 65_535
_LAST_PROTOCOL: Final = 255
_LONGEST_COMMENT: Final = 100
_LONGEST_LINE: Final = 4000


@dataclass(frozen=True, slots=True)
class Written:
    """One rule as written: in which list ("" for the one chosen elsewhere), on which line, and what it means."""

    acl: str
    line: int
    rule: Rule


def read(text: str, *, now: datetime, name: str = "") -> tuple[Written, ...]:
    """Read a whole file. `name` is the file's, for messages; `now` is what `for 24h` counts from. Cost linear.

    Raises UsageError naming file and line, with what was expected there.
    """
    out: list[Written] = []
    acl = ""
    for number, line in enumerate(text.split("\n"), 1):
        try:
            words, comment = _words(line.removesuffix("\r"))
            if not words:
                continue
            if words[0].lower() == "list":
                acl = _list(words)
                continue
            out += [Written(acl, number, rule) for rule in _Words(words, comment, now).rules()]
        except UsageError as error:
            raise UsageError(error.message, where=f"{name}:{number}", hint=error.hint) from error
    return tuple(out)


def lasting(text: str) -> timedelta:
    """A length of time: "90m", "24h", "7d", "2w", up to a year. Raises UsageError."""
    match = _DURATION.fullmatch(text.strip().lower())
    lasts = timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else timedelta()
    if not timedelta() < lasts <= _LONGEST:
        raise UsageError(f"{text[:40]!r} is no time between a minute and a year", hint="90m, 24h, 7d, 2w")
    return lasts


def _words(line: str) -> tuple[list[str], str]:
    """The words of a line and its comment. Commas join, with or without blanks around them; so do dashes of ranges.

    A character that ends a line elsewhere is refused: an editor would show one rule where there are two.
    """
    if len(line) > _LONGEST_LINE:
        raise UsageError(f"a line of {len(line)} characters", hint="put one rule on a line")
    if len(line.splitlines()) > 1:
        raise UsageError("a character that no line of a rule may hold", hint="end lines as Unix or Windows does")
    said, _, comment = line.partition("#")
    said = re.sub(r"\s*([,-])\s*", r"\1", said)
    return said.split(), printable(comment.strip(), _LONGEST_COMMENT, one_line=True)


def _list(words: Sequence[str]) -> str:
    if len(words) != 2 or not _NAME.fullmatch(words[1]):  # noqa: PLR2004 -- `list NAME`
        raise UsageError("a list's name is letters, digits, dots, dashes and underscores", hint="list OUTSIDE-IN")
    return words[1]


class _Words:
    """The words of one rule, taken from the left."""

    def __init__(self, words: Sequence[str], comment: str, now: datetime) -> None:
        self._words = list(words)
        self._comment = comment
        self._now = now

    def rules(self) -> Iterator[Rule]:
        """The rule, once per family it is for."""
        action = _ACTIONS.get(self._take("permit or deny").lower())
        if action is None:
            raise UsageError("a rule begins with permit or deny", hint="deny tcp from 203.0.113.0/24 to any port 22")
        protocol, families = self._protocol()
        self._skip("from")
        source = self._endpoint()
        destination = ANY
        if self._next() not in {"", "log", "for", "until"}:
            self._skip("to")
            destination = self._endpoint()
        rule = Rule(action, 4, protocol, source, destination, comment=self._comment)
        rule = self._options(rule)
        for side in (source, destination):
            if side.ports and protocol not in {"tcp", "udp"}:
                raise UsageError(f"{protocol} has no ports", hint="write tcp or udp")
        mine = {span.family for side in (source, destination) for span in side.spans}
        fit = [family for family in families if all(_of(side, family) is not None for side in (source, destination))]
        if not fit or (mine and not mine <= set(fit)):
            raise UsageError("the addresses are of different families", hint="one rule for IPv4, one for IPv6")
        for family in fit:
            ends = (_of(source, family) or ANY, _of(destination, family) or ANY)
            yield replace(rule, family=family, source=ends[0], destination=ends[1])

    def _protocol(self) -> tuple[str, tuple[int, ...]]:
        word = self._next()
        if word in _PROTOCOLS:
            self._take("")
            return _PROTOCOLS[word]
        if word.isascii() and word.isdigit():
            self._take("")
            if int(word) > _LAST_PROTOCOL:
                raise UsageError(f"{word} is no protocol", hint="0 to 255, IANA protocol numbers")
            return word, (4, 6)
        return "ip", (4, 6)

    def _endpoint(self) -> Endpoint:
        word = self._take("an address, a prefix, a range, or any")
        if word.lower() == "host":
            word = self._take("an address")
        spans: tuple[Span, ...] = ()
        if word.lower() != "any":
            spans = merged(parse(part) for part in word.split(","))
        if self._next() in {"port", "ports"}:
            self._take("")
            return Endpoint(spans, ports=_ports(self._take("port numbers")))
        return Endpoint(spans)

    def _options(self, rule: Rule) -> Rule:
        while word := self._next():
            self._take("")
            if word == "log":
                rule = replace(rule, log=True)
            elif word == "for" and not rule.until:
                rule = replace(rule, until=_stamp(self._now + lasting(self._take("a time such as 24h"))))
            elif word == "until" and not rule.until:
                rule = replace(rule, until=_until(self._take("a time such as 2026-12-31T22:00:00Z")))
            else:
                raise UsageError(
                    f"{printable(word, 40, one_line=True)!r} is not understood here",
                    hint="after the addresses: port, log, for 24h, until 2026-12-31T22:00:00Z",
                )
        return rule

    def _next(self) -> str:
        return self._words[0].lower() if self._words else ""

    def _take(self, wanted: str) -> str:
        if not self._words:
            raise UsageError(f"the rule ends where {wanted} should stand", hint="deny tcp from SOURCE to any port 22")
        return self._words.pop(0)

    def _skip(self, word: str) -> None:
        if self._next() == word:
            self._words.pop(0)


def _of(side: Endpoint, family: int) -> Endpoint | None:
    """The part of a side that is of this family; None when it names addresses and has none of it."""
    spans = tuple(span for span in side.spans if span.family == family)
    return replace(side, spans=spans) if spans or not side.spans else None


def _ports(text: str) -> Ports:
    out: list[tuple[int, int]] = []
    for part in text.split(","):
        low, dash, high = part.partition("-")
        if not (low.isascii() and low.isdigit() and (not dash or (high.isascii() and high.isdigit()))):
            raise UsageError(f"{part[:40]!r} is no port", hint="22,80,1024-65535")
        first, last = int(low), int(high if dash else low)
        if not first <= last <= _LAST_PORT:
            raise UsageError(f"{part[:40]!r} is no port", hint="0 to 65535, the lower one first")
        out.append((first, last))
    joined: list[tuple[int, int]] = []
    for first, last in sorted(out):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return tuple(joined)


def _until(text: str) -> str:
    try:
        when = datetime.fromisoformat(text)
        if when.tzinfo is not None:
            return _stamp(when)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{text[:40]!r} is no time", hint="2026-12-31T22:00:00Z") from error
    raise UsageError(f"{text[:40]!r} has no time zone", hint="2026-12-31T22:00:00Z or 2026-12-31T22:00:00+08:00")


def _stamp(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="seconds")
