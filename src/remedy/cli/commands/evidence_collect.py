"""`remedy evidence collect`: what hosts can tell, most volatile first, read-only, into sealed bags."""

from __future__ import annotations

from typing import Any, Final

import click

from remedy.cli.act import screen_of
from remedy.cli.commands.isolate import complete
from remedy.cli.options import common, reading
from remedy.cli.world import world
from remedy.core.errors import UsageError

# As `evidence.steps.PROFILES`, which a test compares: help is to load nothing.
PROFILES: Final = ("triage", "web", "database", "full")


@click.command(
    "collect",
    epilog="""\b
Examples:
  remedy evidence collect web01                        what is gone first, within a minute or so
  remedy evidence collect web --profile web            all hosts of a group at once, a bag each
  remedy evidence collect web01 --profile full --dry-run
  remedy evidence collect --resume bag-E7f3a9c21       what an interrupted one still lacks
""",
)
@click.argument("hosts", nargs=-1, metavar="[HOST...]", shell_complete=complete)
@click.option("--profile", type=click.Choice(PROFILES), default="triage", show_default=True, help="How much.")
@click.option("--resume", "earlier", default="", metavar="BAG", help="A new bag with what this one lacks.")
@click.option("--dry-run", is_flag=True, help="Show steps and limits; nobody is dialled, nothing is recorded.")
@reading
@click.pass_context
def collect(ctx: click.Context, /, hosts: tuple[str, ...], profile: str, earlier: str, **given: Any) -> int:  # noqa: ANN401 -- click's
    """Collect evidence from hosts, in the order of volatility, each into a bag that anybody can verify.

    Over SSH alone: nothing is installed or written on a host. Every planned step ends ok, absent, denied, timeout or
    truncated, and the bag says which. Exit 0 when every step is ok or absent, 20 when something is missing. Ctrl-C
    seals what came.
    """
    keeping = {name: given.pop(name) for name in ("bags", "tsa", "tsa_ca")}
    with world(common(ctx, given)) as around:
        from remedy.cli.collecting import Wish, resumed  # noqa: PLC0415 -- lazily, with all below it
        from remedy.cli.collecting import collect as run  # noqa: PLC0415

        screen = screen_of(around.options, around)
        wish = Wish(profile, **keeping)
        if bool(hosts) == bool(earlier):
            raise UsageError("name hosts, or a bag with --resume", hint="a bag says itself which host it is of")
        if not earlier:
            return run(around, screen, around.inventory.select(hosts), wish)
        host, wish = resumed(around, screen, earlier, wish)
        return run(around, screen, [host], wish)
