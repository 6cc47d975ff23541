"""What never decides is found, and nothing else is reported."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cisco_acl import Acl as Oracle
from hypothesis import given
from hypothesis import strategies as st

from remedy.devices.acl import ANY, Endpoint, Rule
from remedy.devices.addresses import Span, parse
from remedy.devices.shadows import Shadow, joined, shadows


def rule(action: str, source: str = "any", protocol: str = "ip", port: int = 0, to: str = "any") -> Rule:
    """A rule in a few words."""
    ends = [Endpoint() if text == "any" else Endpoint((parse(text),)) for text in (source, to)]
    if port:
        ends[1] = replace(ends[1], ports=((port, port),))
    return Rule(action, 4, protocol, ends[0], ends[1])


def test_shadowed_and_redundant() -> None:
    """A rule that earlier ones take wholly is shadowed when they say otherwise, redundant when they say the same."""
    rules = [
        rule("deny", "10.0.0.0/25"),
        rule("deny", "10.0.0.128/25"),
        rule("permit", "10.0.0.0/24", "tcp", 80),
        rule("deny", "10.0.0.7"),
        rule("permit", "10.0.1.0/24", "tcp", 80),
        rule("permit", "10.0.1.9", "tcp", 80, "198.51.100.7"),
        rule("permit", "10.0.1.9", "udp", 80),
    ]
    assert shadows(rules) == (
        Shadow(2, (0, 1), same=False),
        Shadow(3, (0,), same=True),
        Shadow(5, (4,), same=True),
    )


@pytest.mark.parametrize(
    "first",
    [
        replace(rule("deny", "10.0.0.0/8"), enabled=False),
        replace(rule("deny", "10.0.0.0/8"), rest=("established",)),
        replace(rule("deny", "10.0.0.0/8"), until="2026-12-01T00:00:00+00:00"),
        replace(rule("deny"), source=Endpoint(group="G")),
        replace(rule("deny", "10.0.0.0/8"), destination=Endpoint(group="G")),
        replace(rule("deny"), family=6),
        rule("deny", "10.0.0.0/8", "tcp"),
        rule("deny", "10.0.0.0/8", to="192.0.2.1"),
    ],
)
def test_what_shadows_nobody(first: Rule) -> None:
    """What is off, ends, bears words nobody understood, or is of another kind surely takes no packet."""
    assert shadows([first, rule("permit", "10.1.1.1")]) == ()


def test_the_same_group_is_known() -> None:
    """A rule on a group is covered by an earlier one on that very group, or on everybody."""
    named = replace(rule("deny"), source=Endpoint(group="G"))
    assert shadows([named, named]) == (Shadow(1, (0,), same=True),)
    assert shadows([named, replace(named, source=Endpoint(group="H"))]) == ()


_RULES = st.lists(
    st.builds(
        lambda action, first, size, protocol, low, high: Rule(
            action,
            4,
            protocol,
            Endpoint((Span(4, first, min(first + size, 15)),)),
            Endpoint(ports=((low, max(low, high)),)) if protocol == "tcp" else ANY,
        ),
        st.sampled_from(["permit", "deny"]),
        st.integers(0, 15),
        st.integers(0, 6),
        st.sampled_from(["ip", "tcp"]),
        st.integers(0, 3),
        st.integers(0, 3),
    ),
    max_size=8,
)


def decider(rules: list[Rule], source: int, protocol: str, port: int) -> int:
    """The index of the rule that decides over a packet; -1 for none."""
    for index, one in enumerate(rules):
        spans, ports = one.source.spans, one.destination.ports
        inside = any(span.first <= source <= span.last for span in spans)
        fits = one.protocol in {"ip", protocol} and (not ports or any(low <= port <= high for low, high in ports))
        if inside and fits:
            return index
    return -1


@given(_RULES)
def test_a_reported_rule_never_decides(rules: list[Rule]) -> None:
    """No packet at all is decided by a rule that is reported, tried with every packet of a small world."""
    packets = [(source, protocol, port) for source in range(16) for protocol in ("tcp", "udp") for port in range(4)]
    deciding = {decider(rules, *packet) for packet in packets}
    assert not deciding & {found.index for found in shadows(rules)}


@given(_RULES)
def test_joining_changes_nothing(rules: list[Rule]) -> None:
    """Joined neighbours decide over every packet as before."""
    made = list(joined(rules))
    for source in range(16):
        for protocol in ("tcp", "udp"):
            for port in range(4):
                before, after = decider(rules, source, protocol, port), decider(made, source, protocol, port)
                assert (before < 0) == (after < 0)
                assert before < 0 or rules[before].action == made[after].action


def test_an_independent_program_agrees() -> None:
    """What cisco-acl finds in the shadow of a single rule of the same action is found here too."""
    lines = [
        ("deny", "10.0.0.0/24", "ip", 0),
        ("permit", "10.0.0.5", "tcp", 22),
        ("permit", "10.0.2.0/24", "tcp", 22),
        ("permit", "10.0.2.9", "tcp", 22),
        ("deny", "10.0.2.9", "udp", 53),
    ]
    text = ["ip access-list extended X"]
    for action, source, protocol, port in lines:
        net = parse(source)
        said = f"host {net.low}" if net.is_host else f"{net.low} 0.0.0.255"
        text.append(f" {action} {protocol} {said} any{f' eq {port}' if port else ''}")
    oracle = Oracle("\n".join(text), platform="ios")
    shaded = {line.strip() for lines_ in oracle.shading().values() for line in lines_}
    theirs = {index for index, line in enumerate(text[1:]) if line.strip() in shaded}
    rules = [rule(action, source, protocol, port) for action, source, protocol, port in lines]
    assert {found.index for found in shadows(rules) if found.same} == theirs == {3}
