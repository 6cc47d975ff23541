"""`remedy unblock`: addresses off the block again."""

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
    from remedy.devices.addresses import Span


@click.command(
    "unblock",
    epilog="""\b
Examples:
  remedy unblock 203.0.113.7 --dry-run
  remedy unblock 198.51.100.0/24 --on fw01
  remedy unblock --expired --yes           from cron: what was blocked or pushed for a time that is over
""",
)
@click.argument("addresses", nargs=-1, metavar="ADDRESS|PREFIX|FIRST-LAST...")
@click.option("--file", "files", multiple=True, metavar="FILE", help="Addresses, one to a line; - is standard input.")
@click.option(
    "--on",
    "patterns",
    multiple=True,
    metavar="DEVICE",
    shell_complete=complete,
    help="Only these; default: all with gates.",
)
@click.option("--expired", is_flag=True, help="What was blocked (--for), or pushed (until), for a time that is over.")
@click.option("--all-or-none", is_flag=True, help="When one device fails, take it back on the others.")
@acting
@click.pass_context
def command(
    ctx: click.Context,
    /,
    addresses: tuple[str, ...],
    files: tuple[str, ...],
    patterns: tuple[str, ...],
    **given: Any,  # noqa: ANN401 -- click's
) -> int:
    """Take addresses off the block of every firewall; a prefix of which a part is blocked keeps the rest blocked.

    Whoever had been proven closed out is asked again: the address has to get through as it did before. With --expired
    rules go as well that `remedy acl push` has written for a time that is over.
    """
    expired, all_or_none = given.pop("expired"), given.pop("all_or_none")
    with world(common(ctx, given)) as around:
        if expired == bool(addresses or files):
            raise UsageError("name addresses, or --expired", hint="remedy unblock 203.0.113.7")
        from remedy.actions.perimeter.members import spans_of  # noqa: PLC0415 -- lazily, with all below it
        from remedy.cli import blocking  # noqa: PLC0415
        from remedy.engine import fleet  # noqa: PLC0415

        made = Acting("unblock", around, screen_of(around.options, around), all_or_none=all_or_none)
        if expired:
            names = [one.name for one in blocking.devices(around, patterns)] if patterns else None
            rounds = blocking.expiring(around, names)
            if not rounds:
                made.screen.say("nothing is due", talk=True)
                return made.end("", 0)
            incidents = {job.context.incident for jobs in rounds for job in jobs}
            incident = incidents.pop() if len(incidents) == 1 else ""
        else:
            spans = spans_of(blocking.addresses(addresses, files))
            found = blocking.devices(around, patterns)
            incident = _incident(around, spans)
            rounds = [[blocking.unblocking(around, one, spans, incident) for one in found]]
        codes = []
        for jobs in rounds:
            made.emits = jobs is rounds[-1]
            codes.append(made.carry(jobs, incident))
        blocking.remember(around, made.outcomes)
        return fleet.exit_code(codes)


def _incident(around: World, spans: Sequence[Span]) -> str:
    """That of the blocks, where they have one in common; else as always."""
    from remedy.devices.addresses import touched  # noqa: PLC0415 -- lazily
    from remedy.engine import blocks  # noqa: PLC0415

    theirs = {one.incident for one in blocks.standing(around.record) if touched(one.spans, spans)}
    if len(theirs) == 1 and not around.options.incident:
        return theirs.pop()
    few = ", ".join(map(str, spans[:3]))
    return around.incident(f"unblock {few}")
