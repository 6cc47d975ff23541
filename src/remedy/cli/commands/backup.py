"""`remedy backup`: which backups there are, what they are worth, whether the plans' promises hold."""

from __future__ import annotations

from typing import Any

import click

from remedy.cli.act import screen_of
from remedy.cli.options import acting, common, looking, reading
from remedy.cli.world import complete_database, world


def complete(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Databases of the inventory named so far on the command line."""
    root = ctx.find_root().params
    return list(complete_database(ctx.params.get("inventory") or root.get("inventory") or "", incomplete))


@click.group(
    "backup",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples:
  remedy backup list                        every backup of every copy, newest first
  remedy backup check site --level proven   restore the newest of each copy somewhere safe
  remedy backup status                      for monitoring: exit 0 while the promises hold
""",
)
def command() -> None:
    """List, check and prove backups, in every copy of them. Nothing on production is changed by any of it."""


@command.command(
    "list",
    epilog="""\b
Examples:
  remedy backup list                     all databases of the inventory
  remedy backup list site --copy s3      one copy of one of them
  remedy backup list site --read         read what was never read, and remember what it is worth
""",
)
@click.argument("databases", nargs=-1, metavar="[DB...]", shell_complete=complete)
@click.option("--copy", "only", default="", metavar="NAME", help="Only this copy.")
@click.option("--read", "read_all", is_flag=True, help="Read every backup that was never read, to its end.")
@reading
@click.pass_context
def listing(ctx: click.Context, /, databases: tuple[str, ...], only: str, read_all: bool, **given: Any) -> int:  # noqa: ANN401, FBT001 -- click's
    """Show every backup of every copy: when it was made, by what, how large it is, what is known of it.

    The time is the one inside the backup. One that was never read shows what bounds it: the moment at which its
    bytes were last written. What was read before is remembered and not read again while its files are unchanged;
    without --read only a few kilobytes of the others are looked at.
    """
    with world(common(ctx, given)) as around:
        from remedy.cli.judging import Look  # noqa: PLC0415 -- lazily, with all below it

        return Look(around, screen_of(around.options, around)).listing(databases, only, read_all=read_all)


@command.command(
    "check",
    epilog="""\b
Examples:
  remedy backup check                              the newest of each copy of every database, to its end
  remedy backup check site --all                   every backup of every copy
  remedy backup check site --backup site-2026-11-19.sql --copy s3
  remedy backup check site --level proven --yes    restored somewhere safe and compared, for cron
""",
)
@click.argument("databases", nargs=-1, metavar="[DB...]", shell_complete=complete)
@click.option("--backup", "name", default="", metavar="NAME", help="Only backups of this name.")
@click.option("--copy", "only", default="", metavar="NAME", help="Only this copy.")
@click.option(
    "--level",
    type=click.Choice(["intact", "readable", "whole", "proven"]),
    default="whole",
    show_default=True,
    help="How much has to be shown.",
)
@click.option("--all", "every", is_flag=True, help="Every backup, not only the newest of each copy.")
@click.option("--accept", multiple=True, metavar="CODE", help="A finding that may stand (repeatable).")
@click.option("--yes", is_flag=True, help="With --level proven: restore on the staging host without asking.")
@reading
@click.pass_context
def check(ctx: click.Context, /, databases: tuple[str, ...], **given: Any) -> int:  # noqa: ANN401 -- click's
    """Show what backups are worth, and remember it. Exit 22 when one does not reach the level.

    intact: the bytes are those that were written. readable: they decrypt and decompress to the end. whole: header,
    footer, every table and statement are there. proven: restored into an isolated server, checked there, and dumped
    again with the same content. Each level includes those before it, and its cost is shown.
    """
    wanted = {key: given.pop(key) for key in ("name", "only", "level", "every", "accept")}
    with world(common(ctx, given)) as around:
        from remedy.cli.checks import Wanted  # noqa: PLC0415 -- lazily, with all below it
        from remedy.cli.judging import Look  # noqa: PLC0415

        return Look(around, screen_of(around.options, around)).check(databases, Wanted(**wanted))


@command.command(
    "status",
    epilog="""\b
Examples:
  remedy backup status                     a table, and exit 22 when a promise is broken
  remedy backup status site --json -q      for monitoring
""",
)
@click.argument("databases", nargs=-1, metavar="[DB...]", shell_complete=complete)
@looking
@click.pass_context
def status(ctx: click.Context, /, databases: tuple[str, ...], **given: Any) -> int:  # noqa: ANN401 -- click's
    """Say whether the emergency plans' promises about backups hold: daily, off site, in two buildings, proven.

    Exit 0 when all of them hold, 22 when one does not, or when a copy cannot be asked whether it does.
    """
    with world(common(ctx, given)) as around:
        from remedy.cli.judging import Look  # noqa: PLC0415 -- lazily, with all below it

        return Look(around, screen_of(around.options, around)).status(databases)


@command.command(
    "take",
    epilog="""\b
Examples:
  remedy backup take site                          into every copy, with a manifest, read back
  remedy backup take site --copy off-site --yes    for cron
""",
)
@click.argument("database", required=False, default="", metavar="[DB]", shell_complete=complete)
@click.option("--copy", "only", multiple=True, metavar="NAME", help="Only into this copy (repeatable).")
@click.option("--label", default="", metavar="TEXT", help="Why, for the manifest.")
@acting
@click.pass_context
def take(ctx: click.Context, /, database: str, only: tuple[str, ...], label: str, **given: Any) -> int:  # noqa: ANN401 -- click's
    """Back a database up into every copy at once, with a manifest of what is in it, and read it back.

    One consistent snapshot; it passes through this machine, which counts and hashes it. The manifest makes later
    comparison exact: see `remedy verify`. What is in a copy counts only once it was read back from there.
    """
    with world(common(ctx, given)) as around:
        from datetime import UTC, datetime  # noqa: PLC0415 -- lazily, with all below it

        from remedy.actions.backup import TakeBackup  # noqa: PLC0415
        from remedy.backups import naming  # noqa: PLC0415
        from remedy.cli.act import Acting  # noqa: PLC0415
        from remedy.core.values import Site  # noqa: PLC0415
        from remedy.engine.job import Job  # noqa: PLC0415

        found = around.database(database)
        incident = around.under() or "backups"  # a nightly backup is no incident
        name = f"{naming.of_schema(found.schema)}-{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}"
        action = TakeBackup(found, name, only, label)
        job = Job(action, around.target(found.host), Site(), around.context(incident))
        return Acting("backup take", around, screen_of(around.options, around)).carry([job], incident)
