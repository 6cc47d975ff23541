"""What every vendor promises, asked of each that the folder holds."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.devices.models import Asa, Cisco, Comware, Model, SecPath

from remedy.core.errors import RemedyError, UsageError
from remedy.devices import Gate, Group, Groups, Lines, Vendor, registered
from remedy.devices.acl import ANY, Acl, Endpoint, Ports, Rule
from remedy.devices.addresses import Span, merged

VENDORS = registered()
GROUPED = [name for name, vendor in VENDORS.items() if vendor.groups]
FILTERED = [name for name, vendor in VENDORS.items() if vendor.filters]
SWITCHED = [name for name, vendor in VENDORS.items() if vendor.switch]

#: What kind of list each vendor is asked for, and under which name; (IPv4, IPv6).
LISTS: Final = {
    "cisco_asa": (("edge", "extended"), ("edge6", "extended")),
    "cisco_ios": (("edge", "extended"), ("edge6", "")),
    "cisco_nxos": (("edge", ""), ("edge6", "")),
    "h3c_comware": (("3000", "advanced"), ("edge6", "advanced")),
    "h3c_comware5": (("3000", "advanced"), ("3001", "advanced")),
    "h3c_secpath": (("ip", "policy"), ("ipv6", "policy")),
    "huawei_vrp": (("3000", "advanced"), ("edge6", "advanced")),
}
REFUSALS: Final = {
    "cisco": "                ^\n% Invalid input detected at '^' marker.\n",
    "hp": "                ^\n % Unrecognized command found at '^' position.\n",
    "huawei": "                ^\nError: Unrecognized command found at '^' position.\n",
}
GROUP: Final = {4: Group("remedy-block", 4), 6: Group("remedy-block6", 6)}


def model_of(name: str) -> Model:
    """A tiny device of the vendor's."""
    made: dict[str, Model] = {
        "cisco_asa": Asa(),
        "cisco_ios": Cisco(),
        "cisco_nxos": Cisco(),
        "h3c_comware": Comware(),
        "h3c_comware5": Comware(five=True),
        "h3c_secpath": SecPath(),
        "huawei_vrp": Comware(comment="description"),
    }
    return made[name]


def groups_of(vendor: Vendor) -> Groups:
    """The vendor's groups, which it has."""
    assert vendor.groups is not None
    return vendor.groups


def spans(family: int) -> st.SearchStrategy[Span]:
    """Addresses, prefixes and ranges of a family; none of everything."""
    bits = 32 if family == 4 else 128
    top = (1 << bits) - 1

    def prefix(first: int, length: int) -> Span:
        size = 1 << (bits - length)
        return Span(family, first - first % size, first - first % size + size - 1)

    return st.one_of(
        st.integers(1, top).map(lambda n: Span(family, n, n)),
        st.builds(prefix, st.integers(1, top), st.integers(8, bits)),
        st.builds(lambda a, n: Span(family, a, min(a + n, top)), st.integers(1, top), st.integers(1, 40)),
    )


def some_ports() -> st.SearchStrategy[Ports]:
    """None, one port, or one range."""
    return st.one_of(
        st.just(()),
        st.integers(1, 65534).map(lambda n: ((n, n),)),
        st.builds(lambda a, n: ((a, min(a + n, 65534)),), st.integers(1, 60000), st.integers(1, 900)),
    )


@st.composite
def rules(draw: st.DrawFn, family: int, *, plain: bool) -> Rule:
    """A rule; with `plain` one that every vendor says in one line."""
    protocol = draw(st.sampled_from(["ip", "tcp", "udp", "icmp" if family == 4 else "icmpv6", "47", "89"]))
    source, destination = (
        Endpoint(
            merged(
                next(iter(span.prefixes())) if plain else span
                for span in draw(st.lists(spans(family), max_size=1 if plain else 3))
            ),
            ports=draw(some_ports()) if protocol in {"tcp", "udp"} else (),
        )
        for _ in range(2)
    )
    comment = draw(st.sampled_from(["", "asked for by the team", "web (old)"])) if plain else ""
    return Rule(draw(st.sampled_from(["permit", "deny"])), family, protocol, source, destination, comment=comment)


