"""`remedy rebuild`: an empty data directory for a database server that does not start any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from remedy.cli.act import Acting, screen_of
from remedy.cli.commands.backup import complete
from remedy.cli.options import acting, common
from remedy.cli.world import world
from remedy.core.errors import RemedyError

if TYPE_CHECKING:
    from remedy.backups.values import Database
    from remedy.cli.screen import Screen
    from remedy.cli.world import World


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
    deleted. The server starts empty, with the accounts that the newest manifest of any copy knows (a manifest is
    written by `remedy backup take` and by every restore); `remedy restore` then fills it again.
    """
    with world(common(ctx, given)) as around:
        from remedy.actions.rebuild import Rebuild  # noqa: PLC0415 -- lazily, with all below it
        from remedy.core.values import Site  # noqa: PLC0415
        from remedy.engine.job import Job  # noqa: PLC0415

        found = around.database(database)
        incident = around.incident(f"rebuild the server of {found.name}")
        screen = screen_of(around.options, around)
        known, told = _accounts(around, screen, found)
        action = Rebuild(found, server_unit, known, told)
        job = Job(action, around.target(found.host), Site(), around.context(incident))
        return Acting("rebuild", around, screen).carry([job], incident)


def _accounts(around: World, screen: Screen, database: Database) -> tuple[tuple[str, ...], str]:
    """The statements that make the accounts again, and where they are from; none when no manifest is to be had."""
    from remedy.cli import choice, integrity  # noqa: PLC0415 -- lazily, with all below it
    from remedy.engine import search  # noqa: PLC0415

    screen.say(f"  … listing every copy of {database.name} for a manifest", "dim", talk=True)
    try:
        found = search.listing(database, around.copies.shelf, around.record)
        manifest, copies = integrity.newest(around, screen, found)
    except RemedyError as error:
        screen.error("manifest", error)
        return (), ""
    return manifest.accounts, f"the manifest of {choice.stamp(manifest.time)}, the same in {', '.join(copies)}"
