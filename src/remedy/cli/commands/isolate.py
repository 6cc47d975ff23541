"""`remedy isolate`: cut hosts off and prove it."""

from __future__ import annotations

from typing import Any

import click

from remedy.cli.act import Acting, screen_of
from remedy.cli.options import acting, common
from remedy.cli.world import complete_host, world


def complete(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Hosts and groups of the inventory named so far on the command line."""
    root = ctx.find_root().params
    return list(complete_host(ctx.params.get("inventory") or root.get("inventory") or "", incomplete))


@click.command(
    "isolate",
    epilog="""\b
Examples:
  remedy isolate web01 --dry-run            show the exact plan, change nothing
  remedy isolate web01                      cut it off after you said yes
  remedy isolate 'web*' --yes --json        for a hook
  remedy isolate web01 --out plan.json      save the plan; later: remedy apply plan.json
""",
)
@click.argument("hosts", nargs=-1, required=True, metavar="HOST|GROUP|PATTERN...", shell_complete=complete)
@click.option(
    "--confirm-within",
    "confirm_seconds",
    type=click.IntRange(5, 3600),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="The dead-man timer on the host.",
)
@click.option(
    "--on-timeout",
    type=click.Choice(["management", "open"]),
    default="management",
    show_default=True,
    help="What the timer does: open sshd's port and keep the rest cut off, or give the isolation up.",
)
@click.option(
    "--dns",
    type=click.Choice(["closed", "pinned"]),
    help="DNS while isolated; default from the inventory, else closed.",
)
@click.option("--layers", default="host", show_default=True, metavar="LIST", help="Comma-separated layers.")
@acting
@click.pass_context
def command(ctx: click.Context, /, hosts: tuple[str, ...], confirm_seconds: int, **given: Any) -> int:  # noqa: ANN401 -- click's
    """Cut hosts off from everything but management, and prove it.

    Names, groups and patterns are Ansible's. The plan is computed from live facts, shown, approved, and compared
    once more just before it is carried out. Management stays open; a timer on the host restores it if it does not.
    """
    on_timeout, dns, layers = given.pop("on_timeout"), given.pop("dns"), given.pop("layers")
    with world(common(ctx, given)) as around:
        names = around.inventory.select(hosts)
        from remedy.actions.isolate import Isolate  # noqa: PLC0415 -- lazily, with all below it
        from remedy.engine import limits, replay  # noqa: PLC0415
        from remedy.engine.job import Job  # noqa: PLC0415

        incident = around.incident(f"isolate {', '.join(names)}")
        runs = limits.isolated(around.record)
        proven = {name: replay.read(around.record, runs[name]).plan.expects for name in names if name in runs}
        jobs = [
            Job(
                Isolate(
                    confirm_seconds=confirm_seconds,
                    on_timeout=on_timeout,
                    dns=dns or around.inventory.policy(name).dns,
                    layers=tuple(layers.split(",")),
                    proven=proven.get(name, ()),
                    require_grade=around.inventory.policy(name).require_grade,
                ),
                around.target(name),
                around.site(name, cut_off={*names, *runs}),
                around.context(incident),
            )
            for name in names
        ]

        return Acting("isolate", around, screen_of(around.options, around)).carry(jobs, incident)
