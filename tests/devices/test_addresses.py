"""Spans of addresses: one canonical text, merged and subtracted like the sets they are."""

from __future__ import annotations

import ipaddress
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remedy.core.errors import UsageError
from remedy.devices.addresses import Span, covers, merged, parse, subtract, touched

#: Small enough that sets of all addresses can be compared, at the low and the high end of both families.
_SMALL = st.builds(
    lambda family, base, first, size: Span(family, base[family] + first, base[family] + first + size),
    st.sampled_from([4, 6]),
    st.sampled_from([{4: 0, 6: 0}, {4: 2**32 - 64, 6: 2**128 - 64}]),
    st.integers(0, 40),
    st.integers(0, 20),
)
SPANS = st.lists(_SMALL, max_size=8)


def every(spans: list[Span] | tuple[Span, ...]) -> set[tuple[int, int]]:
    """All addresses, one by one."""
    return {(span.family, number) for span in spans for number in range(span.first, span.last + 1)}


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.7/32", "203.0.113.7"),
        ("198.51.100.0/24", "198.51.100.0/24"),
        ("198.51.100.0 - 198.51.100.255", "198.51.100.0/24"),
        ("198.51.100.7-198.51.100.20", "198.51.100.7-198.51.100.20"),
        ("2001:DB8:0::/64", "2001:db8::/64"),
        ("2001:db8::1-2001:db8::1", "2001:db8::1"),
        ("0.0.0.0/0", "0.0.0.0/0"),
    ],
)
def test_one_text_for_one_thing(text: str, canonical: str) -> None:
    """However it is written, the same addresses have the same text, and it reads back."""
    assert str(parse(text)) == canonical
    assert parse(canonical) == parse(text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("203.0.113.7/24", "did you mean 203.0.113.0/24 or 203.0.113.7?"),
        ("203.0.113.9-203.0.113.7", "the lower one first"),
        ("203.0.113.9-2001:db8::1", "one family"),
        ("example.org", "203.0.113.7"),
        ("", "203.0.113.7"),
        ("fe80::1%eth0", "plain address"),
        ("::ffff:203.0.113.7", "plain address"),
        ("203.0.113.07", "203.0.113.7"),
        ("1", "203.0.113.7"),
        ("203.0.113.7; permit ip any any", "203.0.113.7"),
        ("203.0.113.7\nno shutdown", "203.0.113.7"),
    ],
)
def test_what_is_no_address(text: str, hint: str) -> None:
    """What could be meant otherwise, or carry words of its own to a device, is refused with what to write."""
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert hint in caught.value.hint


@given(SPANS)
def test_merging_keeps_every_address(spans: list[Span]) -> None:
    """Merged spans hold the same addresses, ascending, none touching the next."""
    made = merged(spans)
    assert every(made) == every(spans)
    for one, other in itertools.pairwise(made):
        assert (one.family, one.last + 1) < (other.family, other.first)


@given(SPANS, SPANS)
def test_subtracting(spans: list[Span], taken: list[Span]) -> None:
    """What is left is exactly the addresses of the one that are in none of the other."""
    left = subtract(spans, taken)
    assert every(left) == every(spans) - every(taken)
    assert left == merged(left)


@given(SPANS, SPANS)
def test_touched(spans: list[Span], by: list[Span]) -> None:
    """A span is touched exactly when it shares an address, and comes back as it was."""
    assert touched(spans, by) == tuple(span for span in spans if every([span]) & every(by))


@given(SPANS, _SMALL)
def test_covers(spans: list[Span], wanted: Span) -> None:
    """Covered means every address, by however many spans together."""
    assert covers(spans, wanted) == (every([wanted]) <= every(spans))


@given(_SMALL)
def test_prefixes(span: Span) -> None:
    """The prefixes of a span are prefixes, hold its addresses and no others, and are as few as the library's."""
    parts = list(span.prefixes())
    assert all(part.prefix is not None for part in parts)
    assert every(parts) == every([span])
    low, high = ipaddress.ip_address(span.low), ipaddress.ip_address(span.high)
    assert [str(part) for part in parts] == [
        str(net).removesuffix("/32").removesuffix("/128") for net in ipaddress.summarize_address_range(low, high)
    ]
