"""Two readings of the same references: the vendors' lines against the lab's devices, which were written apart.

What a vendor's file generates, the device takes without a refusal; what the device then shows, the vendor's file reads
as what was meant.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.lab.devices.rig import Desk, desk

from remedy.devices import Gate, Group, Vendor, named
from remedy.devices.acl import ANY, Acl, Endpoint, Rule
from remedy.devices.addresses import Span, parse
from remedy.lab.devices.enforce import Heard, Neighbour

FACES = {"comware": "h3c_comware", "comware5": "h3c_comware5", "secpath": "h3c_secpath"}
GROUPS = (Group("remedy-block", 4), Group("remedy-block6", 6))
MEMBERS = {
    4: ("203.0.113.7", "198.51.100.0/24", "192.0.2.4-192.0.2.9"),
    6: ("2001:db8::7", "2001:db8:1::/48", "2001:db8:2::1-2001:db8:2::9"),
}
GATES = {
    "comware": (Gate(acl="3000", interface="GigabitEthernet1/0/1"), Gate(interface="GigabitEthernet1/0/2")),
    "comware5": (Gate(interface="GigabitEthernet1/0/1"),),
    "secpath": (Gate(zone="Untrust"), Gate()),
}
THERE = {
    "comware": (
        "acl advanced 3000", "rule 5 permit tcp destination-port eq 80", "acl ipv6 advanced 3000", "rule 5 permit ipv6",
        "interface g1/0/1", "packet-filter 3000 inbound", "packet-filter ipv6 3000 inbound",
    ),
    "comware5": ("acl number 3000", "rule 5 permit tcp", "interface g1/0/2", "packet-filter 3000 inbound"),
    "secpath": (
        "security-zone name Untrust", "import interface g1/0/1", "security-policy ip", "rule name web", "action pass",
        "security-policy ipv6", "rule name web", "action pass",
    ),
}  # fmt: skip


class Admin:
    """Somebody who types a vendor's lines at a device."""

    def __init__(self, at: Desk, vendor: Vendor) -> None:
        """In user view."""
        self.at = at
        self.vendor = vendor

    async def ask(self, lines: Sequence[str]) -> list[str]:
        """What lines that show print."""
        del self.at.login.views[1:]
        return [await self.at.type(line) for line in lines]

    async def configure(self, lines: Sequence[str]) -> None:
        """Type lines in configuration mode; none may be refused, none may say anything."""
        del self.at.login.views[1:]
        await self.at.accept("system-view")
        for line in lines:
            assert await self.at.type(line) == "", line


def with_admin(face: str, work: Callable[[Admin], Awaitable[None]]) -> None:
    """Do something at a device with other people's rules on it."""

    async def run() -> None:
        async with desk(face) as at:
            admin = Admin(at, named(FACES[face]))
            await admin.configure(THERE[face])
            await work(admin)

    asyncio.run(run())


async def lines(
    admin: Admin,
    write: Callable[[Group, Sequence[Span], Sequence[str]], Sequence[str]],
    group: Group,
    spans: Sequence[Span],
) -> Sequence[str]:
    """What adds or removes members, given what the device shows of them."""
    groups = admin.vendor.groups
    assert groups is not None
    return write(group, spans, await admin.ask(groups.ask_members(group)))


@pytest.mark.parametrize("group", GROUPS, ids=lambda g: g.name)
@pytest.mark.parametrize(("face", "gate"), [(face, gate) for face, gates in GATES.items() for gate in gates])
def test_a_gate_is_prepared_filled_emptied_and_taken_back(face: str, gate: Gate, group: Group) -> None:
    """Each step is read back as done, the rule stands first, and in the end the configuration is that of before."""
    groups = named(FACES[face]).groups
    assert groups is not None

    async def work(admin: Admin) -> None:
        before = admin.at.device.face.running()

        async def state() -> str:
            return groups.read_gate(gate, group, await admin.ask(groups.ask_gate(gate, group))).state

        async def members() -> set[Span]:
            found = groups.read_members(group, await admin.ask(groups.ask_members(group)))
            assert not found.unknown
            return set(found.spans)

        assert await state() == "absent"
        await admin.configure(groups.prepare(gate, group, await admin.ask(groups.ask_gate(gate, group))))
        spans = [said for text in MEMBERS[group.family] for said in groups.sayable(parse(text))]
        await admin.configure(await lines(admin, groups.add, group, spans))
        assert (await state(), await members()) == ("ready", set(spans))
        admin.at.device.hurry()
        wanted = (await admin.at.wanted()).wanted
        first = [s.rules[0].rule for s in wanted.stages if s.family == group.family and s.rules]
        assert any((rule.action, rule.source.group) in {("deny", group.name), ("deny", "")} for rule in first)
        dropped = [s for t in wanted.stages for p in t.rules if p.rule.action == "deny" for s in p.rule.source.spans]
        assert set(wanted.groups.get(group.name, dropped)) == set(spans)
        await admin.configure(await lines(admin, groups.remove, group, spans[1:]))
        assert await members() == {spans[0]}
        await admin.configure(await lines(admin, groups.remove, group, spans[:1]))
        await admin.configure(groups.unprepare(gate, group, await admin.ask(groups.ask_gate(gate, group))))
        assert await state() == "absent"
        assert admin.at.device.face.running() == before

    with_admin(face, work)


