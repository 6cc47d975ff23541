"""`remedy acl`: set network devices up for blocking, and look at what they filter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from remedy.cli.act import Acting, screen_of
from remedy.cli.commands import acl_lists
from remedy.cli.commands.isolate import complete
from remedy.cli.options import acting, common
from remedy.cli.world import world

if TYPE_CHECKING:
    from remedy.devices import Gate


@click.group(
    "acl",
    epilog="""\b
Examples:
  remedy acl prepare --dry-run            what would be typed to set every device up
  remedy acl prepare --help               more, and the options
  remedy acl show fw01                    what it filters, and what never decides
  remedy acl diff edge.rules --on fw01    the lines that a push would type
""",
)
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
    "--for",
    "purpose",
    type=click.Choice(["block", "isolate", "both"]),
    default="both",
    show_default=True,
    help="For attackers' addresses, or for hosts that `remedy isolate` cuts off.",
)
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
    """Put remedy's drop rules, on remedy's own (empty) groups, at the top of every gate of these devices.

    Gate by gate, since what has to be typed for one depends on what is there after the last. Nothing is blocked by
    that: `remedy block` then only adds and removes members of the group. Other people's rules keep their order and
    their text; where that cannot be, it is refused with what to do by hand.
    """
    given_for = given.pop("purpose")
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
        chosen = ("block", "isolate") if given_for == "both" else (given_for,)
        wanted = {one.name: [*_gates(one.gates, chosen)] for one in found}
        rounds = max((len(gates) for gates in wanted.values()), default=0)
        pairs = [(number, version) for number in range(rounds) for version in families]
        for at, (number, version) in enumerate(pairs, 1):
            jobs = []
            for one in found:
                if number < len(wanted[one.name]):
                    purpose, gate = wanted[one.name][number]
                    action = Prepare(one.vendor.name, gate, version, seconds, purpose)
                    place = blocking.site(around, one.name, ())
                    jobs.append(Job(action, around.target(one.name), place, around.context(incident)))
            made.emits = at == len(pairs)
            codes.append(made.carry(jobs, incident))
        return fleet.exit_code(codes)


def _gates(gates: Sequence[Gate], purposes: Sequence[str]) -> Iterator[tuple[str, Gate]]:
    """Each gate with what it is set up for."""
    from remedy.actions.perimeter.device import isolating  # noqa: PLC0415 -- lazily, with all below it

    for purpose in purposes:
        yield from ((purpose, gate) for gate in (gates if purpose == "block" else isolating(gates)))


for listed in (acl_lists.show, acl_lists.diff, acl_lists.push):
    command.add_command(listed)
