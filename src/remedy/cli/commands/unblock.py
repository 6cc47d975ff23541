"""`remedy unblock`: addresses off the block again."""

from __future__ import annotations

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
  remedy unblock --expired --yes           from cron: what was blocked for a time that is over
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
@click.option("--expired", is_flag=True, help="What was blocked for a time (--for) that is over.")
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

    Whoever had been proven closed out is asked again: the address has to get through as it did before.
    """
    expired, all_or_none = given.pop("expired"), given.pop("all_or_none")
    with world(common(ctx, given)) as around:
        if expired == bool(addresses or files):
            raise UsageError("name addresses, or --expired", hint="remedy unblock 203.0.113.7")
        from remedy.actions.unblock import Unblock  # noqa: PLC0415 -- lazily, with all below it
        from remedy.cli import blocking  # noqa: PLC0415
        from remedy.devices.addresses import touched  # noqa: PLC0415
        from remedy.engine import blocks  # noqa: PLC0415
        from remedy.engine.job import Job  # noqa: PLC0415

        found = blocking.devices(around, patterns)
        there = blocks.standing(around.record)
        due = _expired(around, [one.name for one in found]) if expired else None
        if due == {}:
            screen_of(around.options, around).say("nothing is due", talk=True)
            return Acting("unblock", around, screen_of(around.options, around)).end("", 0)
        spans = _named(blocking.addresses(addresses, files)) if due is None else ()
        incident = around.incident(f"unblock {'what has expired' if expired else ', '.join(addresses[:3])}")
        jobs = []
        for one in found:
            mine = spans if due is None else due.get(one.name, ())
            if not mine:
                continue
            theirs = [b for b in there if b.device == one.name and touched(b.spans, mine)]
            jobs.append(
                Job(
                    Unblock(one.vendor.name, one.gates, tuple(map(str, mine)), blocking.cells(around, theirs)),
                    around.target(one.name),
                    blocking.site(around, one.name, mine),
                    around.context(incident),
                )
            )
        made = Acting("unblock", around, screen_of(around.options, around), all_or_none=all_or_none)
        return made.carry(jobs, incident)


def _named(texts: tuple[str, ...]) -> tuple[Span, ...]:
    from remedy.actions.perimeter.members import spans_of  # noqa: PLC0415 -- lazily

    return spans_of(texts)


def _expired(around: World, names: list[str]) -> dict[str, tuple[Span, ...]]:
    """What has run out on each of these devices, and is blocked there by no other run that goes on."""
    from remedy.cli import blocking  # noqa: PLC0415 -- lazily
    from remedy.devices.addresses import merged, subtract  # noqa: PLC0415
    from remedy.engine import blocks  # noqa: PLC0415

    standing = blocks.standing(around.record)
    over = set(blocks.expired(standing, blocking.now().timestamp()))
    due: dict[str, tuple[Span, ...]] = {}
    for name in names:
        ended = [span for one in over if one.device == name for span in one.spans]
        going = [span for one in standing if one.device == name and one not in over for span in one.spans]
        if left := subtract(merged(ended), going):
            due[name] = left
    return due
