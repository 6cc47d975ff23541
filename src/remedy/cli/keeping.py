"""Configurations of devices kept as evidence: on request, and before and after every run that changes a device.

Decides when one is taken, and that one that cannot be taken is told and never stops a run: blocking an attacker comes
first. Leaves to others: reading (`remedy.probes.configuration`) and keeping (`remedy.record.configurations`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from remedy.core.errors import RemedyError, UnknownTarget, UsageError
from remedy.engine.job import Event

if TYPE_CHECKING:
    from remedy.cli.world import World
    from remedy.core.canon import Json
    from remedy.core.values import Plan
    from remedy.inventory.devices import Device
    from remedy.record.configurations import Configurations, Kept

#: The kind of the entries that tell of a kept configuration.
KIND = "device-configuration"


def configurations(around: World) -> Configurations:
    """Those beside this record."""
    from remedy.record.configurations import Configurations  # noqa: PLC0415 -- lazily

    return Configurations(around.record_path(), around.record.clock)


def device(around: World, name: str) -> Device:
    """A device of the inventory. Raises UnknownTarget."""
    found = around.inventory.device(name) if name in around.inventory.hosts else None
    if found is None:
        around.inventory.select([name])  # says so when there is no such host at all
        raise UnknownTarget(
            f"{name} is no network device", hint="remedy_platform in the inventory says what it is; name one device"
        )
    return found


def now(around: World, name: str) -> str:
    """The configuration that a device has now, whole. Raises Unreachable, AnswerUnusable, UnknownTarget."""
    from remedy.probes import configuration  # noqa: PLC0415 -- lazily

    (text,) = around.reader.ask([configuration.running(device(around, name).vendor)], at=name)
    return str(text)


def usual(around: World, name: str) -> Kept:
    """The kept configuration meant when none is named: from before today's first change, else the newest.

    Today is the controller's. Raises UsageError when none is kept.
    """
    kept = configurations(around)
    today = datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    for entry in around.record.entries(kinds=[KIND]):
        body = json.loads(entry.body)
        if body["device"] == name and body["when"] == "before" and datetime.fromisoformat(entry.time) >= today:
            return kept.named(name, body["file"])
    if not (there := kept.of(name)):
        raise UsageError(f"no configuration of {name} is kept", hint=f"remedy device save {name}")
    return there[-1]


def take(around: World, name: str, *, when: str, incident: str, run: str = "") -> tuple[Kept, str, bool]:
    """Read a device's configuration, keep it and record that: what was kept, its text, and whether it is new.

    `when` is "asked", "before" or "after". Raises Unreachable, AnswerUnusable, RecordUnavailable.
    """
    text = now(around, name)
    kept, fresh = configurations(around).keep(name, text)
    body: dict[str, Json] = {"device": name, "sha256": kept.sha256, "size": kept.size, "file": kept.file.name}
    around.record.append(KIND, {**body, "when": when, "new": fresh}, incident=incident, run=run)
    return kept, text, fresh


@dataclass(frozen=True, slots=True)
class Keeping:
    """Takes configurations around the runs of one engine whose target is a device; others cost a look into a table.

    A run at a host that also moves its switch port is not held up by reading the switch's configuration.
    """

    around: World
    observe: Callable[[Event], None]

    def before(self, plan: Plan) -> None:
        """A plan has been approved and nothing sent yet: keep what its device has now."""
        if self._is_device(plan.target):
            self._take(plan.target, "before", plan.run, lambda: plan.incident)

    def heard(self, event: Event) -> None:
        """Pass an event on; when a run has ended, keep what its device has then."""
        self.observe(event)
        if event.kind == "outcome" and event.text not in {"unchanged", "refused"} and self._is_device(event.target):
            entries = self.around.record.entries
            incident = lambda: next((entry.incident for entry in entries(run=event.run) if entry.incident), "")  # noqa: E731
            self._take(event.target, "after", event.run, incident)

    def _is_device(self, name: str) -> bool:
        return name in self.around.inventory.hosts and self.around.inventory.device(name) is not None

    def _take(self, device: str, when: str, run: str, incident: Callable[[], str]) -> None:
        try:
            take(self.around, device, when=when, incident=incident(), run=run)
        except RemedyError as error:
            said = f"its configuration {when} the change was not kept: {error.message}"
            self.observe(Event(device, "note", said, ok=False, run=run))
