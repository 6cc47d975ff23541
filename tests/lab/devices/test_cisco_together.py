"""Cisco's references, read twice: what remedy types at a gate, the lab's devices understand, and the other way round.

Neither knows the other's reading: `remedy.devices` writes and reads, the faces answer.
"""

from __future__ import annotations

import asyncio

import pytest
from tests.lab.devices.rig import Desk, desk

from remedy import devices
from remedy.devices import Gate, Group
from remedy.devices.addresses import parse
from remedy.lab import appliances
from remedy.lab.topology import topology

_MEMBERS = {
    4: ("203.0.113.7", "198.51.100.0/24", "192.0.2.3-192.0.2.9"),
    6: ("2001:db8:66::1", "2001:db8:77::/48"),
}


async def _show(at: Desk, lines: tuple[str, ...]) -> list[str]:
    return [await at.type(line) for line in lines]


async def _configure(at: Desk, lines: tuple[str, ...]) -> None:
    for line in ("configure terminal", *lines, "end"):
        said = await at.type(line)
        assert not at.login.refused, f"{line}: {said}"


@pytest.mark.parametrize(("host", "family"), [("core01", 4), ("core01", 6), ("asa01", 4), ("asa01", 6)])
def test_a_gate_is_prepared_filled_emptied_and_taken_back(host: str, family: int) -> None:
    """At the lab's own gates the rule is read as ready, members as they were added, and taking back leaves no trace."""
    appliance = appliances.APPLIANCES[host]
    vendor, group = devices.named(appliance.platform), Group("remedy-block" + "6" * (family == 6), family)
    groups = vendor.groups
    assert groups is not None
    gate = Gate(**appliance.gates[0])
    spans = [part for text in _MEMBERS[family] for part in groups.sayable(parse(text))]

    async def run() -> None:
        async with desk(appliance.face, name=host, secrets={}, ports=list(appliance.ports)) as at:
            factory = appliances.factory(topology(extra=(host,))[host])
            assert await at.device.load(factory) == []
            before = at.device.face.running()

            async def state() -> tuple[str, list[str]]:
                texts = await _show(at, groups.ask_gate(gate, group))
                return groups.read_gate(gate, group, texts).state, texts

            async def members() -> list[str]:
                found = groups.read_members(group, await _show(at, groups.ask_members(group)))
                assert not found.unknown
                return sorted(str(span) for span in found.spans)

            assert (await state())[0] == "absent"
            await _configure(at, groups.prepare(gate, group, (await state())[1]))
            assert (await state())[0] == "ready"
            assert await members() == []
            await _configure(at, groups.add(group, spans, ()))
            assert await members() == sorted(str(span) for span in spans)
            await _configure(at, groups.remove(group, spans, ()))
            assert await members() == []
            await _configure(at, groups.unprepare(gate, group, (await state())[1]))
            assert at.device.face.running() == before

    asyncio.run(run())
