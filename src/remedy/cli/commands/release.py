"""`remedy release`: give isolated hosts back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from remedy.cli.act import Acting, screen_of
from remedy.cli.commands.isolate import complete
from remedy.cli.options import acting, common
from remedy.cli.world import world
from remedy.core.errors import UsageError

if TYPE_CHECKING:
    from remedy.cli.world import World


@click.command(
    "release",
    epilog="""\b
Examples:
  remedy release web01 --dry-run
  remedy release web01 web02 --yes
  remedy release site                      drop what a restore of the database `site` has kept
  remedy release site --expired            from cron, with --yes: what was kept longer than its keep_days
  remedy release site --older-than 7       what was kept a week ago or more
""",
)
@click.argument("hosts", nargs=-1, required=True, metavar="HOST|GROUP|PATTERN|DATABASE...", shell_complete=complete)
@click.option("--force", is_flag=True, help="Also take away an isolation that bears no name of remedy's.")
@click.option("--older-than", type=click.IntRange(0), default=None, metavar="DAYS", help="Only data kept so long.")
@click.option("--expired", is_flag=True, help="Only data kept as long as `keep_days` in the inventory says.")
@acting
@click.pass_context
def command(ctx: click.Context, /, hosts: tuple[str, ...], **given: Any) -> int:  # noqa: ANN401 -- click's
    """Give isolated hosts back, exactly as they were; of a restored database, drop the data that was kept.

    Of a host only what remedy placed is removed. Afterwards every path that the certificate had proven closed is asked
    again, from the same places: it has to answer as before. Of a database the kept data is gone for good afterwards.
    """
    force, older_than, expired = (given.pop(name) for name in ("force", "older_than", "expired"))
    if expired and older_than is not None:
        raise UsageError("--expired and --older-than both say how old", hint="leave one out")
    with world(common(ctx, given)) as around:
        databases = [name for name in hosts if around.is_database(name)]
        if databases and len(databases) < len(hosts):
            raise UsageError("hosts and databases are released one kind at a time", hint="name only one kind")
        if databases:
            return _discard(around, databases, older_than, expired=expired)
        from remedy.actions.release import Release  # noqa: PLC0415 -- lazily, with all below it
        from remedy.engine import limits, replay  # noqa: PLC0415
        from remedy.engine.job import Job  # noqa: PLC0415

        names = around.inventory.select(hosts)
        if expired or older_than is not None:
            raise UsageError("only what databases keep has an age", hint="leave --expired and --older-than out")
        runs = limits.isolated(around.record)
        plans = {name: replay.read(around.record, runs[name]).plan for name in names if name in runs}
        done = {name: replay.isolations(around.record, name) for name in names}
        if not around.options.incident and len({plan.incident for plan in plans.values()}) == 1:
            incident = next(iter(plans.values())).incident
        else:
            incident = around.incident(f"release {', '.join(names)}")
        jobs = [
            Job(
                Release(
                    replay.proven_cells(plans[name], {*runs, *names}) if name in plans else (),
                    force,
                    replay.elsewhere_of(done[name]),
                    alone=bool(done[name]) and not any(plan.changes for plan in done[name]),
                ),
                around.target(name),
                around.site(name),
                around.context(incident),
            )
            for name in names
        ]
        return Acting("release", around, screen_of(around.options, around)).carry(jobs, incident)


def _discard(around: World, names: Sequence[str], older_than: int | None, *, expired: bool) -> int:
    """Drop what restores of these databases have kept; with `expired` what is due by the inventory."""
    from remedy.actions.discard import Discard  # noqa: PLC0415 -- lazily, with all below it
    from remedy.core.values import Site  # noqa: PLC0415
    from remedy.engine.job import Job  # noqa: PLC0415

    # What is due by its age is no incident of its own, every night anew.
    incident = around.under() or "retention" if expired else around.incident(f"release {', '.join(names)}")
    jobs = []
    for name in names:
        database = around.database(name)
        days = database.keep_days if expired else older_than or 0
        job = Job(Discard(database, days), around.target(database.host), Site(), around.context(incident))
        jobs.append(job)
    return Acting("release", around, screen_of(around.options, around)).carry(jobs, incident)
