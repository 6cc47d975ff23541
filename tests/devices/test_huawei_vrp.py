"""Huawei VRP: lists read, written and edited."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.worlds.captures import CAPTURES, WITHOUT

from remedy.core.errors import UsageError
from remedy.devices import named
from remedy.devices.acl import Acl, Endpoint, Rule
from remedy.devices.addresses import parse

VENDOR = named("huawei_vrp")
assert VENDOR.filters is not None
FILTERS = VENDOR.filters

SHOWN = (
    " Total quantity of nonempty ACL number is 2 \r\n\r\nBasic ACL 2000, 2 rules\r\nAcl's step is 5\r\n"
    " rule 5 permit source 192.0.2.34 0 (94 matches)\r\n rule 10 permit source 198.51.100.152 0.0.0.3 (24 matches)\r\n"
    "\r\nAdvanced ACL EDGE 3998, 1 rule\r\nAcl's step is 5\r\n"
    " rule 5 deny tcp destination 192.0.2.0 0.0.0.255 destination-port range 50 80 (8 matches)\r\n"
    ' rule 5 description "x"\r\n'
    "\r\nAdvanced ACL empty 3999, 0 rule\r\nAcl's step is 5\r\n"
)


def test_reading() -> None:
    """Names stand before numbers, counters and totals are no words, and descriptions are comments."""
    basic, edge, empty = FILTERS.read_lists([SHOWN])
    assert [str(rule.source.spans[0]) for rule in basic.rules] == ["192.0.2.34", "198.51.100.152/30"]
    assert (edge.name, edge.extra, edge.rules[0].comment) == ("EDGE", (("number", "3998"),), '"x"')
    assert edge.rules[0].destination == Endpoint((parse("192.0.2.0/24"),), ports=((50, 80),))
    assert (empty.name, empty.rules) == ("empty", ())


def test_writing() -> None:
    """A numbered list is entered by number, a named one by name with its type behind."""
    rule = Rule("deny", 4, source=Endpoint((parse("203.0.113.7"),)), comment="bad")
    assert FILTERS.write_list(Acl("3000", 4, "", (rule,))) == (
        "acl number 3000",
        "rule 0 deny ip source 203.0.113.7 0",
        "rule 0 description bad",
        "quit",
    )
    assert FILTERS.write_list(Acl("edge", 4, "", (rule,)))[0] == "acl name edge advance"
    six = Rule("permit", 6, "icmpv6", source=Endpoint((parse("2001:db8::/32"),)))
    assert FILTERS.write_list(Acl("3001", 6, "", (six,)))[:2] == (
        "acl ipv6 number 3001",
        "rule 0 permit icmpv6 source 2001:db8::/32",
    )
    with pytest.raises(UsageError, match="no address groups"):
        FILTERS.write_list(Acl("3000", 4, "", (Rule("deny", 4, source=Endpoint(group="g")),)))


def test_editing() -> None:
    """An edit enters the list by its name and types what differs."""
    edge = FILTERS.read_lists([SHOWN])[1]
    new = Rule("permit", 4, "icmp")
    assert FILTERS.edit_list(edge, replace(edge, rules=(*edge.rules, new))) == (
        "acl name EDGE",
        "rule 10 permit icmp",
        "quit",
    )


@pytest.mark.skipif(not CAPTURES.is_dir(), reason=WITHOUT)
def test_captures() -> None:
    """What a real router printed is read without a line lost."""
    (path,) = (CAPTURES / "huawei_vrp" / "display_acl_all").iterdir()
    acls = FILTERS.read_lists([path.read_bytes().decode("latin1")])
    assert {acl.name: len(acl.rules) for acl in acls} == {
        "2000": 7, "2500": 1, "3997": 1, "REGLE_NAT": 4, "qsdqsd": 0,
    }  # fmt: skip
    assert not any(acl.unknown for acl in acls)