@st.composite
def lists(draw: st.DrawFn, name: str, *, plain: bool, least: int = 1) -> Acl:
    """A list of a vendor's, without numbers; no rule twice."""
    family = draw(st.sampled_from([4, 6]))
    called, kind = LISTS[name][0 if family == 4 else 1]
    made = draw(st.lists(rules(family, plain=plain), min_size=least, max_size=5, unique_by=_said))
    return Acl(called, family, kind, tuple(made))


def _said(rule: Rule) -> tuple[object, ...]:
    return rule.action, rule.protocol, rule.source, rule.destination


def told(acl: Acl) -> list[Rule]:
    """The rules as their device decides by them: in order, numbers and generated names left out."""
    return [replace(rule, number=None, rest=()) for rule in acl.rules]


def only(acls: tuple[Acl, ...], acl: Acl) -> Acl:
    """The one list of that name and family."""
    found = [one for one in acls if one.name == acl.name]
    assert len(found) == 1, acls
    assert found[0].unknown == (), found[0].unknown
    return found[0]


def typed(model: Model, lines: Lines) -> None:
    """Type lines none of which may hold what cannot be typed."""
    assert all(line and line.isprintable() and "?" not in line for line in lines), lines
    model.type(lines)


@pytest.mark.parametrize("name", VENDORS)
def test_says_what_it_follows(name: str) -> None:
    """Every vendor names its reference, how far it was tried, and in its module's words what it prints."""
    vendor = VENDORS[name]
    assert vendor.name == name
    assert vendor.tried in {"emulator", "text"}
    assert vendor.reference
    assert all(len(title) > 10 for title in vendor.reference)
    assert vendor.terminal.save
    assert vendor.terminal.quiet
    assert vendor.terminal.reading
    assert vendor.terminal.running.split()[0] in vendor.terminal.reading


def test_names_are_unique() -> None:
    """No name of a platform means two vendors."""
    names = [name for vendor in VENDORS.values() for name in {vendor.name, *vendor.systems}]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", VENDORS)
def test_patterns(name: str) -> None:
    """Patterns compile, secrets' have one group each, and what a device refuses is recognised."""
    vendor = VENDORS[name]
    for pattern in (*vendor.terminal.refusals, *vendor.terminal.absent, *(p for p, _ in vendor.terminal.answers)):
        assert re.compile(pattern)
    assert all(re.compile(pattern).groups == 1 for pattern in vendor.secrets)
    assert vendor.secrets
    text = REFUSALS[vendor.driver.split("_")[0]]
    assert any(re.search(pattern, text, re.MULTILINE) for pattern in vendor.terminal.refusals)
    assert not any(re.search(pattern, text, re.MULTILINE) for pattern in vendor.terminal.absent)


@pytest.mark.parametrize("name", VENDORS)
def test_asks_only_to_see(name: str) -> None:
    """Every question begins with a word that only shows."""
    vendor = VENDORS[name]
    asked: list[str] = []
    for family, group in GROUP.items():
        if vendor.groups:
            gate = Gate(acl="", interface="GigabitEthernet1/0/1", zone="Untrust")
            asked += [*vendor.groups.ask_members(group), *vendor.groups.ask_gate(gate, group)]
        if vendor.switch:
            asked += vendor.switch.ask_arp("203.0.113.7" if family == 4 else "2001:db8::7")
    if vendor.filters:
        asked += vendor.filters.ask_lists()
    if vendor.switch:
        asked += [*vendor.switch.ask_mac("52:54:00:12:34:56"), *vendor.switch.ask_port("GigabitEthernet1/0/1")]
    if vendor.timer:
        asked += [*vendor.timer.ask_able(), *vendor.timer.revert(90).ask]
    assert asked
    assert {line.split()[0] for line in asked} <= set(vendor.terminal.reading)


