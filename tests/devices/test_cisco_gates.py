"""The drop rule of IOS, NX-OS and ASA: put on top once, taken away without a trace, and never in other people's way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.worlds.cisco import CiscoDevice, Rejected

from remedy.core.errors import AnswerUnusable, Refused, UsageError
from remedy.devices import Gate, Group, Groups, registered
from remedy.devices.addresses import Span, merged, parse

BLOCK = {4: Group("remedy-block", 4), 6: Group("remedy-block6", 6)}
WAYS = [("cisco_ios", 4), ("cisco_ios", 6), ("cisco_nxos", 4), ("cisco_nxos", 6), ("cisco_asa", 4), ("cisco_asa", 6)]
NUMBERED = WAYS[:4]
OUTSIDE = "GigabitEthernet0/1"


def groups(vendor: str) -> Groups:
    """The vendor's groups."""
    found = registered()[vendor].groups
    assert found is not None
    return found


def guarded(vendor: str, family: int) -> tuple[CiscoDevice, Gate]:
    """A device with a list of its administrators' at the gate."""
    device = CiscoDevice(vendor)
    name = "edge-in6" if family == 6 and vendor != "cisco_asa" else "edge-in"
    ip = "ipv6" if family == 6 and vendor != "cisco_asa" else "ip"
    if vendor == "cisco_asa":
        device.lists[name] = [(0, "remark the shop"), (0, "extended permit tcp any any eq https")]
        device.lists[name].append((0, "extended deny ip any any log"))
    else:
        device.lists[name] = [(10, "remark the shop"), (20, "permit tcp any any eq 443"), (30, f"deny {ip} any any")]
    device.applied[OUTSIDE, "in"] = name
    return device, Gate(name, OUTSIDE)


def state(device: CiscoDevice, gate: Gate, group: Group) -> str:
    """What remedy makes of the gate now."""
    part = groups(device.vendor)
    return part.read_gate(gate, group, device.show(part.ask_gate(gate, group))).state


@pytest.mark.parametrize(("vendor", "family"), WAYS)
@pytest.mark.parametrize("matches", ["source", "destination"])
def test_prepared_on_top_and_taken_back(vendor: str, family: int, matches: str) -> None:
    """The rule comes on top of the list, acts, is not prepared twice, and goes without a trace, either way of undo."""
    device, gate = guarded(vendor, family)
    gate = Gate(gate.acl, gate.interface, matches=matches)
    part, group = groups(vendor), BLOCK[family]
    before = device.text()
    texts = device.show(part.ask_gate(gate, group))
    assert state(device, gate, group) == "absent"
    lines, back = part.prepare(gate, group, texts), part.unprepare(gate, group, texts)
    device.type(lines)
    others = [text for _, text in device.lists[gate.acl]]
    assert group.name in others[0]
    found = part.read_gate(gate, group, device.show(part.ask_gate(gate, group)))
    assert (found.state, found.hits) == ("ready", 4 if vendor == "cisco_asa" else 7)
    after = device.show(part.ask_gate(gate, group))
    assert part.prepare(gate, group, after) == ()
    later = part.unprepare(gate, group, after)
    assert set(later) == set(back)
    device.type(later)
    assert device.text() == before
    assert part.unprepare(Gate(gate.acl, gate.interface), group, device.show(part.ask_gate(gate, group)))
    device.type(lines)
    device.type(back)
    assert device.text() == before


