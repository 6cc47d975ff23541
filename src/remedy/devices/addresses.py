"""Addresses as firewalls take them: one, a prefix, or a range; merged, and cut into what a vendor can say.

Decides the one text a set of addresses has, so that comparing sets is comparing texts. Pure.
"""

from __future__ import annotations

import bisect
import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from remedy.core.errors import UsageError

__all__ = ["Span", "covers", "merged", "parse", "subtract", "touched"]

_RANGE: Final = re.compile(r"\s*-\s*")
_BITS: Final = {4: 32, 6: 128}


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Addresses of one family, `first` to `last` inclusive, as numbers. Ordered by family, then by address.

    Its text is canonical: `203.0.113.7`, `198.51.100.0/24`, `198.51.100.7-198.51.100.20`.
    """

    family: int
    first: int
    last: int

    def __str__(self) -> str:
        """The shortest of address, prefix and range."""
        first = _address(self.family, self.first)
        if self.first == self.last:
            return first
        prefix = self.prefix
        return f"{first}/{prefix}" if prefix is not None else f"{first}-{_address(self.family, self.last)}"

    @property
    def size(self) -> int:
        """How many addresses."""
        return self.last - self.first + 1

    @property
    def is_host(self) -> bool:
        """Whether it is one address."""
        return self.first == self.last

    @property
    def is_everything(self) -> bool:
        """Whether it is every address of its family."""
        return self.size == 1 << _BITS[self.family]

    @property
    def prefix(self) -> int | None:
        """The length of the prefix that it is exactly; None when it is no prefix. A host's is 32 or 128."""
        size = self.size
        if size & (size - 1) or self.first % size:
            return None
        return _BITS[self.family] - size.bit_length() + 1

    @property
    def low(self) -> str:
        """The first address."""
        return _address(self.family, self.first)

    @property
    def high(self) -> str:
        """The last address."""
        return _address(self.family, self.last)

    def prefixes(self) -> Iterator[Span]:
        """The fewest prefixes that are it together, ascending; at most 62 for IPv4, 254 for IPv6."""
        first = self.first
        while first <= self.last:
            size = first & -first if first else 1 << _BITS[self.family]
            while size > self.last - first + 1:
                size >>= 1
            yield Span(self.family, first, first + size - 1)
            first += size


def _address(family: int, number: int) -> str:
    return str(ipaddress.IPv4Address(number) if family == 4 else ipaddress.IPv6Address(number))  # noqa: PLR2004


def parse(text: str) -> Span:
    """Read one address, prefix or range, of either family.

    Raises UsageError for anything else: host bits set in a prefix, a range that runs backwards or mixes families, a
    zone (`fe80::1%eth0`), an IPv4 address written within an IPv6 one (`::ffff:203.0.113.7`).
    """
    word = text.strip()
    ends = _RANGE.split(word)
    try:
        if len(ends) == 2:  # noqa: PLR2004 -- first and last
            low, high = ipaddress.ip_address(ends[0]), ipaddress.ip_address(ends[1])
            if low.version != high.version or int(low) > int(high):
                raise UsageError(f"{word!r} is no range", hint="FIRST-LAST, both of one family, the lower one first")
            span = Span(low.version, int(low), int(high))
        else:
            network = ipaddress.ip_network(word)
            span = Span(network.version, int(network.network_address), int(network.broadcast_address))
    except ValueError as error:
        hint = "203.0.113.7, 198.51.100.0/24, 198.51.100.7-198.51.100.20, 2001:db8::/64"
        if "host bits" in str(error):
            hint = f"did you mean {ipaddress.ip_network(word, strict=False)} or {word.split('/')[0]}?"
        raise UsageError(f"{word[:80]!r} is no address, prefix or range", hint=hint) from error
    if "%" in word or (span.family == 6 and span.first >> 32 == 0xFFFF):  # noqa: PLR2004 -- RFC 4291, 2.5.5.2
        raise UsageError(f"{word[:80]!r} cannot stand in a firewall's rule", hint="write the plain address")
    return span


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same addresses in the fewest spans, ascending: what overlaps or touches is joined. Cost n log n."""
    out: list[Span] = []
    for span in sorted(spans):
        if out and out[-1].family == span.family and span.first <= out[-1].last + 1:
            if span.last > out[-1].last:
                out[-1] = Span(span.family, out[-1].first, span.last)
        else:
            out.append(span)
    return tuple(out)


def subtract(spans: Iterable[Span], taken: Iterable[Span]) -> tuple[Span, ...]:
    """The addresses of `spans` that are in none of `taken`, merged. Cost n log n."""
    out: list[Span] = []
    holes = merged(taken)
    at = 0
    for span in merged(spans):
        first = span.first
        while at < len(holes) and (holes[at].family, holes[at].last) < (span.family, first):
            at += 1
        here = at
        while here < len(holes) and holes[here].family == span.family and holes[here].first <= span.last:
            if holes[here].first > first:
                out.append(Span(span.family, first, holes[here].first - 1))
            first = max(first, holes[here].last + 1)
            here += 1
        if first <= span.last:
            out.append(Span(span.family, first, span.last))
    return tuple(out)


def covers(spans: Iterable[Span], wanted: Span) -> bool:
    """Whether every address of `wanted` is in `spans`."""
    return not subtract((wanted,), spans)


def touched(spans: Iterable[Span], by: Iterable[Span]) -> tuple[Span, ...]:
    """Those of `spans`, as they are, that share an address with `by`. Cost n log n."""
    holes = merged(by)
    lasts = [(hole.family, hole.last) for hole in holes]
    out = []
    for span in spans:
        at = bisect.bisect_left(lasts, (span.family, span.first))
        if at < len(holes) and holes[at].family == span.family and holes[at].first <= span.last:
            out.append(span)
    return tuple(out)