@pytest.mark.parametrize(("face", "failed"), [("comware", "3000"), ("secpath", "*")])
def test_what_has_no_resources_is_read_as_inactive(face: str, failed: str) -> None:
    """A rule marked `(Failed)` or `(Inactive)` is never taken for one that acts."""
    groups, gate, group = named(FACES[face]).groups, GATES[face][0], GROUPS[0]
    assert groups is not None

    async def work(admin: Admin) -> None:
        await admin.configure(groups.prepare(gate, group, await admin.ask(groups.ask_gate(gate, group))))
        admin.at.device.faults.change({"failed": [failed]})
        assert groups.read_gate(gate, group, await admin.ask(groups.ask_gate(gate, group))).state == "inactive"

    with_admin(face, work)


V4 = st.integers(0, 2**32 - 1)
PREFIXES = st.builds(
    lambda n, size: Span(4, n >> size << size, (n >> size << size) + 2**size - 1), V4, st.integers(0, 31)
)
PORTS = st.one_of(
    st.just(()),
    st.builds(lambda n: ((n, n),), st.integers(1, 65535)),
    st.builds(lambda a, b: ((min(a, b), max(a, b)),), st.integers(1, 65534), st.integers(1, 65534)),
)
SIDES = st.one_of(st.just(ANY), st.builds(lambda span: Endpoint((span,)), PREFIXES))
RULES = st.builds(
    lambda action, protocol, source, target, ports, log: Rule(
        action,
        4,
        protocol,
        source,
        replace(target, ports=ports) if protocol in {"tcp", "udp"} else target,
        log=log,
    ),
    st.sampled_from(["permit", "deny"]),
    st.sampled_from(["ip", "tcp", "udp", "icmp", "89"]),
    SIDES,
    SIDES,
    PORTS,
    st.booleans(),
)


@given(st.lists(RULES, min_size=1, max_size=6, unique_by=lambda r: replace(r, log=False)))
@settings(max_examples=30)
def test_a_list_is_taken_and_read_back(rules: list[Rule]) -> None:
    """Every list that the vendor's file writes for the switch is accepted there, and shown as the same rules."""
    numbered = tuple(replace(rule, number=n * 5) for n, rule in enumerate(rules))
    acl = Acl("3001", 4, kind="advanced", rules=numbered, step=5)
    filters = named("h3c_comware").filters
    assert filters is not None

    async def work(admin: Admin) -> None:
        await admin.configure(filters.write_list(acl))
        found = {a.name: a for a in filters.read_lists(await admin.ask(filters.ask_lists()))}["3001"]
        assert found.rules == acl.rules
        assert not found.unknown

    with_admin("comware", work)


def test_a_port_is_found_moved_shut_and_given_back() -> None:
    """The host behind an address is found on its port, which moves to another VLAN and comes back as it was."""
    switch = named("h3c_comware").switch
    assert switch is not None

    async def work(admin: Admin) -> None:
        enforcer = await admin.at.wanted()
        enforcer.table = (Heard("02:00:00:00:00:07", 20, "GigabitEthernet1/0/3"),)
        enforcer.arp = (Neighbour("10.0.20.7", "02:00:00:00:00:07", "Vlan-interface20"),)
        await admin.configure(("vlan 20", "vlan 99", "interface g1/0/3", "port access vlan 20", "description web01"))
        before = admin.at.device.face.running()
        mac = switch.read_arp("10.0.20.7", await admin.ask(switch.ask_arp("10.0.20.7")))
        (name,) = switch.read_mac(mac, await admin.ask(switch.ask_mac(mac)))
        port = switch.read_port(name, await admin.ask(switch.ask_port(name)))
        assert (port.mode, port.vlan, port.up, port.macs, port.description, port.unknown) == (
            "access", 20, True, ("02:00:00:00:00:07",), "web01", (),
        )  # fmt: skip
        await admin.configure((*switch.move(port, 99), *switch.shut(port, down=True)))
        moved = switch.read_port(name, await admin.ask(switch.ask_port(name)))
        assert (moved.vlan, moved.up) == (99, False)
        await admin.configure((*switch.move(moved, 20), *switch.shut(moved, down=False)))
        assert admin.at.device.face.running() == before

    with_admin("comware", work)