@pytest.mark.parametrize(("vendor", "family"), NUMBERED)
def test_own_list_where_none_is_applied(vendor: str, family: int) -> None:
    """Where nothing is applied, remedy's own list permits what it does not drop, and who shares it is counted."""
    device = CiscoDevice(vendor)
    part, group = groups(vendor), BLOCK[family]
    gates = [Gate(interface=OUTSIDE), Gate(interface="GigabitEthernet0/0")]
    name = "remedy-gate" if family == 4 else "remedy-gate6"

    def beside(gate: Gate) -> int:
        return part.read_gate(gate, group, device.show(part.ask_gate(gate, group))).beside

    for shared, gate in enumerate(gates):
        texts = device.show(part.ask_gate(gate, group))
        assert beside(gate) == shared
        lines = part.prepare(gate, group, texts)
        device.type(lines)
        assert state(device, gate, group) == "ready"
        assert beside(gate) == shared
    assert beside(gates[0]) == 1, "it is applied at the other interface as well"
    turned, hosts = Gate(interface=OUTSIDE, matches="destination"), Group("remedy-isolated", family)
    texts = device.show(part.ask_gate(turned, hosts))
    device.type(part.prepare(turned, hosts, texts))
    assert beside(gates[0]) == 2, "and has the rule of isolated hosts"
    device.type(part.unprepare(turned, hosts, texts))
    ip = "ip" if family == 4 else "ipv6"
    assert [text for _, text in device.lists[name]][1:] == [f"permit {ip} any any"]
    assert set(device.applied.values()) == {name}
    device.type(part.unprepare(gates[0], group, device.show(part.ask_gate(gates[0], group))))
    assert state(device, gates[1], group) == "ready"
    device.type(part.unprepare(gates[1], group, device.show(part.ask_gate(gates[1], group))))
    assert device.text() == CiscoDevice(vendor).text()


def test_lines_of_a_preparation() -> None:
    """The lines themselves, for IOS and IPv4, IOS and IPv6, NX-OS, ASA."""
    device = CiscoDevice("cisco_ios")
    ios = groups("cisco_ios")
    gate = Gate(interface=OUTSIDE)
    assert ios.prepare(gate, BLOCK[4], device.show(ios.ask_gate(gate, BLOCK[4]))) == (
        "object-group network remedy-block",
        "host 240.0.0.1",
        "ip access-list extended remedy-gate",
        "5 deny ip object-group remedy-block any",
        "10000 permit ip any any",
        "interface GigabitEthernet0/1",
        "ip access-group remedy-gate in",
    )
    assert ios.prepare(gate, BLOCK[6], device.show(ios.ask_gate(gate, BLOCK[6]))) == (
        "object-group v6-network remedy-block6",
        "host 100::1",
        "ipv6 access-list remedy-gate6",
        "sequence 5 deny ipv6 object-group remedy-block6 any",
        "sequence 10000 permit ipv6 any any",
        "interface GigabitEthernet0/1",
        "ipv6 traffic-filter remedy-gate6 in",
    )
    nexus, gate = guarded("cisco_nxos", 4)
    nxos = groups("cisco_nxos")
    assert nxos.prepare(gate, BLOCK[4], nexus.show(nxos.ask_gate(gate, BLOCK[4]))) == (
        "object-group ip address remedy-block",
        "host 240.0.0.1",
        "ip access-list edge-in",
        "5 deny ip addrgroup remedy-block any",
    )
    firewall, gate = guarded("cisco_asa", 4)
    asa = groups("cisco_asa")
    assert asa.prepare(gate, BLOCK[4], firewall.show(asa.ask_gate(gate, BLOCK[4]))) == (
        "object-group network remedy-block",
        "network-object host 240.0.0.1",
        "access-list edge-in line 1 extended deny ip object-group remedy-block any",
    )


@pytest.mark.parametrize("vendor", ["cisco_ios", "cisco_nxos"])
def test_list_of_the_other_family(vendor: str) -> None:
    """A gate that names its IPv4 list uses the IPv6 list that is applied there, or remedy's own where none is."""
    device, found = guarded(vendor, 6)
    part, group = groups(vendor), BLOCK[6]
    gate = Gate("edge-in", OUTSIDE)
    device.type(part.prepare(gate, group, device.show(part.ask_gate(gate, group))))
    assert group.name in device.lists[found.acl][0][1]
    assert state(device, gate, group) == "ready"
    bare = CiscoDevice(vendor)
    bare.type(part.prepare(gate, group, bare.show(part.ask_gate(gate, group))))
    assert list(bare.lists) == ["remedy-gate6"]
    assert state(bare, gate, group) == "ready"


