"""The rule file: what an administrator would write is understood, and what is not is refused at its line."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remedy.core.errors import RemedyError, UsageError
from remedy.devices.acl import ANY, Endpoint, Rule
from remedy.devices.addresses import parse
from remedy.devices.rulefile import read

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SAMPLE = """\
# the block of last night
list OUTSIDE-IN
deny   203.0.113.7
deny   tcp from 198.51.100.0/24, 198.51.100.0/25,2001:db8:66::/64 to any port 22,3389 for 24h   # brute force
permit udp from any port 53 to 192.0.2.0/24 port 1024-65535 log

list v6
permit ip6 from 2001:db8::/32 to any until 2026-12-31T22:00:00+08:00
DROP 47 host 203.0.113.9 any
"""


def ends(*texts: str, ports: tuple[tuple[int, int], ...] = ()) -> Endpoint:
    """One side."""
    return Endpoint(tuple(parse(text) for text in texts), ports=ports)


def test_the_sample() -> None:
    """Lists, families, ports, ends and comments come out as they are meant, duplicates merged."""
    found = read(SAMPLE, now=NOW, name="rules")
    tomorrow = "2026-11-21T12:00:00+00:00"
    doors = Endpoint(ports=((22, 22), (3389, 3389)))
    assert [(one.acl, one.line, one.rule) for one in found] == [
        ("OUTSIDE-IN", 3, Rule("deny", 4, "ip", ends("203.0.113.7"))),
        ("OUTSIDE-IN", 4, Rule("deny", 4, "tcp", ends("198.51.100.0/24"), doors, None, "brute force", tomorrow)),
        ("OUTSIDE-IN", 4, Rule("deny", 6, "tcp", ends("2001:db8:66::/64"), doors, None, "brute force", tomorrow)),
        (
            "OUTSIDE-IN",
            5,
            Rule("permit", 4, "udp", ends(ports=((53, 53),)), ends("192.0.2.0/24", ports=((1024, 65535),)), log=True),
        ),
        ("v6", 8, Rule("permit", 6, "ip", ends("2001:db8::/32"), until="2026-12-31T14:00:00+00:00")),
        ("v6", 9, Rule("deny", 4, "47", ends("203.0.113.9"))),
    ]


def test_anybody_is_of_both_families() -> None:
    """A rule without an address becomes one for IPv4 and one for IPv6, unless its protocol says which."""
    assert [one.rule for one in read("permit ip any any", now=NOW)] == [Rule("permit", 4), Rule("permit", 6)]
    assert [one.rule for one in read("deny icmp from any", now=NOW)] == [Rule("deny", 4, "icmp", ANY, ANY)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("allow", "an address"),
        ("maybe 203.0.113.7", "permit or deny"),
        ("deny tcp from 203.0.113.7/24", "no address, prefix or range"),
        ("deny ip from 203.0.113.7 to 2001:db8::1", "different families"),
        ("deny ip4 from 2001:db8::1", "different families"),
        ("deny icmp from any port 80", "icmp has no ports"),
        ("deny from any port 80", "ip has no ports"),
        ("deny tcp from any port 80-22", "no port"),
        ("deny tcp from any port 65536", "no port"),
        ("deny tcp from any port http", "no port"),
        ("deny tcp from any port 0000070000", "no port"),
        ("deny 256 from any", "no protocol"),
        ("deny 203.0.113.7 for 2y", "between a minute and a year"),
        ("deny 203.0.113.7 until tomorrow", "no time"),
        ("deny 203.0.113.7 until 2026-12-01T00:00:00", "no time zone"),
        ("deny 203.0.113.7 until 9999-12-31T23:59:59-12:00", "no time"),
        ("deny 203.0.113.7 until 0001-01-01T00:00:00+08:00", "no time"),
        ("deny 203.0.113.7 to any established", "'established' is not understood"),
        ("list a b", "a list's name"),
        ("list OUT;reload", "a list's name"),
        ("deny " + "9" * 5000, "a line of"),
    ],
)
def test_what_is_not_understood(line: str, said: str) -> None:
    """The message names the line, says what is wrong and shows how it is written."""
    with pytest.raises(UsageError, match=said) as caught:
        read(f"deny 203.0.113.1\n{line}\n", now=NOW, name="rules")
    assert caught.value.where == "rules:2"
    assert caught.value.hint


@pytest.mark.parametrize("end", ["\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"])
def test_a_comment_hides_no_rule(end: str) -> None:
    """What ends a line for some readers and not for others is refused, in a comment above all."""
    with pytest.raises(UsageError, match="no line of a rule may hold") as caught:
        read(f"deny 203.0.113.1\ndeny 203.0.113.7 # a feed's words{end}permit any\n", now=NOW, name="rules")
    assert caught.value.where == "rules:2"


def test_windows_lines_and_blanks() -> None:
    """CR LF ends a line, and blanks around commas and dashes mean nothing."""
    [one] = read("deny tcp 203.0.113.1 - 203.0.113.9 , 203.0.113.20 to any port 0022 - 23 # x\r\n\r\n", now=NOW)
    assert (one.rule.source, one.rule.destination.ports) == (
        ends("203.0.113.1-203.0.113.9", "203.0.113.20"),
        ((22, 23),),
    )
    assert one.rule.comment == "x"


def test_a_comment_cannot_act_on_a_terminal() -> None:
    """Controls in a comment are written out before it gets anywhere."""
    assert read("deny 203.0.113.7 # x\x1b]0;y\x07", now=NOW)[0].rule.comment == r"x\x1b]0;y\x07"


@given(st.text(alphabet=st.sampled_from("denypritmcuad 0123456789.:/-,#\n\t☃\x1b"), max_size=120))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever is in the file: rules, or an error with file and line."""
    try:
        rules = [one.rule for one in read(text, now=NOW, name="rules")]
    except RemedyError as error:
        where = error.where
    else:
        where = "rules:0"
        assert all(rule.action in {"permit", "deny"} for rule in rules)
    assert where.startswith("rules:")
