"""`remedy undo`: take a run back."""

from __future__ import annotations

from typing import Any

import click

from remedy.cli.act import Acting, screen_of
from remedy.cli.options import acting, common
from remedy.cli.world import world


@click.command(
    "undo",
    epilog="""\b
Examples:
  remedy undo R7f3a9c21 --dry-run      what would be taken back
  remedy undo R7f3a9c21                take it back
""",
)
@click.argument("run", metavar="RUN")
@click.option("--force", is_flag=True, help="Also where somebody else has changed the same thing since.")
@acting
@click.pass_context
def command(ctx: click.Context, /, run: str, force: bool, **given: Any) -> int:  # noqa: ANN401, FBT001 -- click's
    """Take a run back, step by step, newest first.

    What is gone already is left out. A step whose place somebody else has changed since is refused unless forced.
    """
    with world(common(ctx, given)) as around:
        from remedy.actions.undo import Undo  # noqa: PLC0415 -- lazily, with all below it
        from remedy.engine import replay  # noqa: PLC0415
        from remedy.engine.job import Job  # noqa: PLC0415

        plan = replay.read(around.record, run).plan
        incident = around.options.incident or plan.incident
        job = Job(Undo(plan, force), around.target(plan.target), around.site(plan.target), around.context(incident))
        return Acting("undo", around, screen_of(around.options, around)).carry([job], incident)
