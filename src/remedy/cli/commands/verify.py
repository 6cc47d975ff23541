"""`remedy verify`: is a database what its backup says, and do its rows fit together?"""

from __future__ import annotations

from typing import Any

import click

from remedy.cli.act import screen_of
from remedy.cli.commands.backup import complete
from remedy.cli.options import common, reading
from remedy.cli.world import world


@click.command(
    "verify",
    epilog="""\b
Examples:
  remedy verify site                                  against the newest manifest of any copy
  remedy verify site --against site-after-R7f3a9c21   after a restore: has anything changed since?
  remedy verify site --json                           exit 0 equal and sound, 22 when something differs
""",
)
@click.argument("database", required=False, default="", metavar="[DATABASE]", shell_complete=complete)
@click.option("--against", default="", metavar="BACKUP", help="The manifest of this backup, not the newest one.")
@reading
@click.pass_context
def command(ctx: click.Context, /, database: str, against: str, **given: Any) -> int:  # noqa: ANN401 -- click's
    """Compare a live database with the manifest of a backup, and look whether its rows fit together.

    Every table is dumped in one snapshot and compared by content; views, triggers, routines, events and rights too.
    CHECK TABLE is run on all, and rows whose foreign keys refer to nothing are counted. Nothing is changed. Tables that
    people write to differ from yesterday's manifest by right: each difference is named, and what it means is for you.
    """
    with world(common(ctx, given)) as around:
        from remedy.cli.integrity import Verifying  # noqa: PLC0415 -- lazily, with all below it

        return Verifying(around, screen_of(around.options, around), around.database(database)).run(against)
