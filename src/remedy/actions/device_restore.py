"""Put a kept configuration back on a device: the fewest lines, or the device's own replace from a file it has itself.

Decides what is typed, what it was before, and what must hold afterwards: every section read back over a fresh login.
Of the kept file only sections that are typed get into the plan, and no line of theirs holds a secret.
Leaves to others: which sections differ and whether management would be cut (the command line, which has the file), and
the lines (`devices.reconfigure`).

`configuration replace file`: H3C Comware V7, Fundamentals Configuration Guide, Configuration file management,
"Configuring configuration rollback": adds what is missing, removes what is not in the file, leaves what is equal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import ClassVar, cast

from remedy import devices
from remedy.actions import begin
from remedy.actions.perimeter import device as typing
from remedy.actions.perimeter.device import Desk
from remedy.core.canon import canonical
from remedy.core.errors import Refused, StalePlan
from remedy.core.ports import Reader
from remedy.core.values import Change, Command, Context, Expect, Plan, Probe, Site, Target, wanted
from remedy.devices import Vendor
from remedy.devices.configuration import Sections, changed, fingerprint, sections
from remedy.devices.reconfigure import steps
from remedy.probes import configuration, device

_STARTUP = re.compile(r"Next main startup saved-configuration file:\s*((?:[A-Za-z0-9]+:/?)?)([\w.-]+\.cfg)")


@dataclass(frozen=True, slots=True)
class Part:
    """A section as it is to be; `there` is False where it is to be gone."""

    head: str
    lines: tuple[str, ...] = ()
    there: bool = True


@dataclass(frozen=True, slots=True)
class DeviceRestore:
    """Make these parts of a device's configuration what they were. `vendor` is the inventory's.

    `kept` names the kept configuration, `rest` is the fingerprint of all other sections, which must not have changed.
    `left` says what differs and is left for people to paste. With `whole`, the fingerprint of the whole, the device
    replaces its configuration by the file it starts with, which says the same. `seconds` is the device's own timer.
    """

    name: ClassVar[str] = "device-restore"
    vendor: str = ""
    kept: str = ""
    parts: tuple[Part, ...] = ()
    rest: str = ""
    left: tuple[str, ...] = ()
    whole: str = ""
    seconds: int = 120

    def plan(self, target: Target, site: Site, context: Context, reader: Reader) -> Plan:  # noqa: ARG002 -- the port's
        """Read the device and say exactly what would be typed. Raises Refused, AnswerUnusable, UsageError."""
        vendor = devices.named(self.vendor)
        desk = Desk(target.name, vendor, reader)
        (text,) = desk.ask([configuration.running(vendor)])
        now = sections(text)
        plan = replace(
            begin(self, target, context),
            unproven=self.left,
            facts=canonical({"running": fingerprint(now)}).decode(),
        )
        return self._replaced(plan, desk, now) if self.whole else self._edited(plan, desk, now)

    def _edited(self, plan: Plan, desk: Desk, now: Sections) -> Plan:
        vendor = desk.vendor
        keys = tuple(part.head for part in self.parts)
        if fingerprint(now, keys) != self.rest:
            raise StalePlan(
                f"the configuration of {desk.name} has changed since it was compared with {self.kept}",
                where=desk.name,
                hint="nothing was changed; look again: remedy device diff",
            )
        goal = {key: lines for key, lines in now.items() if key not in keys}
        goal |= {part.head: part.lines for part in self.parts if part.there}
        moving = tuple(key for key in changed(now, goal) if key in keys)
        seen = configuration.progress(vendor, now, goal, moving)
        do, undo = steps(vendor, now, goal, moving), steps(vendor, goal, now, moving)
        if do.left or undo.left:
            heads = ", ".join(head or "single lines" for head, *_ in (*do.left, *undo.left))
            raise Refused(f"{heads} on {desk.name} cannot be put back line by line", where=desk.name)
        why = f"{len(moving)} section{'s' if len(moving) != 1 else ''} as in {self.kept}"
        change = typing.step(desk.name, why, do.lines, undo.lines, seen)
        if any(key.split()[-1:] == [group.name] for key in moving for group in typing.BLOCKED.values()):
            said = f"the block on {desk.name} becomes what it was then: what was blocked since comes off, see the lines"
            plan = replace(plan, notes=(said,))
        return _guarded(plan, desk, (change,) if moving else (), (seen, undo.lines), self)

    def _replaced(self, plan: Plan, desk: Desk, now: Sections) -> Plan:
        vendor = desk.vendor
        saved, startup = desk.ask([configuration.saved(vendor), device.texts(vendor, ("display startup",))])
        found = _STARTUP.search(cast("str", startup[0]))
        if found is None or fingerprint(sections(saved)) != self.whole:
            raise StalePlan(
                f"the configuration that {desk.name} starts with is not {self.kept} any more",
                where=desk.name,
                hint="nothing was changed; look again: remedy device diff",
            )
        aside = f"remedy-{plan.run}.cfg"
        seen = configuration.state(vendor, fingerprint(now), self.whole)
        back = (f"configuration replace file {found[1]}{aside}",)
        changes = (
            Change(
                why=f"the present configuration set aside on {desk.name} as {aside}, where it stays",
                at=desk.name,
                do=Command(("exec",), stdin=f"save {found[1]}{aside}\n", root=False, seconds=120),
                # Done again after the next step, it would overwrite the way back.
                seen=configuration.file(vendor, aside),
                before=wanted(False),
                after=wanted(True),
                layer="perimeter",
            ),
            Change(
                why=f"the configuration replaced by {found[1]}{found[2]}, which is {self.kept}",
                at=desk.name,
                do=typing.configure((f"configuration replace file {found[1]}{found[2]}",)),
                undo=typing.configure(back),
                seen=seen,
                before=wanted("before"),
                after=wanted("after"),
                layer="perimeter",
            ),
        )
        same = fingerprint(now) == self.whole
        return _guarded(plan, desk, () if same else changes, (seen, back), self)


def _guarded(
    plan: Plan, desk: Desk, changes: tuple[Change, ...], back: tuple[Probe, tuple[str, ...]], wish: DeviceRestore
) -> Plan:
    """The plan with the device's timer around its changes, read back, saved."""
    (seen, undo), seconds, kept = back, wish.seconds, wish.kept
    why = f"the configuration of {desk.name} is that of {kept}, read over a new login"
    there = Expect(why, desk.name, seen, wanted("after"), fresh=True, layer="perimeter")
    if not changes:
        return replace(plan, expects=(there,), notes=(f"{desk.name} is as in {kept} already",))
    plan = replace(plan, expects=(there,), impact=(f"what was configured on {desk.name} since {kept} is taken back",))
    return typing.guarded(plan, desk, changes, seen, undo=undo, seconds=seconds)


def way(vendor: Vendor, *, startup_is_it: bool) -> bool:
    """Whether the device can replace its configuration by itself: it has the words, and a file that says the same."""
    return startup_is_it and vendor.name in {"h3c_comware", "h3c_secpath"}


ACTION = DeviceRestore
