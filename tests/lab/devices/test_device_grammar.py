"""The grammar: abbreviations, carets, order, and hostile lines."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remedy.lab.devices.grammar import Grammar, Misread

PATTERNS = {
    "acl": "acl [ ipv6 ] { basic <number:n2000-2999> | advanced { <number:n3000-3999> | name <name> } }",
    "rule": "rule [ <id:n0-65534> ] { deny | permit } ip [ source { <from:ip> <mask:wildcard> | any } | counting ] *",
    "comment": "rule <id:n0-65534> comment <text>",
    "quit": "quit",
    "query": "query <word>",
}


def grammar() -> Grammar[str]:
    """A few commands."""
    made: Grammar[str] = Grammar()
    for target, pattern in PATTERNS.items():
        made.add(pattern, target)
    return made


@pytest.mark.parametrize(
    ("line", "target", "words"),
    [
        ("acl adv 3000", "acl", ["acl", "advanced", "3000"]),
        ("ACL IPV6 Basic 2001", "acl", ["acl", "ipv6", "basic", "2001"]),
        ("r 5 d ip c s any", "rule", ["rule", "5", "deny", "ip", "counting", "source", "any"]),
        ("  rule deny ip source 10.0.0.0 0.0.0.255", "rule", ["rule", "deny", "ip", "source", "10.0.0.0", "0.0.0.255"]),
        ("rule 5 comment two  words", "comment", ["rule", "5", "comment", "two  words"]),
        ('query "a b"', "query", ["query", "a b"]),
    ],
)
def test_a_line_is_the_command_it_abbreviates(line: str, target: str, words: list[str]) -> None:
    """Keywords may be cut to a unique prefix in any case; options come in any order; text goes to the end."""
    found, call = grammar().read(line)
    assert (found, call.words) == (target, words)


@pytest.mark.parametrize(
    ("line", "why", "column"),
    [
        ("foo", "unrecognized", 0),
        ("acl bas 3000", "wrong", 8),
        ("acl", "incomplete", 3),
        ("qu", "ambiguous", 0),
        ("acl advanced 3000 more", "excess", 18),
        ("rule 70000 deny ip", "wrong", 5),
        ("rule 5 deny ip source 10.0.0.300 0", "wrong", 22),
        ("rule 5 deny ip source 10.0.0.3", "incomplete", 30),
    ],
)
def test_a_wrong_line_is_refused_where_it_is_wrong(line: str, why: str, column: int) -> None:
    """The place is that of the first word that fits nothing, the reason the reference's for it."""
    with pytest.raises(Misread) as caught:
        grammar().read(line)
    assert (caught.value.why, caught.value.column) == (why, column)


def test_arguments_are_found_by_name() -> None:
    """A command reads its arguments by the names of its own pattern."""
    _, call = grammar().read("rule 7 permit ip source 10.0.0.1 0")
    assert call.values == {"id": "7", "from": "10.0.0.1", "mask": "0"}
    assert call.columns["from"] == 24


@given(st.text(max_size=300))
def test_any_line_is_read_or_refused(line: str) -> None:
    """No line makes the grammar fail otherwise, and a refusal points into the line."""
    refused: Misread | None = None
    try:
        grammar().read(line)
    except Misread as misread:
        refused = misread
    assert refused is None or 0 <= refused.column <= len(line)


def test_reading_costs_little() -> None:
    """5,000 different lines are read in half a second of processor time."""
    made = grammar()
    before = time.process_time()
    for number in range(5000):
        made.read(f"rule {number} deny ip source 10.0.{number >> 8}.{number & 255} 0 counting")
    assert time.process_time() - before < 0.5
