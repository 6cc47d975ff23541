"""`remedy acl`: set network devices up for blocking, and look at what they filter."""

from __future__ import annotations

from typing import Any

import click

from remedy.cli.act import Acting, screen_of
from remedy.cli.commands.isolate import complete
from remedy.cli.options import acting, common
from remedy.cli.world import world


@click.group("acl")
def command() -> None:
    """Set devices up for blocking, once; show, compare and push access lists."""


@command.command(
    "prepare",
    epilog="""\b
Examples:
  remedy acl prepare --dry-run            the exact lines for every device, nothing changed
  remedy acl prepare fw01                 after you said yes
  remedy undo RUN                         takes it back
""",
)
@click.argument("patterns", nargs=-1, metavar="[DEVICE...]", shell_complete=complete)
@click.option("--family", type=click.Choice(["4", "6", "both"]), default="both", show_default=True)
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
def prepare(ctx: click.Context, /, patterns: tuple[str, ...], family: str, seconds: int, **given: Any) -> int:  # noqa: ANN401 -- click's
    """Put remedy's drop rule, on remedy's own (empty) group, at the top of every gate of these devices.

    Gate by gate, since what has to be typed for one depends on what is there after the last. Nothing is blocked by
    that: `remedy block` then only adds and removes members of the group. Other people's rules keep their order and
    their text; where that cannot be, it is refused with what to do by hand.
    """
    with world(common(ctx, given)) as around:
        from remedy.actions.prepare import Prepare  # noqa: PLC0415 -- lazily, with all below it
        from remedy.cli import blocking  # noqa: PLC0415
        from remedy.engine import fleet  # noqa: PLC0415
        from remedy.engine.job import Job  # noqa: PLC0415

        found = blocking.devices(around, patterns)
        families = (4, 6) if family == "both" else (int(family),)
        incident = around.incident(f"prepare {', '.join(one.name for one in found)}")
        made = Acting("acl prepare", around, screen_of(around.options, around), emits=False)
        codes = []
        rounds = max((len(one.gates) for one in found), default=0)
        pairs = [(number, version) for number in range(rounds) for version in families]
        for at, (number, version) in enumerate(pairs, 1):
            jobs = [
                Job(
                    Prepare(one.vendor.name, one.gates[number], version, seconds),
                    around.target(one.name),
                    blocking.site(around, one.name, ()),
                    around.context(incident),
                )
                for one in found
                if number < len(one.gates)
            ]
            made.emits = at == len(pairs)
            codes.append(made.carry(jobs, incident))
        return fleet.exit_code(codes)
