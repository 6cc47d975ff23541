"""Set a gate of a device up for blocking, once: remedy's group, and the drop rule on it at the top.

One gate and family at a time, because what has to be typed for the next depends on what is there by then. An incident
then only adds and removes members. Leaves to others: the vendor's words, and where its own limits forbid it (the
vendor's file refuses, saying what to paste).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

from remedy.actions import begin
from remedy.actions.perimeter import device as typing
from remedy.actions.perimeter.device import PURPOSES, Desk
from remedy.actions.perimeter.members import place
from remedy.core.canon import canonical
from remedy.core.errors import Refused
from remedy.core.ports import Reader
from remedy.core.values import Context, Expect, Plan, Site, Target, wanted
from remedy.devices import Gate
from remedy.probes import device

_READY = wanted({"state": "ready", "why": ""})


@dataclass(frozen=True, slots=True)
class Prepare:
    """Bring the drop rule to the top of a gate. `vendor` and `gate` are the inventory's, `family` is 4 or 6.

    `purpose` is whose addresses the group will hold: attackers' ("block") or cut-off hosts' ("isolate"), whose gates
    are `perimeter.device.isolating`'s. `seconds` is the device's own timer.
    """

    name: ClassVar[str] = "prepare"
    vendor: str = ""
    gate: Gate = field(default_factory=Gate)
    family: int = 4
    seconds: int = 120
    purpose: str = "block"

    def plan(self, target: Target, site: Site, context: Context, reader: Reader) -> Plan:  # noqa: ARG002 -- the port's
        """Read the device and say exactly what would be typed. Raises Refused, TargetUnfit, UsageError."""
        desk = Desk.of(target.name, self.vendor, (self.gate,), reader)
        gate, group = self.gate, PURPOSES[self.purpose][self.family]
        seen = device.gate(desk.vendor, gate, group)
        ask = device.texts(desk.vendor, desk.groups.ask_gate(gate, group))
        state, texts, held = desk.ask([seen, ask, device.members(desk.vendor, (group,))])
        why = f"the drop rule on {group.name} stands first at {place(gate)}, read over a new login"
        plan = replace(
            begin(self, target, context),
            expects=(Expect(why, desk.name, seen, _READY, fresh=True, layer="perimeter"),),
            facts=canonical(state).decode(),
        )
        if state["state"] == "ready":
            return replace(plan, notes=(f"{place(gate)} is prepared for IPv{self.family} already",))
        if state["state"] == "foreign":
            raise Refused(
                f"{place(gate)} on {desk.name} has something that is not remedy's: {state['why']}",
                where=desk.name,
                hint="rename or remove it on the device, then prepare again",
            )
        do, undo = desk.groups.prepare(gate, group, texts), desk.groups.unprepare(gate, group, texts)
        found = device.standing(state["state"], there=held[group.name] is not None)
        beside = desk.groups.read_gate(gate, group, texts).beside
        how_far = device.setup(desk.vendor, gate, group, found, beside)
        step = typing.step(desk.name, f"the drop rule on {group.name} at the top of {place(gate)}", do, undo, how_far)
        plan = replace(plan, notes=("nothing is blocked by this: the group is empty",))
        return typing.guarded(plan, desk, (step,), how_far, undo=undo, seconds=self.seconds)


ACTION = Prepare
