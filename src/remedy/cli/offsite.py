"""The record's signatures elsewhere: when they are sent, and what is said of them.

Decides that nothing waits for it: a command sends at its end, for a few seconds at most, and not again within a minute
after a place did not answer; what is left is sent by the next one. Leaves to others: what is sent and remembered
(`record.elsewhere`), requests (`transports.offsite`), comparing with what is there (`against`).
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from remedy.core.errors import InventoryError, Partial, RemedyError

if TYPE_CHECKING:
    from remedy.cli.screen import Screen
    from remedy.cli.world import World
    from remedy.core.canon import Json
    from remedy.core.offsite import Offsite
    from remedy.record.elsewhere import Standing
    from remedy.transports.offsite import OffsiteStore

#: Seconds that a command spends on sending at its end, whatever the places do.
SECONDS: Final = 5.0
#: For how long a place that did not answer is left alone.
PAUSE: Final = timedelta(seconds=60)
_SEND: Final = "it is sent with the next command, or now by `remedy incident checkpoint --send`"


def places(around: World) -> tuple[Offsite, ...]:
    """The places of the inventory, none when there is no inventory. Raises InventoryError."""
    return around.inventory.offsite() if around.has_inventory() else ()


def deliver(around: World, *, patiently: bool = False) -> tuple[Standing, ...]:
    """Send what is not elsewhere yet, to all places at once; how far each has come then.

    `patiently` tries again what failed a moment ago, and waits to the end. What fails is in the standings.
    Raises InventoryError, RecordUnavailable.
    """
    from remedy.record import elsewhere  # noqa: PLC0415 -- lazily

    record, given_up = around.record, threading.Event()
    due = [place for place in places(around) if patiently or _due(around, place)]
    errors: list[RemedyError] = []

    def one(place: Offsite) -> None:
        there = store(around, place)
        try:
            elsewhere.send(record, place.name, there.keep, stop=given_up.is_set)
        except RemedyError as error:
            errors.append(error)
        finally:
            there.close()

    # Daemons: one that hangs in a name server's silence does not keep the command from ending.
    threads = [(place, threading.Thread(target=one, args=(place,), daemon=True)) for place in due]
    for _, thread in threads:
        thread.start()
    until = time.monotonic() + SECONDS
    try:
        for _, thread in threads:
            thread.join(None if patiently else max(until - time.monotonic(), 0))
    finally:
        given_up.set()
    for place, thread in threads:
        if thread.is_alive():
            elsewhere.failed(record, place.name, f"it was not done within {SECONDS:g} s")
    if errors:
        raise errors[0]
    return tuple(elsewhere.standing(record.path, place.name) for place in places(around))


def is_left(around: World) -> bool:
    """Whether something is known to be left to send, by what is beside the record alone."""
    from remedy.record import elsewhere  # noqa: PLC0415 -- lazily

    found = elsewhere.standings(around.record_path())
    with contextlib.suppress(RemedyError):
        newest = around.record.newest_checkpoint() if found else 0
        return any(one.missing(newest) for one in found) and around.has_inventory()
    return False


def afterwards(around: World, screen: Screen, *, again: bool = True) -> None:
    """At the end of a command: send, and say what could not be. Never raises, never changes how the command ended.

    Without `again`, what is still missing is said only when it has just been tried.
    """
    try:
        newest = around.record.newest_checkpoint()
        before = {one.place: one.tried for one in standings(around)}
        for standing in deliver(around):
            missing = standing.missing(newest)
            if missing and (again or standing.tried != before.get(standing.place)):
                what = f"{missing} checkpoint{'s are' if missing > 1 else ' is'} not there yet"
                screen.error(f"off site, {standing.place}", Partial(f"{what}: {standing.error or 'begun'}", hint=_SEND))
    except RemedyError as error:
        screen.error("off site", error)
    except KeyboardInterrupt:
        screen.say("off site: not waited for", "yellow", talk=True)


def standings(around: World) -> tuple[Standing, ...]:
    """How far every place has come: those of the inventory, and those that something was ever sent to from here.

    An inventory that cannot be read names none.
    """
    from remedy.record import elsewhere  # noqa: PLC0415 -- lazily

    path = around.record_path()
    named: list[str] = []
    with contextlib.suppress(InventoryError):
        named = [place.name for place in places(around)]
    known = {one.place: one for one in elsewhere.standings(path)}
    return tuple(known.get(name) or elsewhere.standing(path, name) for name in sorted({*named, *known}))


def lines(found: Sequence[Standing], newest: int) -> Iterator[tuple[str, str]]:
    """How far every place has come, in words with a style each."""
    for one in found:
        missing = one.missing(newest)
        locked = f", locked until {one.until[:10]}{'' if one.seen else ' (asked for; the key may not look)'}"
        there = f"checkpoint {one.newest} is there{locked}" if one.newest else "nothing is there"
        left = f"; {missing} of {newest} are not" if missing else ""
        failed = f"; tried {one.tried[:19]}Z: {one.error}" if one.error else ""
        yield f"  off site, {one.place}: {there}{left}{failed}", "yellow" if missing or one.error else ""
        if one.lost:
            text = f"checkpoint {one.lost} was sent before the record was put back to an older state: compare with it"
            yield f"  off site, {one.place}: {text}", "bold red"


def documents(found: Sequence[Standing], newest: int) -> list[Json]:
    """The same for programs."""
    return [
        {
            "place": one.place,
            "newest": one.newest,
            "missing": one.missing(newest),
            "kept": one.kept or None,
            "locked_until": one.until or None,
            "lock_seen": one.seen,
            "error": one.error or None,
            "tried": one.tried or None,
            "lost": one.lost or None,
        }
        for one in found
    ]


def _due(around: World, place: Offsite) -> bool:
    from remedy.record import elsewhere, endings  # noqa: PLC0415 -- lazily

    found = elsewhere.standing(around.record_path(), place.name)
    with contextlib.suppress(ValueError, TypeError):  # "" when nothing failed; what somebody wrote there stops nothing
        if timedelta(0) <= around.record.clock() - datetime.fromisoformat(found.tried) < PAUSE:
            return False
    newest = around.record.newest_checkpoint()
    return (
        found.newest != newest
        or found.missing(newest) > 0
        or any(around.record.entries(kinds=[endings.KIND], after=found.endings))
    )


def store(around: World, place: Offsite) -> OffsiteStore:
    """A place, not asked for anything yet; close it."""
    from remedy.transports.offsite import OffsiteStore  # noqa: PLC0415 -- lazily

    return OffsiteStore(place, around.secret, clock=lambda: datetime.now(UTC))
