"""Set a device up for blocking, once: remedy's groups, and the drop rule on them at the top of every gate.

Decides the order and what must hold; an incident then only adds and removes members. Leaves to others: the vendor's
words, and where its own limits forbid it (the vendor's file refuses, saying what to paste).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from remedy.actions import params
from remedy.actions.perimeter import device as typing
from remedy.actions.perimeter.device import BLOCKED, Desk
from remedy.actions.perimeter.members import place
from remedy.core.canon import canonical
from remedy.core.errors import Refused
from remedy.core.ports import Reader
from remedy.core.values import Change, Context, Expect, Plan, Probe, Site, Target, wanted
from remedy.devices import Gate, Group
from remedy.probes import device

_READY = wanted({"state": "ready", "why": ""})


@dataclass(frozen=True, slots=True)
class Prepare:
    """Bring the drop rule to the top of every gate. `vendor` and `gates` are the inventory's.

    `families` are 4 and 6, or one of them. `seconds` is the device's own timer.
    """

    name: ClassVar[str] = "prepare"
    vendor: str = ""
    gates: tuple[Gate, ...] = ()
    families: tuple[int, ...] = (4, 6)
    seconds: int = 120

    def plan(self, target: Target, site: Site, context: Context, reader: Reader) -> Plan:  # noqa: ARG002 -- the port's
        """Read the device and say exactly what would be typed. Raises Refused, TargetUnfit, UsageError."""
        desk = Desk.of(target.name, self.vendor, self.gates, reader)
        pairs = [(gate, BLOCKED[family]) for gate in desk.gates for family in self.families]
        probes = [probe for gate, group in pairs for probe in _asked(desk, gate, group)]
        answers = desk.ask(probes)
        states, texts = answers[::2], answers[1::2]
        steps = [
            _step(desk, gate, group, state, said)
            for (gate, group), state, said in zip(pairs, states, texts, strict=True)
            if state["state"] != "ready"
        ]
        expects = tuple(
            Expect(
                f"the drop rule on {group.name} stands first at {place(gate)}, read over a new login",
                desk.name,
                device.gate(desk.vendor, gate, group),
                _READY,
                fresh=True,
                layer="perimeter",
            )
            for gate, group in pairs
        )
        plan = Plan(
            action=self.name,
            target=target.name,
            run=context.run,
            incident=context.incident,
            anchor=context.anchor,
            params=params(self),
            changes=tuple(steps),
            expects=expects,
            facts=canonical([*states]).decode(),
        )
        if not steps:
            return replace(plan, notes=(f"{target.name} is prepared already",))
        first = steps[0]
        guard, why_not = desk.timer(self.seconds, expects[0].probe, first.before, context.run)
        if guard is not None and first.seen is not None:
            guard = replace(guard, seen=first.seen)
        undo = [line for step in reversed(steps) if step.undo for line in step.undo.stdin.splitlines()]
        return replace(
            plan,
            keep=(typing.save(desk.name, desk.vendor),),
            guard=guard,
            notes=("nothing is blocked by this: the groups are empty", *typing.unproven_timer(why_not)),
            card=typing.card(plan, desk.vendor, undo),
        )


def _asked(desk: Desk, gate: Gate, group: Group) -> tuple[Probe, Probe]:
    """What is asked of one gate: whether the rule is ready, and the texts that the vendor's lines are made from."""
    return device.gate(desk.vendor, gate, group), device.texts(desk.vendor, desk.groups.ask_gate(gate, group))


def _step(desk: Desk, gate: Gate, group: Group, state: dict[str, str], texts: list[str]) -> Change:
    """One gate and family. Raises Refused where something that is not remedy's stands in the place."""
    if state["state"] == "foreign":
        raise Refused(
            f"{place(gate)} on {desk.name} has something that is not remedy's: {state['why']}",
            where=desk.name,
            hint="rename or remove it on the device, then prepare again",
        )
    return Change(
        why=f"the drop rule on {group.name} at the top of {place(gate)}",
        at=desk.name,
        do=typing.configure(desk.groups.prepare(gate, group, texts)),
        undo=typing.configure(desk.groups.unprepare(gate, group, texts), through=True),
        seen=device.gate(desk.vendor, gate, group),
        before=wanted({"state": state["state"], "why": state["why"]}),
        after=_READY,
        layer="perimeter",
    )


ACTION = Prepare
