"""SecPath's blacklist: single sources dropped for a time that the device itself keeps, 1 to 1000 minutes.

    IP address      VPN instance   DS-Lite tunnel peer  Type    TTL(sec) Dropped
    192.168.11.1    --             --                   Dynamic 10       353452
    203.0.113.7     --             --                   Manual  Never    14478

It acts where `blacklist global enable` is set, before any policy. What has a time is in no saved configuration and ends
with a restart. Hosts alone, by source alone.

Follows H3C Comware V7, Security Command Reference, Attack detection and prevention commands (`blacklist global enable`,
`blacklist ip`, `blacklist ipv6`, `display blacklist ip`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from remedy.core.errors import UsageError
from remedy.devices import Lines
from remedy.devices.addresses import Span, parse
from remedy.devices.dialects.comware import answer

__all__ = ["Blacklist", "Listed", "Listing"]

_MOST: Final = 1000
_ENTRY: Final = re.compile(r"^\s*([0-9A-Fa-f.:]+)\s+(\S.*?)\s+(Manual|Dynamic)\s+(Never|\d{1,9})\s+(\d{1,18})\s*$")
_ENABLED: Final = re.compile(r"^\s*blacklist global enable\s*$")


@dataclass(frozen=True, slots=True)
class Listed:
    """One source: `seconds` it has left, -1 where it stays; `hits` packets dropped; `ours` whether it was typed."""

    span: Span
    seconds: int
    hits: int
    ours: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """The blacklist. `acts` is whether it is switched on for all interfaces; `unknown` are lines not understood."""

    entries: tuple[Listed, ...]
    acts: bool
    unknown: tuple[str, ...] = ()


class Blacklist:
    """The expiring block of single sources."""

    #: Most minutes that the device keeps an entry for.
    most_minutes: Final = _MOST

    def ask(self) -> Lines:
        """What to type to see the list and whether it acts."""
        return (
            "display blacklist ip",
            "display blacklist ipv6",
            "display current-configuration | include blacklist",
        )

    def read(self, texts: Sequence[str]) -> Listing:
        """Read what those lines printed. Entries of a VPN instance are unknown lines. Raises AnswerUnusable."""
        entries: list[Listed] = []
        unknown: list[str] = []
        for text in texts[:2]:
            for line in answer(text):
                match = _ENTRY.match(line)
                span = _host(match[1]) if match and not match[2].strip("- ") else None
                if match and span:
                    left = -1 if match[4] == "Never" else int(match[4])
                    entries.append(Listed(span, left, int(match[5]), match[3] == "Manual"))
                elif not line.lstrip().startswith(("IP address", "IPv6 address")):
                    unknown.append(line.strip())
        acts = any(_ENABLED.match(line) for text in texts[2:] for line in answer(text))
        return Listing(tuple(entries), acts, tuple(unknown))

    def add(self, spans: Sequence[Span], minutes: int) -> Lines:
        """What to type to drop these sources for so many minutes; one that is listed gets the new time."""
        if not 1 <= minutes <= _MOST:
            raise UsageError(f"the blacklist keeps an entry for 1 to {_MOST} minutes, not {minutes}")
        return tuple(f"blacklist {_said(span)} timeout {minutes}" for span in spans)

    def remove(self, spans: Sequence[Span]) -> Lines:
        """What to type to take these sources off."""
        return tuple(f"undo blacklist {_said(span)}" for span in spans)


def _host(text: str) -> Span | None:
    try:
        span = parse(text)
    except UsageError:
        return None
    return span if span.is_host else None


def _said(span: Span) -> str:
    if not span.is_host:
        raise UsageError(f"{span} is more than one address: the blacklist takes single ones", hint="block it by group")
    return f"{'ipv6' if span.family == 6 else 'ip'} {span.low}"  # noqa: PLR2004