@pytest.mark.parametrize(("vendor", "family"), WAYS)
def test_shadowed_is_moved_to_the_top(vendor: str, family: int) -> None:
    """A rule that somebody put a line before is shadowed; preparing moves it up, and undoing puts it back."""
    device, gate = guarded(vendor, family)
    part, group = groups(vendor), BLOCK[family]
    device.type(part.prepare(gate, group, device.show(part.ask_gate(gate, group))))
    entries = device.lists[gate.acl]
    entries.insert(0, (0, "extended permit udp any any") if vendor == "cisco_asa" else (2, "permit udp any any"))
    before = device.text()
    found = part.read_gate(gate, group, device.show(part.ask_gate(gate, group)))
    assert found.state == "shadowed"
    assert "permit udp any any" in found.why
    texts = device.show(part.ask_gate(gate, group))
    back = part.unprepare(gate, group, texts)
    device.type(part.prepare(gate, group, texts))
    assert state(device, gate, group) == "ready"
    device.type(back)
    assert device.text() == before


@pytest.mark.parametrize(("vendor", "family"), WAYS)
def test_states_that_do_not_act(vendor: str, family: int) -> None:
    """A list that is not applied, a missing placeholder, a disabled rule and somebody else's rule are told apart."""
    device, gate = guarded(vendor, family)
    part, group = groups(vendor), BLOCK[family]
    device.type(part.prepare(gate, group, device.show(part.ask_gate(gate, group))))
    entries = list(device.lists[gate.acl])
    device.applied = {}
    assert state(device, gate, group) == "inactive"
    device.applied = {(OUTSIDE, "in"): gate.acl}
    members, device.groups[group.name] = device.groups[group.name], []
    assert state(device, gate, group) == "inactive"
    device.groups[group.name] = members
    assert state(device, gate, group) == "ready"
    if vendor == "cisco_asa":
        device.lists[gate.acl][0] = (0, entries[0][1] + " inactive")
        assert state(device, gate, group) == "inactive"
        device.type(part.prepare(gate, group, device.show(part.ask_gate(gate, group))))
        assert state(device, gate, group) == "ready"
    device.lists[gate.acl] = [(n, text.replace("deny", "permit", 1)) for n, text in entries]
    assert state(device, gate, group) == "foreign"
    with pytest.raises(Refused, match="another line on remedy-block"):
        part.prepare(gate, group, device.show(part.ask_gate(gate, group)))


@pytest.mark.parametrize(("vendor", "family"), NUMBERED)
def test_no_number_before_the_first_line(vendor: str, family: int) -> None:
    """A list that begins with line 1 is not renumbered: the reason and the line to paste are given."""
    device, gate = guarded(vendor, family)
    device.lists[gate.acl] = [(1, "permit tcp any any eq 443"), *device.lists[gate.acl][1:]]
    part, group = groups(vendor), BLOCK[family]
    with pytest.raises(Refused, match="no line number is free before line 1") as caught:
        part.prepare(gate, group, device.show(part.ask_gate(gate, group)))
    assert "resequence" in caught.value.hint or family == 6


def test_what_would_close_or_open_the_gate() -> None:
    """Nothing is put where it would close an open gate or open a closed one."""
    ios, group = groups("cisco_ios"), BLOCK[4]
    device, gate = guarded("cisco_ios", 4)
    device.lists[gate.acl] = []
    with pytest.raises(Refused, match="a first one would close it"):
        ios.prepare(gate, group, device.show(ios.ask_gate(gate, group)))
    device, gate = guarded("cisco_ios", 4)
    other = Gate("another", OUTSIDE)
    with pytest.raises(Refused, match="has the list edge-in, not another"):
        ios.prepare(other, group, device.show(ios.ask_gate(other, group)))
    nowhere = Gate("edge-in")
    device.applied = {}
    with pytest.raises(Refused, match="applied at no interface"):
        ios.prepare(nowhere, group, device.show(ios.ask_gate(nowhere, group)))
    device, gate = guarded("cisco_ios", 4)
    device.type(ios.prepare(gate, group, device.show(ios.ask_gate(gate, group))))
    device.lists[gate.acl] = device.lists[gate.acl][:1]
    with pytest.raises(Refused, match="only line of edge-in"):
        ios.unprepare(gate, group, device.show(ios.ask_gate(gate, group)))
    firewall, gate = guarded("cisco_asa", 4)
    asa = groups("cisco_asa")
    firewall.applied = {}
    for one in (gate, Gate(interface=OUTSIDE), Gate("edge-in")):
        with pytest.raises(Refused, match="security levels decide"):
            asa.prepare(one, group, firewall.show(asa.ask_gate(one, group)))


