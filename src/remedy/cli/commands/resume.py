"""`remedy resume`: go on with interrupted runs."""

from __future__ import annotations

from typing import Any

import click

from remedy.cli import document
from remedy.cli.act import Acting, screen_of, stopping
from remedy.cli.options import common, reading
from remedy.cli.world import world
from remedy.core.canon import Json


@click.command(
    "resume",
    epilog="""\b
Examples:
  remedy resume                 every run that was interrupted
  remedy resume R7f3a9c21       this one
""",
)
@click.argument("runs", nargs=-1, metavar="[RUN...]")
@reading
@click.pass_context
def command(ctx: click.Context, /, runs: tuple[str, ...], **given: Any) -> int:  # noqa: ANN401 -- click's
    """Go on with runs that were interrupted: by Ctrl-C, a crash, a lost connection or a power cut.

    Nothing the record says of the target is believed: every step's effect is asked for anew, and only what is
    missing is sent. The approval given when the run began still holds. Without RUN, addresses that were blocked, and
    rules that were pushed, for a time which is over are taken off as well.
    """
    with world(common(ctx, given)) as around:
        from remedy.cli import blocking, conclusion  # noqa: PLC0415 -- lazily, with all below it
        from remedy.core.errors import RemedyError  # noqa: PLC0415
        from remedy.engine import fleet, replay  # noqa: PLC0415
        from remedy.engine.outcome import Outcome  # noqa: PLC0415

        screen = screen_of(around.options, around)
        around.observe = Acting("resume", around, screen).observe
        found = [replay.read(around.record, run) for run in runs] or list(replay.unfinished(around.record))
        ends: list[tuple[str, Outcome | RemedyError]] = []
        if found:
            engine = around.engine()
            with stopping(engine, screen, [run.plan.run for run in found]):
                ended = fleet.each(found, lambda run: replay.resume(engine, run))
            ends = [(run.plan.target, one) for run, one in zip(found, ended, strict=True)]
        else:
            screen.say("no run was interrupted", talk=True)
        if not runs:
            with stopping(around.engine(), screen):
                ends += blocking.take_off(around)
        documents: list[dict[str, Json]] = []
        codes: list[int] = []
        for target, result in ends:
            if isinstance(result, Outcome):
                if not (around.options.json or around.options.jsonl):
                    screen.outcome(result)
                documents.append(document.of_outcome(result, around.record.head()[1]))
                if analysis := conclusion.conclude(around, screen, result):
                    documents[-1]["analysis"] = analysis
                codes.append(result.exit_code)
            elif isinstance(result, RemedyError):
                screen.error(target, result)
                documents.append(document.of_error(target, result))
                codes.append(result.exit_code)
        if ends:
            around.record.checkpoint()
        code = fleet.exit_code(codes)
        if around.options.json or around.options.jsonl:
            document.emit(document.whole("resume", "", code, documents), around.redact)
        return code
