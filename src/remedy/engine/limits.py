"""When not to start: protected assets, isolations per hour, share of a group. A refusal has its own exit code.

The counts come from the record, so several operators and hooks share one budget. Outcomes and approvals are counted,
not intentions: a refused isolation costs nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from remedy.core.errors import Refused
from remedy.core.ports import Journal
from remedy.engine import undone

_HOUR: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Share:
    """How much of a group may be cut off at once: its hosts, and a percentage."""

    hosts: tuple[str, ...]
    percent: int = 50


def isolated(journal: Journal) -> dict[str, str]:
    """Hosts that the record holds to be isolated now, with the run that did it; runs without an outcome count.

    So does a host of which a release, or an undo, has left a layer that it could not ask.
    """
    return {target: run for target, (run, _) in _standing(journal).items()}


def held(journal: Journal) -> dict[str, str]:
    """Those of them that are meant to stay so: nobody has begun to give them back."""
    return {target: run for target, (run, meant) in _standing(journal).items() if meant}


def _standing(journal: Journal) -> dict[str, tuple[str, bool]]:
    now: dict[str, tuple[str, bool]] = {}
    begun: set[str] = set()
    for entry in journal.entries(kinds=("approval", "outcome")):
        body = json.loads(entry.body)
        action, target, status = body["action"], body["target"], body.get("status")
        if action == "isolate":
            if entry.kind == "approval":
                begun.add(entry.run)
                now[target] = entry.run, True
            elif entry.run in begun and status in {"verified", "unverified", "rolled-back"}:
                now[target] = entry.run, True
            elif target in now and now[target][0] == entry.run:
                _given_back(now, target, in_part=status == undone.IN_PART)  # or refused, failed, reopened
        elif action == "release" and status in {"verified", "unverified", "unchanged"} and target in now:
            _given_back(now, target, in_part=bool(body.get("left")))
    return now


def _given_back(now: dict[str, tuple[str, bool]], target: str, *, in_part: bool) -> None:
    run, _ = now.pop(target)
    if in_part:
        now[target] = run, False


def check(
    targets: Sequence[str],
    *,
    journal: Journal,
    now: float,
    per_hour: int,
    protected: frozenset[str],
    groups: Mapping[str, Share],
    counted: bool = False,
) -> None:
    """Raise Refused when isolating these targets would break a limit. `now` in seconds since 1970.

    `per_hour` bounds the isolations approved within an hour. The groups "all" and "ungrouped" have no share to keep,
    nor has a group of one. `counted` says that the record has the targets' own approvals already.
    """
    if hit := [name for name in targets if name in protected]:
        raise Refused(
            f"{', '.join(hit)} is protected: it is never isolated",
            hint="remedy_protected in the inventory says so; controller, log host and evidence store stay reachable",
        )
    recent = sum(
        1
        for entry in journal.entries(kinds=("approval",))
        if json.loads(entry.body)["action"] == "isolate" and now - _seconds(entry.time) < _HOUR
    )
    if recent + (0 if counted else len(targets)) > per_hour:
        raise Refused(
            f"{recent} hosts were isolated within the last hour; {len(targets)} more would exceed {per_hour}",
            hint="isolations_per_hour in remedy_budget is the limit; a runaway hook looks just like this",
        )
    already = set(isolated(journal))
    for group, share in groups.items():
        mine = set(share.hosts)
        touched = mine & set(targets)
        if group in {"all", "ungrouped"} or len(mine) <= 1 or not touched:
            continue
        after = len(mine & (already | set(targets)))
        if after * 100 > share.percent * len(mine):
            raise Refused(
                f"{after} of {len(mine)} hosts of group {group!r} would be cut off: more than {share.percent} %",
                hint="group_share_percent in remedy_budget is the limit; isolate fewer at once",
            )


def _seconds(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()