@pytest.mark.parametrize("name", VENDORS)
def test_refused_questions_are_errors(name: str) -> None:
    """A refusal is never taken for an answer that nothing is there."""
    vendor = VENDORS[name]
    text = REFUSALS[vendor.driver.split("_")[0]]
    group = GROUP[4]
    gate = Gate(interface="GigabitEthernet1/0/1", zone="Untrust")
    if vendor.groups:
        with pytest.raises(RemedyError):
            vendor.groups.read_members(group, [text] * len(vendor.groups.ask_members(group)))
        with pytest.raises(RemedyError):
            vendor.groups.read_gate(gate, group, [text] * len(vendor.groups.ask_gate(gate, group)))
    if vendor.filters:
        with pytest.raises(RemedyError):
            vendor.filters.read_lists([text] * len(vendor.filters.ask_lists()))
    if vendor.switch:
        port = "GigabitEthernet1/0/1"
        with pytest.raises(RemedyError):
            vendor.switch.read_mac("52:54:00:12:34:56", [text])
        with pytest.raises(RemedyError):
            vendor.switch.read_port(port, [text] * len(vendor.switch.ask_port(port)))


@pytest.mark.parametrize("name", GROUPED)
@settings(max_examples=40)
@given(data=st.data())
def test_members(name: str, data: st.DataObject) -> None:
    """What is added is what is read, what is removed is gone, and nothing else comes or goes."""
    groups = groups_of(VENDORS[name])
    family = data.draw(st.sampled_from([4, 6]))
    group = GROUP[family]
    model = model_of(name)
    base = merged(data.draw(st.lists(spans(family), min_size=1, max_size=4)))
    more = merged(data.draw(st.lists(spans(family), min_size=1, max_size=4)))
    base = tuple(part for span in base for part in groups.sayable(span))
    more = tuple(part for span in more for part in groups.sayable(span) if part not in base)

    def held() -> tuple[Span, ...]:
        read = groups.read_members(group, [model.show(line) for line in groups.ask_members(group)])
        assert not read.unknown
        return read.spans

    def add(spans: tuple[Span, ...]) -> Lines:
        """Add them; what takes them back, as it was known before."""
        texts = [model.show(line) for line in groups.ask_members(group)]
        places = groups.places(group, spans, texts)
        assert places == () or len(set(places)) == len(spans)
        back = groups.remove(group, spans, texts)
        typed(model, groups.add(group, spans, texts))
        after = [model.show(line) for line in groups.ask_members(group)]
        assert groups.places(group, spans, after) == places, "they have the numbers that they were to get"
        assert groups.remove(group, spans, after) == back
        return back

    assert groups.read_members(group, [model.show(line) for line in groups.ask_members(group)]).absent
    add(base)
    assert set(held()) == set(base)
    if more:
        back = add(more)
        assert set(held()) == {*base, *more}
        typed(model, back)
    assert held() == base


@pytest.mark.parametrize("name", GROUPED)
@settings(max_examples=40)
@given(data=st.data())
def test_sayable(name: str, data: st.DataObject) -> None:
    """What a group can say of a span is the span, in parts that do not overlap."""
    groups = groups_of(VENDORS[name])
    span = data.draw(st.one_of(spans(4), spans(6)))
    parts = groups.sayable(span)
    assert merged(parts) == (span,)
    assert sum(part.size for part in parts) == span.size


@pytest.mark.parametrize("name", FILTERED)
@settings(max_examples=40)
@given(data=st.data())
def test_written_lists_read_back(name: str, data: st.DataObject) -> None:
    """The lines of a list, typed, show the same rules in the same order."""
    filters = VENDORS[name].filters
    assert filters is not None
    acl = data.draw(lists(name, plain=True))
    model = model_of(name)
    typed(model, filters.write_list(acl))
    read = only(filters.read_lists(model.lists()), acl)
    assert read.family == acl.family
    assert told(read) == told(acl)


@pytest.mark.parametrize("name", FILTERED)
@settings(max_examples=25)
@given(data=st.data())
def test_rules_of_many_addresses(name: str, data: st.DataObject) -> None:
    """A rule of many addresses and ranges means after reading back what it meant, or is refused by name."""
    filters = VENDORS[name].filters
    assert filters is not None
    acl = data.draw(lists(name, plain=False))
    acl = replace(acl, rules=acl.rules[:1])
    model = model_of(name)
    typed(model, filters.write_list(acl))
    read = told(only(filters.read_lists(model.lists()), acl))
    wanted = acl.rules[0]
    for side in ("source", "destination"):
        got = merged(span for rule in read for span in getattr(rule, side).spans)
        assert got == merged(getattr(wanted, side).spans)
        assert {getattr(rule, side).ports for rule in read} == {getattr(wanted, side).ports}
    assert {(rule.action, rule.protocol) for rule in read} == {(wanted.action, wanted.protocol)}


