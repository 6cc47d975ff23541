"""A rule in Cisco's words means what it says, whichever of the three dialects says it."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from cisco_acl import Ace
from hypothesis import given
from hypothesis import strategies as st

from remedy.core.errors import UsageError
from remedy.devices import registered
from remedy.devices.acl import ANY, Acl, Endpoint, Ports, Rule
from remedy.devices.addresses import Span
from remedy.devices.dialects.asa import WORDS as ASA
from remedy.devices.dialects.ios import Words, atomic, parse_rule, rule_words

IOS = Words("Cisco IOS", "wildcard", many=10)
NXOS = Words("Cisco NX-OS", "prefix", group="addrgroup")


@st.composite
def spans(draw: st.DrawFn, family: int) -> Span:
    """A prefix, a host or a range."""
    bits = 32 if family == 4 else 128
    first = draw(st.integers(0, (1 << bits) - 1))
    match draw(st.sampled_from(["host", "prefix", "range"])):
        case "host":
            return Span(family, first, first)
        case "prefix":
            size = 1 << (bits - draw(st.integers(1, bits)))
            return Span(family, first - first % size, first - first % size + size - 1)
        case _:
            return Span(family, first, draw(st.integers(first, min(first + 5000, (1 << bits) - 1))))


@st.composite
def ports(draw: st.DrawFn) -> Ports:
    """None, one, some, ranges, all but some."""
    numbers = sorted(set(draw(st.lists(st.integers(0, 65535), max_size=12))))
    pairs = [(n, n) for n in numbers]
    if draw(st.booleans()) and numbers:
        pairs = [(numbers[0], numbers[-1])]
    out: list[tuple[int, int]] = []
    for first, last in pairs:
        if out and first <= out[-1][1] + 1:
            out[-1] = (out[-1][0], last)
        else:
            out.append((first, last))
    return tuple(out)


@st.composite
def rules(draw: st.DrawFn, families: Sequence[int] = (4, 6)) -> Rule:
    """Any rule that an administrator could ask for."""
    family = draw(st.sampled_from(list(families)))
    icmp = "icmp" if family == 4 else "icmpv6"
    protocol = draw(st.sampled_from(["ip", "tcp", "udp", icmp, "47", "89", "103"]))

    def end() -> Endpoint:
        wanted = draw(ports()) if protocol in ("tcp", "udp") else ()
        kind = draw(st.sampled_from(["any", "spans", "group"]))
        if kind == "group":
            return Endpoint(group=draw(st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,20}", fullmatch=True)), ports=wanted)
        return Endpoint(
            tuple(draw(st.lists(spans(family), min_size=1, max_size=3))) if kind == "spans" else (), "", wanted
        )

    return Rule(
        draw(st.sampled_from(["permit", "deny"])),
        family,
        protocol,
        end(),
        end(),
        log=draw(st.booleans()),
        rest=draw(st.sampled_from([(), ("established",), ("tos", "3"), ("time-range", "office")])),
    )


@given(rules(), st.sampled_from([IOS, NXOS, ASA]))
def test_round_trip(rule: Rule, words: Words) -> None:
    """What is written for a rule reads back as its lines, each of them the same again when written once more."""
    unified = 6 if rule.family == 6 and words.unified else 0 if words.unified else rule.family
    for one in atomic(rule, words):
        text = rule_words(one, words)
        back = parse_rule(text, unified, words)
        assert back == one, text
        assert rule_words(back, words) == text


def _addresses(rule: Rule, side: str) -> int:
    end = getattr(rule, side)
    return sum(span.size for span in end.spans) if end.spans else 0


@given(rules())
def test_atomic_lines_cover_the_rule(rule: Rule) -> None:
    """The lines of a rule hold exactly its addresses and ports, on both sides and for every dialect."""
    for words in (IOS, NXOS, ASA):
        lines = atomic(rule, words)
        for side in ("source", "destination"):
            end: Endpoint = getattr(rule, side)
            wanted = {number for first, last in end.ports for number in (first, last)}
            held = {number for one in lines for pair in getattr(one, side).ports for number in pair}
            assert wanted <= held or not end.ports
            distinct = {getattr(one, side).spans for one in lines}
            assert {span for one in distinct for span in one} == {p for span in end.spans for p in span.prefixes()}


def _ports_of(oracle: Any) -> set[int]:  # noqa: ANN401 -- the oracle has no types
    return set(oracle.ports)


@given(rules(families=(4,)))
def test_oracle_reads_the_same(rule: Rule) -> None:
    """An independent parser finds in our IOS line the addresses, protocol and ports that the rule has."""
    rule = replace(rule, rest=())
    for one in atomic(rule, IOS)[:3]:
        if any(last - first > 3000 for end in (one.source, one.destination) for first, last in end.ports):
            continue  # the oracle lists every port
        oracle = Ace(rule_words(one, IOS), platform="ios")
        assert oracle.action == one.action
        for end, address, port in (
            (one.source, oracle.srcaddr, oracle.srcport),
            (one.destination, oracle.dstaddr, oracle.dstport),
        ):
            if end.spans:
                networks = list(
                    ipaddress.summarize_address_range(
                        ipaddress.IPv4Address(end.spans[0].first), ipaddress.IPv4Address(end.spans[0].last)
                    )
                )
                assert address.ipnets() == networks
            elif not end.group:
                assert address.line == "any"
            held = {number for first, last in end.ports for number in range(first, last + 1)}
            assert _ports_of(port) - {0} == held - {0}  # for the oracle ports begin with 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("permit tcp any host 10.1.1.1 eq www", Endpoint((Span(4, 0x0A010101, 0x0A010101),), ports=((80, 80),))),
        ("permit tcp any any neq telnet ssh", Endpoint(ports=((0, 21), (24, 65535)))),
        ("permit udp any any gt 65534", Endpoint(ports=((65535, 65535),))),
        ("permit tcp any any range ftp-data ftp", Endpoint(ports=((20, 21),))),
    ],
)
def test_names_and_operators(text: str, expected: Endpoint) -> None:
    """Names of ports and every operator become numbers."""
    rule = parse_rule(text, 4, IOS)
    assert rule is not None
    assert rule.destination == expected


@pytest.mark.parametrize(
    "text",
    [
        "permit ip 10.0.10.0 0.255.0.255 any",
        "permit WEB object-group A object-group B",
        "permit object-group telssh any object ip-friend",
        "permit tcp any object-group A any",
        "permit tcp any range 80 53 any",
        "permit udp any lt 0 any",
        "permit ip any",
        "permit ip host 10.1.1.1 host 2001:db8::1",
        "permit 300 any any",
        "permit ip 10.1.1.1 any",
        "permit",
        "evaluate mirror",
    ],
)
def test_what_is_no_rule(text: str) -> None:
    """A line whose addresses or ports cannot be held exactly is not taken for a rule."""
    assert parse_rule(text, 4, IOS) is None


@pytest.mark.parametrize("text", ["permit ip any any4", "deny ip any4 any", "permit ip host 10.1.1.1 any4"])
def test_asa_any(text: str) -> None:
    """The three words for any address of an ASA are kept apart, since deleting a line takes its exact words."""
    rule = parse_rule(text, 0, ASA)
    assert rule is not None
    assert rule.rest
    assert rule_words(rule, ASA) == text


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (Rule("permit", 4, until="2026-12-01T00:00:00Z"), "ends by itself"),
        (Rule("permit", 4, enabled=False), "disabled"),
        (Rule("permit", 4, source=Endpoint(group="a b")), "group's name"),
        (Rule("permit", 4, source=Endpoint(group="a?")), "group's name"),
        (Rule("permit", 4, rest=("x\ny",)), "option"),
        (Rule("permit", 4, "icmpv6"), "not a protocol of IPv4"),
        (Rule("permit", 4, "ip", Endpoint(ports=((80, 80),))), "ports do not go"),
        (Rule("permit", 4, "tcp;reload"), "no protocol"),
        (Rule("reload", 4), "no action"),
    ],
)
def test_unsayable(rule: Rule, reason: str) -> None:
    """What IOS cannot say, or what would type something else, is refused with the reason and the rule's name."""
    filters = registered()["cisco_ios"].filters
    assert filters is not None
    with pytest.raises(UsageError, match=reason) as caught:
        filters.write_list(Acl("X", 4, "extended", (replace(rule, comment="name of it"),)))
    assert "name of it" in caught.value.message


@given(st.text(max_size=200))
def test_hostile_lines(text: str) -> None:
    """No text makes the reader fail, and whatever it takes for a rule can be written again."""
    for words, family in ((IOS, 4), (IOS, 6), (NXOS, 4), (ASA, 0)):
        rule = parse_rule(f"permit {text}", family, words)
        if rule is not None:
            for one in atomic(rule, words):
                assert rule_words(one, words).startswith("permit ")
    assert parse_rule("permit ip any any", 4, IOS) == Rule("permit", 4, source=ANY)
