"""What every change of a network device has in common: typed lines, the device's own timer, saving at the end.

Decides how lines become commands, and that nothing is saved before it was confirmed over a fresh login. Leaves to
others: which lines (the vendor's file), and the order of arming, reading back, confirming and keeping (the engine).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

from remedy import devices
from remedy.core.errors import Refused, TargetUnfit, UsageError
from remedy.core.ports import Reader
from remedy.core.values import Change, Command, Guard, Plan, Probe, wanted
from remedy.devices import Gate, Group, Lines, Vendor
from remedy.devices.addresses import Span
from remedy.probes import device

__all__ = ["BLOCKED", "ISOLATED", "PURPOSES", "Desk", "Holding", "configure", "groups_of", "isolating", "save"]

#: The groups that remedy blocks attackers with, by family, and those of hosts that are cut off from the world.
BLOCKED: Final = {4: Group("remedy-block", 4), 6: Group("remedy-block6", 6)}
ISOLATED: Final = {4: Group("remedy-isolated", 4), 6: Group("remedy-isolated6", 6)}
#: What a gate is set up for, by the word that `acl prepare` takes.
PURPOSES: Final = {"block": BLOCKED, "isolate": ISOLATED}
#: Seconds that typing may take: a line costs a round trip and the device's own work.
_FIXED, _PER_LINE = 60, 1


@dataclass(frozen=True, slots=True)
class Holding:
    """What a group of a device holds now, and `texts`, what the device printed of it."""

    vendor: Vendor
    group: Group
    texts: tuple[str, ...]
    spans: tuple[Span, ...]
    absent: bool

    def labels(self, spans: Sequence[Span]) -> list[str]:
        """These as `probes.device.progress` tells them apart, there already or not."""
        return device.labels(self.vendor, self.group, spans, self.texts)

    def add(self, spans: Sequence[Span]) -> Lines:
        """What is typed to add these; nothing for none."""
        return device.vendor_groups(self.vendor).add(self.group, spans, self.texts) if spans else ()

    def remove(self, spans: Sequence[Span]) -> Lines:
        """What is typed to remove these; nothing for none."""
        return device.vendor_groups(self.vendor).remove(self.group, spans, self.texts) if spans else ()


@dataclass(frozen=True, slots=True)
class Desk:
    """One device as an action sees it: who it is, what it is, where its gates are, and how to ask it."""

    name: str
    vendor: Vendor
    reader: Reader
    gates: tuple[Gate, ...] = field(default=())

    @classmethod
    def of(cls, name: str, vendor: str, gates: Sequence[Gate], reader: Reader) -> Desk:
        """Make it. Raises UsageError for an unknown platform, TargetUnfit for one that cannot block by group."""
        known = devices.named(vendor)
        if known.groups is None:
            raise TargetUnfit(f"{known.title} cannot block by group", where=name, hint="block on another device")
        if not gates:
            raise UsageError(
                f"the inventory says nowhere where {name} lets the outside in",
                where=name,
                hint="in its variables: remedy_gates: [{interface: GigabitEthernet0/1, acl: OUTSIDE-IN}]",
            )
        return cls(name, known, reader, tuple(gates))

    @property
    def groups(self) -> devices.Groups:
        """The vendor's groups."""
        return device.vendor_groups(self.vendor)

    def ask(self, probes: Sequence[Probe]) -> tuple[Any, ...]:
        """Ask the device itself."""
        return cast("tuple[Any, ...]", self.reader.ask(probes, at=self.name))

    def look(self, groups: Sequence[Group], probes: Sequence[Probe]) -> tuple[dict[Group, Holding], tuple[Any, ...]]:
        """What these groups hold, and the answers to further questions, in one round trip. Raises AnswerUnusable."""
        asked = [device.texts(self.vendor, self.groups.ask_members(group)) for group in groups]
        answers = self.ask([*asked, *probes])
        found = {}
        for group, texts in zip(groups, answers, strict=False):
            seen = device.members_of(self.vendor, group, texts)
            found[group] = Holding(self.vendor, group, tuple(texts), tuple(sorted(seen.spans)), seen.absent)
        return found, answers[len(groups) :]

    def timer(self, seconds: int, seen: Probe, before: str, run: str) -> tuple[Guard | None, str]:
        """The device's own revert timer as a guard, or None and why there is none.

        Raises Refused while one runs that somebody else has started, or a run of ours that was broken off.
        """
        timed = self.vendor.timer
        if timed is None:
            return None, f"{self.vendor.title} has no timer that takes a change back by itself"
        if ask := timed.ask_able():
            texts = self.ask([device.texts(self.vendor, ask)])[0]
            if why := timed.read_able(texts):
                return None, why
        revert = timed.revert(seconds)
        state = device.timer(self.vendor, revert.ask)
        if revert.ask and self.ask([state])[0] == "armed":
            raise Refused(
                f"{self.name} is about to go back by itself: a change of somebody's waits to be confirmed",
                where=self.name,
                hint="remedy resume, if it is a run of yours; else wait for its end, or ask who made it",
            )
        return Guard(
            why=f"unless confirmed over a fresh login within {seconds} s, the device itself goes back (run {run})",
            at=self.name,
            seconds=seconds,
            arm=_typed(revert.arm_mode, revert.arm),
            disarm=_typed(revert.confirm_mode, revert.confirm),
            state=state,
            seen=seen,
            fallen=before,
            again=_typed(revert.arm_mode, revert.again) if revert.again else None,
        ), ""


