"""What follows a run that has ended, for every command that ends one: written down, and the figures that all ask for.

Decides the words: how long writes were held, where what was written since the backup is now, until when it is kept.
Leaves to others: what is written down (`engine.aftermath`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from remedy.cli.screen import Screen
from remedy.cli.world import World
from remedy.core.canon import Json
from remedy.core.errors import RemedyError
from remedy.engine.outcome import Outcome

#: Actions with something to write down; of all others nothing more is loaded.
_OF_RECOVERY: Final = frozenset({"restore", "backup"})


def conclude(around: World, screen: Screen, outcome: Outcome) -> dict[str, Json] | None:
    """Write down what follows, show it, and return the fault analysis of a restore.

    What is done is done: what cannot be learned or written any more is told beside it.
    """
    if outcome.plan.action not in _OF_RECOVERY:
        return None
    from remedy.engine import aftermath, taken  # noqa: PLC0415 -- lazily, with all below it

    now = int(time.time())
    try:
        body = aftermath.conclude(around.record, around.reader, around.copies.shelf, outcome, now=now)
        untold = taken.untold(around.record, outcome.plan)
    except RemedyError as error:
        screen.error(outcome.plan.target, error)
        return None
    for line in lines(body) if body and not screen.quiet else ():
        screen.say(f"  {line}")
    if untold:
        screen.say(f"  not in the backup, for the server did not tell them: {', '.join(untold)}", "yellow")
    return body


def lines(body: Mapping[str, Any]) -> Iterator[str]:
    """The figures of a fault analysis in words."""
    from remedy.cli.choice import ago, stamp  # noqa: PLC0415 -- lazily

    name, kept, aside = body["database"], body["kept"], body["set_aside"]
    if body["held_ms"] >= 0:
        yield f"writes were held for {body['held_ms']} ms"
    if body["lost_minutes"] >= 0:
        since, left = f"in the {ago(body['lost_minutes'] * 60)} since the backup", "not on this server"
        if body["reached_time"] > body["backup_time"]:
            yield f"binary logs gave back what was written up to {stamp(body['reached_time'])}"
            since, left = "after that", "in the binary logs alone"
        if kept or aside:
            yield f"what was written {since} is in {kept or f'the data directory that was set aside: {aside}'}"
        else:
            yield f"{name} held no table before: what was written {since} is {left}"
    if kept:
        until = f"from {stamp(body['kept_until'])} on `remedy release {name} --expired` does too"
        yield f"{kept} stays until `remedy release {name}` drops it; {until}"
