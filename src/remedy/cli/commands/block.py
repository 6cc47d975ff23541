"""`remedy block`: addresses on the block of every firewall, within seconds."""

from __future__ import annotations

from typing import Any

import click

from remedy.cli.act import Acting, screen_of
from remedy.cli.commands.isolate import complete
from remedy.cli.options import acting, common
from remedy.cli.world import world


@click.command(
    "block",
    epilog="""\b
Examples:
  remedy block 203.0.113.7 --dry-run                     the exact lines for every firewall, nothing changed
  remedy block 203.0.113.7 198.51.100.0/24 --for 24h     until tomorrow
  remedy block 2001:db8:66::/64 --on fw01 --yes          one device, for a hook
  remedy block --file attackers.txt --all-or-none        thousands; on all devices or on none
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
@click.option("--for", "lasting", default="", metavar="TIME", help="How long: 90m, 24h, 7d. Default: until unblocked.")
@click.option("--all-or-none", is_flag=True, help="When one device fails, take it back on the others.")
@click.option(
    "--confirm-within",
    "seconds",
    type=click.IntRange(30, 3600),
    default=120,
    show_default=True,
    metavar="SECONDS",
    help="The device's own revert timer, where it has one.",
)
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
    """Drop everything from (and, where the gate says so, to) addresses, on every firewall of the inventory.

    Only members of remedy's own group come and go; the drop rule on it was set up by `remedy acl prepare`. The change
    is read back over a fresh login before it is confirmed and saved. Management, protected hosts, name servers and the
    controller are never blocked. A block with --for is taken off by `remedy unblock --expired` or `remedy watch`.
    """
    lasting, all_or_none, seconds = given.pop("lasting"), given.pop("all_or_none"), given.pop("seconds")
    with world(common(ctx, given)) as around:
        from remedy.actions.block import Block  # noqa: PLC0415 -- lazily, with all below it
        from remedy.actions.perimeter.members import spans_of  # noqa: PLC0415
        from remedy.cli import blocking  # noqa: PLC0415
        from remedy.engine.job import Job  # noqa: PLC0415

        wanted = blocking.addresses(addresses, files)
        spans = spans_of(wanted)
        end = blocking.until(lasting, blocking.now())
        found = blocking.devices(around, patterns)
        few = ", ".join(wanted[:3]) + (f" and {len(wanted) - 3} more" if len(wanted) > 3 else "")  # noqa: PLR2004
        incident = around.incident(f"block {few}")
        canonical = tuple(str(span) for span in spans)
        jobs = [
            Job(
                Block(
                    one.vendor.name,
                    one.gates,
                    canonical,
                    until=end,
                    doors=blocking.doors(around, one),
                    seconds=seconds,
                ),
                around.target(one.name),
                blocking.site(around, one.name, spans),
                around.context(incident),
            )
            for one in found
        ]
        screen = screen_of(around.options, around)
        if hosts := ", ".join(blocking.ours(around, spans)):
            screen.say(f"hosts of this inventory that these devices would cut off: {hosts}", "yellow", talk=True)
        made = Acting(
            "block", around, screen, checks=lambda: blocking.check(around, spans, found), all_or_none=all_or_none
        )
        code = made.carry(jobs, incident)
        blocking.remember(around, made.outcomes)
        return code
