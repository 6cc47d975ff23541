"""Which backup was chosen and which were passed over: for people, for programs, and as the plan's notes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from remedy.backups.fallback import Rejection
from remedy.backups.findings import NOTES
from remedy.backups.plausible import Live
from remedy.backups.values import reaches
from remedy.cli.progress import size
from remedy.cli.screen import Screen
from remedy.core.canon import Json
from remedy.engine.doubts import Doubts
from remedy.engine.search import Choice, Judging

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def stamp(seconds: int) -> str:
    """A time as people read it, in UTC; "unknown" for 0."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if seconds else "unknown"


def ago(seconds: float) -> str:
    """A length of time in the two units that matter: "3 d 4 h", "2 h 5 min", "12 min"."""
    left = max(0, int(seconds))
    if left >= _DAY:
        return f"{left // _DAY} d {left % _DAY // _HOUR} h"
    if left >= _HOUR:
        return f"{left // _HOUR} h {left % _HOUR // _MINUTE} min"
    return f"{left // _MINUTE} min"


def lines(choice: Choice, now: float) -> list[str]:
    """The choice in words, the reasons first."""
    said = [f"passed over {_rejected(one, choice)}" for one in choice.rejections]
    said += [f"times contradict each other: {text}" for text in choice.order.contradictions]
    if choice.backup and choice.judgement and choice.chosen:
        made = choice.chosen.time
        said.append(
            f"chosen {choice.backup.name} from {choice.backup.copy}: made {stamp(made)}, {ago(now - made)} ago, "
            f"{size(choice.backup.size)}, {choice.judgement.level}, sha256 {choice.judgement.sha256[:12]}…"
        )
    if choice.unread:
        said.append(f"{len(choice.unread)} older or bounded backups did not have to be read")
    return said


def _rejected(one: Rejection, choice: Choice) -> str:
    cost = one.costs(choice.chosen)
    # What cannot be read does not tell its time: it counts as new as its bytes can be.
    least = "" if reaches(one.level, "whole") else "up to "
    lost = f" ({least}{ago(cost * 60)} of data more are lost)" if cost > 0 else ""
    name = f"{one.backup} in {one.copy}" if one.backup else f"copy {one.copy}"
    return f"{name}: {one.kind}, {one.reason}{lost}"


def show(screen: Screen, choice: Choice, now: float) -> None:
    """Print it: what was passed over in yellow, what is chosen plainly."""
    for line in lines(choice, now):
        screen.say(f"  {line}", "yellow" if line.startswith(("passed", "times")) else "")


def acceptable(judging: Judging, live: Live | None, accepted: Iterable[str]) -> tuple[str, ...]:
    """Codes that stand between a whole backup and its restore and that a person may accept; sorted."""
    passed = frozenset(accepted) | NOTES
    codes = set()
    doubts = Doubts(judging.found.database.schema, judging.found.record, live)
    for judgement in doubts.added(judging.known).values():
        objections = judgement.objections(passed)
        if reaches(judgement.level, "whole") and not any(finding.fatal for finding in objections):
            codes |= {finding.code for finding in objections}
    return tuple(sorted(codes))


def document(choice: Choice) -> dict[str, Json]:
    """For `--json`."""
    chosen: dict[str, Json] | None = None
    if choice.backup and choice.judgement and choice.chosen:
        chosen = {
            "backup": choice.backup.name,
            "copy": choice.backup.copy,
            "time": choice.chosen.time,
            "size": choice.backup.size,
            "sha256": choice.judgement.sha256,
            "level": choice.judgement.level,
        }
    rejected: list[Json] = []
    for one in choice.rejections:
        said: dict[str, Json] = {"copy": one.copy, "backup": one.backup, "kind": one.kind, "level": one.level}
        rejected.append({**said, "reason": one.reason, "minutes_lost": one.costs(choice.chosen)})
    return {
        "database": choice.database.name,
        "chosen": chosen,
        "rejected": rejected,
        "unread": [f"{one.copy}/{one.name}" for one in choice.unread],
        "contradictions": [*choice.order.contradictions],
    }