@pytest.mark.parametrize("name", FILTERED)
@settings(max_examples=50)
@given(data=st.data())
def test_edits(name: str, data: st.DataObject) -> None:
    """An edit makes the one list of the other, and is nothing for nothing."""
    filters = VENDORS[name].filters
    assert filters is not None
    start = data.draw(lists(name, plain=True))
    model = model_of(name)
    typed(model, filters.write_list(start))
    before = only(filters.read_lists(model.lists()), start)
    assert filters.edit_list(before, before) == ()
    kept = data.draw(st.lists(st.sampled_from(before.rules), unique=True, max_size=4))
    fresh = data.draw(st.lists(rules(before.family, plain=True), max_size=3, unique_by=_said))
    known = {_said(rule) for rule in before.rules}
    fresh = [replace(rule, comment="") for rule in fresh if _said(rule) not in known]
    kept = [replace(rule, number=None) for rule in kept]
    goal = data.draw(st.permutations([*kept, *fresh]))
    after = replace(before, rules=tuple(goal), extra=())
    try:
        lines = filters.edit_list(before, after)
    except RemedyError:
        assert not name.startswith(("h3c", "huawei"))
        return
    typed(model, lines)
    read = filters.read_lists(model.lists())
    if goal or name.startswith("h3c"):
        assert told(only(read, start)) == told(after)


@pytest.mark.parametrize("name", VENDORS)
@settings(max_examples=60)
@given(text=st.text(max_size=300), more=st.text(max_size=60))
def test_hostile_text(name: str, text: str, more: str) -> None:
    """Whatever a device prints, and whatever it is asked to be told, nothing but our errors comes of it."""
    vendor = VENDORS[name]
    gate = Gate(acl=more, interface=more, direction=more[:3] or "in", zone=more)
    place = Gate(interface="GigabitEthernet1/0/1")
    calls: list[Callable[[], object]] = []
    for group in (*GROUP.values(), Group(more, 4)):
        if vendor.groups:
            there = vendor.groups
            calls += [partial(there.read_members, group, [text] * 4)]
            calls += [
                partial(ask, place, group, [text] * 4) for ask in (there.read_gate, there.prepare, there.unprepare)
            ]
            calls += [partial(there.ask_gate, gate, group), partial(there.ask_members, group)]
    if vendor.filters:
        rule = Rule(more or "permit", 4, comment=text, rest=(more,), source=Endpoint(group=text))
        calls += [
            partial(vendor.filters.read_lists, [text]),
            partial(vendor.filters.write_list, Acl(more, 4, "", (rule,))),
            partial(vendor.filters.write_list, Acl("3000", 4, "", (replace(rule, action="permit", source=ANY),))),
        ]
    if vendor.switch:
        switch = vendor.switch
        calls += [
            partial(switch.read_mac, "52:54:00:12:34:56", [text]),
            partial(switch.read_arp, "203.0.113.7", [text]),
            partial(switch.read_port, "GigabitEthernet1/0/1", [text] * 3),
            *(partial(ask, more) for ask in (switch.ask_port, switch.ask_mac, switch.ask_arp)),
        ]
    if vendor.timer:
        calls += [partial(vendor.timer.is_running, [text]), partial(vendor.timer.read_able, [text])]
    for call in calls:
        try:
            made = call()
        except RemedyError:
            continue
        for line in made if isinstance(made, tuple) else ():
            assert not isinstance(line, str) or (line.isprintable() and "?" not in line), line


@pytest.mark.parametrize("name", FILTERED)
@settings(max_examples=60)
@given(text=st.text(max_size=60))
def test_comments_are_typed_or_refused(name: str, text: str) -> None:
    """A comment comes back as it was, or the list is refused before it is typed."""
    filters = VENDORS[name].filters
    assert filters is not None
    called, kind = LISTS[name][0]
    acl = Acl(called, 4, kind, (Rule("deny", 4, source=Endpoint((Span(4, 1, 1),)), comment=text),))
    try:
        lines = filters.write_list(acl)
    except UsageError:
        return
    model = model_of(name)
    typed(model, lines)
    assert only(filters.read_lists(model.lists()), acl).rules[0].comment == text