def isolating(gates: Sequence[Gate]) -> tuple[Gate, ...]:
    """The gates of isolated hosts that follow from those of attackers: inwards to the host, and outwards from it.

    Where an attacker is the source the host is the destination, and the other way round in the other direction.
    The list of the other direction is whatever is applied there, unless the inventory has that gate as well.
    """
    turned = {"source": "destination", "destination": "source", "in": "out", "out": "in"}
    found: dict[tuple[str, str, str], Gate] = {}
    for gate in gates:
        found[gate.interface, gate.zone, gate.direction] = replace(gate, matches=turned[gate.matches])
    for gate in gates:
        other = replace(gate, acl="", direction=turned[gate.direction])
        found.setdefault((gate.interface, gate.zone, other.direction), other)
    return tuple(found.values())


def groups_of(families: Sequence[int]) -> tuple[Group, ...]:
    """Remedy's groups of these families."""
    return tuple(BLOCKED[family] for family in sorted(set(families)))


def _typed(mode: str, lines: Sequence[str], *words: str) -> Command:
    seconds = _FIXED + _PER_LINE * len(lines)
    return Command((mode, *words), stdin="".join(f"{line}\n" for line in lines), root=False, seconds=seconds)


def configure(lines: Sequence[str], *, through: bool = False) -> Command:
    """Lines typed in configuration mode; with `through` a refused line does not stop the rest (a way back)."""
    return _typed("configure", lines, *(["through"] if through else []))


def save(name: str, vendor: Vendor, layer: str = "perimeter") -> Change:
    """The configuration is saved: only after it was confirmed, and again after it was taken back."""
    return Change(
        why=f"save the configuration of {name}",
        at=name,
        do=_typed("exec", vendor.terminal.save),
        essential=False,
        layer=layer,
        repeats=True,
    )


def step(at: str, why: str, do: Sequence[str], undo: Sequence[str], seen: Probe) -> Change:
    """Lines typed at a device, shown by a probe that answers "before", "halfway" or "after".

    What was broken off is typed again, or taken back, whatever of it is there already.
    """
    return Change(
        why=why,
        at=at,
        do=configure(do),
        again=configure(do, through=True),
        undo=configure(undo, through=True),
        seen=seen,
        before=wanted("before"),
        after=wanted("after"),
        halfway=wanted("halfway"),
        layer="perimeter",
    )


def guarded(plan: Plan, desk: Desk, steps: Sequence[Change], seen: Probe, *, undo: Sequence[str], seconds: int) -> Plan:
    """The plan with these steps under the device's own timer, saved once confirmed, and how to take them back by hand.

    `seen` answers "before" once the timer has gone off.
    """
    guard, why_not = desk.timer(seconds, seen, wanted("before"), plan.run)
    return replace(
        plan,
        changes=tuple(steps),
        keep=(save(desk.name, desk.vendor),),
        guard=guard,
        notes=(*plan.notes, *unproven_timer(why_not)),
        card=card(desk, undo),
    )


def card(desk: Desk, undo: Sequence[str]) -> tuple[str, ...]:
    """What an administrator types on the console to take it back."""
    lines = [f"# on the console of {desk.name} ({desk.vendor.title}), in configuration mode:", *undo]
    return (*lines, "# then, back in the top mode:", *desk.vendor.terminal.save)


def unproven_timer(why: str) -> tuple[str, ...]:
    """The note for a device without a timer."""
    return (f"no timer on the device: {why}",) if why else ()
