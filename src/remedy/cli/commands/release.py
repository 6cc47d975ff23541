"""`remedy release`: give isolated hosts back."""

from __future__ import annotations

from typing import Any

import click

from remedy.cli.act import Acting, screen_of
from remedy.cli.commands.isolate import complete
from remedy.cli.options import acting, common
from remedy.cli.world import world


@click.command(
    "release",
    epilog="""\b
Examples:
  remedy release web01 --dry-run
  remedy release web01 web02 --yes
""",
)
@click.argument("hosts", nargs=-1, required=True, metavar="HOST|GROUP|PATTERN...", shell_complete=complete)
@click.option("--force", is_flag=True, help="Also take away an isolation that bears no name of remedy's.")
@acting
@click.pass_context
def command(ctx: click.Context, /, hosts: tuple[str, ...], force: bool, **given: Any) -> int:  # noqa: ANN401, FBT001 -- click's
    """Give isolated hosts back, exactly as they were.

    Only what remedy placed is removed. Afterwards every path that the certificate had proven closed is asked again,
    from the same places: it has to answer as before.
    """
    with world(common(ctx, given)) as around:
        from remedy.actions.release import Release  # noqa: PLC0415 -- lazily, with all below it
        from remedy.engine import limits, replay  # noqa: PLC0415
        from remedy.engine.job import Job  # noqa: PLC0415

        names = around.inventory.select(hosts)
        runs = limits.isolated(around.record)
        plans = {name: replay.read(around.record, runs[name]).plan for name in names if name in runs}
        if not around.options.incident and len({plan.incident for plan in plans.values()}) == 1:
            incident = next(iter(plans.values())).incident
        else:
            incident = around.incident(f"release {', '.join(names)}")
        jobs = [
            Job(
                Release(replay.proven_cells(plans[name], {*runs, *names}) if name in plans else (), force),
                around.target(name),
                around.site(name),
                around.context(incident),
            )
            for name in names
        ]
        return Acting("release", around, screen_of(around.options, around)).carry(jobs, incident)
