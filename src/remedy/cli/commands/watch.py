"""`remedy watch`: does the containment of an incident still hold?"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from remedy.cli import document
from remedy.cli.act import screen_of, stopping
from remedy.cli.options import common, reading
from remedy.cli.world import world
from remedy.core.canon import Json
from remedy.core.errors import RemedyError, UsageError

if TYPE_CHECKING:
    from remedy.cli.screen import Screen
    from remedy.cli.world import World
    from remedy.engine.outcome import Outcome

_UNVERIFIED = 22


@click.command(
    "watch",
    epilog="""\b
Examples:
  remedy watch INC-20261120-1                  look every 60 s until Ctrl-C
  remedy watch INC-20261120-1 --once           one look; exit 22 when something has come undone
  remedy watch INC-20261120-1 --put-back       and put back what somebody has removed
""",
)
@click.argument("name", metavar="INCIDENT")
@click.option("--every", type=click.IntRange(5, 86400), default=60, show_default=True, metavar="SECONDS")
@click.option("--once", is_flag=True, help="Look once and end.")
@click.option("--put-back", is_flag=True, help="Send again whatever step has come undone.")
@reading
@click.pass_context
def command(ctx: click.Context, /, name: str, every: int, once: bool, put_back: bool, **given: Any) -> int:  # noqa: ANN401, FBT001 -- click's
    """Re-read the rules and re-ask every vantage of an incident's isolations while it is open.

    A removed rule or a path that opened raises an alarm, on screen and in the record. Nothing is put back unless
    --put-back is given. Addresses that the incident has blocked, and rules that it has pushed, for a time which is over
    are taken off.
    """
    with world(common(ctx, given)) as around:
        from remedy.cli import blocking  # noqa: PLC0415 -- lazily
        from remedy.engine import fleet, inspect, limits, replay  # noqa: PLC0415
        from remedy.record import incidents  # noqa: PLC0415

        screen = screen_of(around.options, around)
        incidents.find(around.record, name)
        engine = around.engine()
        code, looked = 0, False
        with stopping(engine, screen):
            while True:
                runs = limits.held(around.record)
                plans = [p for run in runs.values() if (p := replay.read(around.record, run).plan).incident == name]
                if not plans and not looked and not blocking.is_timed(around, name):
                    raise UsageError(
                        f"{name} has no host isolated, and nothing blocked or pushed for a time",
                        hint="`remedy incident show` tells its story",
                    )
                looked = True
                ends = blocking.take_off(around, incident=name)
                drifts = [inspect.look(engine, plan) for plan in plans]
                documents = [_told(around, screen, *end) for end in ends]
                for drift in drifts:
                    documents.append(document.of_drift(drift))
                    screen.drift(drift)
                    if not drift.holds:
                        inspect.alarm(engine, drift)
                        if put_back and drift.gone:
                            restored = fleet.each([drift], lambda one: inspect.put_back(engine, one))[0]
                            if isinstance(restored, RemedyError):
                                screen.error(drift.plan.target, restored)
                            else:
                                screen.outcome(restored)
                code = 0 if all(drift.holds for drift in drifts) else _UNVERIFIED
                code = fleet.exit_code([code, *(one.exit_code for _, one in ends)])
                if around.options.json or around.options.jsonl:
                    document.emit(document.whole("watch", name, code, documents), around.redact)
                around.keep_elsewhere(again=False)
                until = time.monotonic() + every
                while not once and time.monotonic() < until and not engine.stop.is_set():
                    time.sleep(0.2)
                if once or engine.stop.is_set():
                    return code


def _told(around: World, screen: Screen, target: str, end: Outcome | RemedyError) -> dict[str, Json]:
    """Show how taking off what has run out ended on a device; its part of the document."""
    if isinstance(end, RemedyError):
        screen.error(target, end)
        return document.of_error(target, end)
    if not (around.options.json or around.options.jsonl):
        screen.outcome(end)
    return document.of_outcome(end, around.record.head()[1])
