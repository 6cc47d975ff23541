"""Which pushed rules stand where, and whose time has come: told by the record alone.

Decides which push is the last word on each list of a device, and what of it has ended since. A push that was undone
leaves the one before it. By the clock of the machine that remedy runs on: the device's may be wrong. Leaves to others:
what the list really holds now, and taking off what has ended (`actions.push`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, cast

from remedy.actions import build
from remedy.actions.perimeter import lists
from remedy.actions.push import Push
from remedy.core.ports import Journal
from remedy.devices import named

#: The entry of a push that found nothing to change: such a run has no plan on record, but it may have said until when.
#: Body: `action`, `target`, `params`.
SO_ALREADY: Final = "pushed"
_DONE: Final = frozenset({"verified", "unverified", "unchanged"})


@dataclass(frozen=True, slots=True)
class Pushed:
    """A push that is the last word on these lists (name and family) of a device."""

    device: str
    run: str
    incident: str
    action: Push
    lists: tuple[tuple[str, int], ...]

    @property
    def ends(self) -> tuple[str, ...]:
        """When rules of it end that had not ended when it was carried out: RFC 3339 UTC, ascending."""
        action = self.action
        since = datetime.fromisoformat(action.ended or action.now)
        rules = lists.by_list(named(action.vendor), replace(action, only=self.lists).wish()).values()
        ends = {rule.until for mine in rules for rule in mine if rule.until}
        return tuple(sorted(end for end in ends if datetime.fromisoformat(end) > since))

    def ending(self, now: datetime) -> Push:
        """The push that takes off what has ended by now."""
        action = self.action
        stamp = now.isoformat(timespec="seconds")
        return replace(action, replace=False, since=action.ended or action.now, ended=stamp, only=self.lists)


def standing(journal: Journal) -> tuple[Pushed, ...]:
    """Every push that is the last word on a list, oldest first. Cost linear in the record and in the files pushed."""
    planned: dict[str, str] = {}
    runs: dict[str, Pushed] = {}
    words: dict[tuple[str, str, int], list[str]] = {}
    for entry in journal.entries(kinds=("plan", "outcome", SO_ALREADY)):
        body = json.loads(entry.body)
        if body.get("action") != Push.name:
            continue
        if entry.kind == "plan":
            planned[entry.run] = body["plan"]["params"]
            continue
        if body.get("status") in {"undone", "failed", "reverted"}:
            for stack in words.values():
                stack[:] = [run for run in stack if run != entry.run]
            continue
        said = body["params"] if entry.kind == SO_ALREADY else planned.get(entry.run, "")
        if not said or (entry.kind == "outcome" and body.get("status") not in _DONE):
            continue
        action = cast("Push", build(Push.name, said))
        device, meant = str(body["target"]), tuple(lists.by_list(named(action.vendor), action.wish()))
        runs[entry.run] = Pushed(device, entry.run, entry.incident, action, meant)
        for name, family in meant:
            words.setdefault((device, name, family), []).append(entry.run)
    last = {(device, name, family): stack[-1] for (device, name, family), stack in words.items() if stack}
    return tuple(_left(runs, last))


def _left(runs: dict[str, Pushed], last: dict[tuple[str, str, int], str]) -> Iterator[Pushed]:
    """Each run with the lists on which it is the last word."""
    for run, one in runs.items():
        mine = tuple(key for key in one.lists if last.get((one.device, *key)) == run)
        if mine:
            yield replace(one, lists=mine)


def expired(pushes: Iterable[Pushed], now: datetime) -> tuple[Pushed, ...]:
    """Those of which something has ended that was not over when they were carried out."""
    return tuple(one for one in pushes if one.ends and datetime.fromisoformat(one.ends[0]) <= now)