@pytest.mark.parametrize(("vendor", "family"), WAYS)
def test_other_peoples_group_and_gate_gone(vendor: str, family: int) -> None:
    """A group of another kind with our name is foreign; where the gate has changed, the rule is still taken out."""
    device, gate = guarded(vendor, family)
    part, group = groups(vendor), BLOCK[family]
    texts = list(device.show(part.ask_gate(gate, group)))
    wrong = list(texts)
    wrong[2] = f"object-group service {group.name}\n tcp eq 80\n"
    assert part.read_gate(gate, group, wrong).state == "foreign"
    with pytest.raises(Refused, match="something else"):
        part.prepare(gate, group, wrong)
    before = device.text()
    device.type(part.prepare(gate, group, texts))
    held = device.applied
    device.applied = {(OUTSIDE, "in"): "other"}
    device.type(part.unprepare(gate, group, device.show(part.ask_gate(gate, group))))
    device.applied = held
    assert device.text() == before


@pytest.mark.parametrize("vendor", ["cisco_ios", "cisco_nxos", "cisco_asa"])
def test_two_gates_share_the_group(vendor: str) -> None:
    """Taking one of two rules away leaves the group to the other."""
    device, gate = guarded(vendor, 4)
    part, group = groups(vendor), BLOCK[4]
    second = Gate(gate.acl, gate.interface, matches="destination")
    for one in (gate, second):
        device.type(part.prepare(one, group, device.show(part.ask_gate(one, group))))
    assert [state(device, one, group) for one in (gate, second)] == ["ready", "ready"]
    device.type(part.unprepare(gate, group, device.show(part.ask_gate(gate, group))))
    assert state(device, second, group) == "ready"
    device.type(part.add(group, (parse("203.0.113.7"),), ()))
    device.type(part.unprepare(second, group, device.show(part.ask_gate(second, group))))
    assert device.groups[group.name]


@st.composite
def sets(draw: st.DrawFn, family: int) -> tuple[Span, ...]:
    """Disjoint spans."""
    bits = 32 if family == 4 else 128
    base = (10 << 24) if family == 4 else 0x20010DB8 << 96
    firsts = draw(st.lists(st.integers(0, 4000), max_size=8))
    return merged(Span(family, base + n, min(base + n + draw(st.integers(0, 40)), (1 << bits) - 1)) for n in firsts)


@given(st.sampled_from(WAYS), st.data())
def test_members_round_trip(way: tuple[str, int], data: st.DataObject) -> None:
    """What is added is read back, and what is removed is gone, down to the placeholder, while the rule uses it."""
    vendor, family = way
    device, gate = guarded(vendor, family)
    part, group = groups(vendor), BLOCK[family]
    device.type(part.prepare(gate, group, device.show(part.ask_gate(gate, group))))
    wanted = [member for span in data.draw(sets(family)) for member in part.sayable(span)]
    device.type(part.add(group, wanted, ()))
    seen = part.read_members(group, device.show(part.ask_members(group)))
    assert seen.spans == tuple(wanted)
    assert (seen.absent, seen.unknown) == (False, ())
    device.type(part.remove(group, seen.spans, ()))
    assert part.read_members(group, device.show(part.ask_members(group))).spans == ()
    assert state(device, gate, group) == "ready"
    placeholder = device.groups[group.name][0]
    with pytest.raises(Rejected):
        device.type((part.add(group, (Span(family, 1, 1),), ())[0], f"no {placeholder}"))


