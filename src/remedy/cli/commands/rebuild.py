"""`remedy rebuild`: an empty data directory for a database server that does not start any more."""

from __future__ import annotations

from typing import Any

import click

from remedy.cli.act import Acting, screen_of
from remedy.cli.commands.backup import complete
from remedy.cli.options import acting, common
from remedy.cli.world import world


@click.command(
    "rebuild",
    epilog="""\b
Examples:
  remedy rebuild site --dry-run          what would be set aside, and where
  remedy rebuild site                    then: remedy restore site --latest-valid
  remedy undo R7f3a9c21                  the damaged data directory is back in place
""",
)
@click.argument("database", required=False, default="", metavar="[DATABASE]", shell_complete=complete)
@click.option("--server-unit", default="mariadb", show_default=True, metavar="NAME", help="The server's service.")
@acting
@click.pass_context
def command(ctx: click.Context, /, database: str, server_unit: str, **given: Any) -> int:  # noqa: ANN401 -- click's
    """Give a database server that does not start any more an empty data directory.

    The damaged directory is renamed beside it, whole: it is the file-level copy of the data as it was. Nothing is
    deleted. The server starts empty; `remedy restore` fills it again.
    """
    with world(common(ctx, given)) as around:
        from remedy.actions.rebuild import Rebuild  # noqa: PLC0415 -- lazily, with all below it
        from remedy.core.values import Site  # noqa: PLC0415
        from remedy.engine.job import Job  # noqa: PLC0415

        found = around.database(database)
        incident = around.incident(f"rebuild the server of {found.name}")
        job = Job(Rebuild(found, server_unit), around.target(found.host), Site(), around.context(incident))
        return Acting("rebuild", around, screen_of(around.options, around)).carry([job], incident)