@given(st.sampled_from(WAYS), st.data())
def test_sayable_is_the_span(way: tuple[str, int], data: st.DataObject) -> None:
    """A span's members are the span, no more and no less."""
    vendor, family = way
    for span in data.draw(sets(family)):
        assert merged(groups(vendor).sayable(span)) == (span,)


def test_members_of_others_are_shown() -> None:
    """Nested groups, names and other families are shown as not understood; refusals are no empty group."""
    ios, asa = groups("cisco_ios"), groups("cisco_asa")
    text = "Network object group remedy-block\n Description of ours\n group-object other\n host shop\n"
    text += " any\n 10.0.0.0 255.0.0.0\n"
    seen = ios.read_members(BLOCK[4], [text])
    assert [str(span) for span in seen.spans] == ["0.0.0.0/0", "10.0.0.0/8"]
    assert seen.unknown == ("group-object other", "host shop")
    text = "object-group network remedy-block\n description ours\n network-object object shop\n"
    text += " network-object host 10.1.1.1\n"
    seen = asa.read_members(BLOCK[4], [text + "object-group network other\n network-object host 10.9.9.9\n"])
    assert [str(span) for span in seen.spans] == ["10.1.1.1"]
    assert seen.unknown == ("network-object object shop",)
    assert ios.read_members(BLOCK[4], [""]).absent
    for vendor in ("cisco_ios", "cisco_asa", "cisco_nxos"):
        with pytest.raises(AnswerUnusable):
            groups(vendor).read_members(BLOCK[4], ["% Invalid input detected at '^' marker.\n"])


@pytest.mark.parametrize("vendor", ["cisco_ios", "cisco_nxos", "cisco_asa"])
def test_what_is_never_typed(vendor: str) -> None:
    """The placeholder, another family, and names with blanks, `?` or line ends are refused before they are typed."""
    part = groups(vendor)
    for span in (parse("240.0.0.1"), parse("2001:db8::1")):
        with pytest.raises(UsageError):
            part.add(BLOCK[4], (span,), ())
    for gate in (
        Gate("a b"),
        Gate("x", "Gi0/1\nreload"),
        Gate("x?"),
        Gate("x", direction="both"),
        Gate("x", matches=""),
    ):
        with pytest.raises(UsageError):
            part.ask_gate(gate, BLOCK[4])
    assert part.add(BLOCK[4], (), ()) == part.remove(BLOCK[4], (), ()) == ()


@given(st.sampled_from(WAYS), st.lists(st.text(max_size=120), min_size=4, max_size=4))
def test_hostile_answers(way: tuple[str, int], texts: list[str]) -> None:
    """Whatever the device prints, a gate is judged or the answer is called unusable."""
    vendor, family = way
    part, group = groups(vendor), BLOCK[family]
    gate = Gate("edge", OUTSIDE)
    count = len(part.ask_gate(gate, group))
    try:
        assert part.read_gate(gate, group, texts[:count]).state in ("absent", "foreign")
        assert part.read_members(group, texts[:1]).spans == ()
    except AnswerUnusable:
        return


@pytest.mark.parametrize(("vendor", "family"), WAYS)
def test_one_list_in_both_directions(vendor: str, family: int) -> None:
    """A list that is applied in both directions takes the rule of either gate, and each goes without the other."""
    device, _ = guarded(vendor, family) if vendor == "cisco_asa" else (CiscoDevice(vendor), None)
    if vendor == "cisco_asa":
        device.applied[OUTSIDE, "out"] = "edge-in"
    gates = [Gate("", OUTSIDE, matches="destination"), Gate("", OUTSIDE, "out")]
    part, group = groups(vendor), BLOCK[family]
    texts, ways_back = [device.text()], []
    for gate in gates:
        assert state(device, gate, group) == "absent"
        shown = device.show(part.ask_gate(gate, group))
        ways_back.append(part.unprepare(gate, group, shown))
        device.type(part.prepare(gate, group, shown))
        texts.append(device.text())
        assert state(device, gate, group) == "ready"
    assert state(device, gates[0], group) == "ready"
    for way_back, before in zip(ways_back[::-1], texts[-2::-1], strict=True):
        device.type(way_back)
        assert device.text() == before
