"""`remedy inventory`: what remedy knows of your hosts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from remedy.cli.act import screen_of
from remedy.cli.options import common, looking
from remedy.cli.world import World, world

if TYPE_CHECKING:
    from remedy.inventory import Inventory


@click.group(
    "inventory",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples:
  remedy -i inventories/production inventory check
  remedy -i hosts.ini inventory graph
""",
)
def command() -> None:
    """List, draw and check the inventory: Ansible's YAML and INI, as they are."""


@command.command("list")
@click.argument("patterns", nargs=-1, metavar="[PATTERN...]")
@looking
@click.pass_context
def listing(ctx: click.Context, /, patterns: tuple[str, ...], **given: Any) -> int:  # noqa: ANN401 -- click's
    """List hosts with address, user, groups and role; --json prints what `ansible-inventory --list` prints."""
    with world(common(ctx, given)) as around:
        inventory = _read(around)
        names = inventory.select(patterns) if patterns else inventory.hosts
        if around.options.json:
            click.echo(json.dumps({"schema_version": 1, "inventory": inventory.listing()}, ensure_ascii=False))
            return 0
        screen = screen_of(around.options, around)
        width = max((len(name) for name in names), default=0)
        for name in names:
            target, policy = inventory.target(name), inventory.policy(name)
            marks = [
                word
                for word, on in (("protected", policy.protected), (f"vantage: {policy.vantage}", policy.vantage))
                if on
            ]
            address = f"{target.user}@{target.address}:{target.port}"
            screen.say(
                f"{name:<{width}}  {address:<28} {', '.join(inventory.group_names(name))}   {' '.join(marks)}".rstrip()
            )
        return 0


@command.command("graph")
@looking
@click.pass_context
def graph(ctx: click.Context, /, **given: Any) -> int:  # noqa: ANN401 -- click's
    """Draw the groups and their hosts as a tree."""
    with world(common(ctx, given)) as around:
        drawn = around.redact(_read(around).graph())
        if around.options.json:
            click.echo(json.dumps({"schema_version": 1, "graph": drawn.splitlines()}, ensure_ascii=False))
        else:
            screen_of(around.options, around).say(drawn)
        return 0


@command.command("check")
@looking
@click.pass_context
def check(ctx: click.Context, /, **given: Any) -> int:  # noqa: ANN401 -- click's
    """Name everything that is wrong or risky in the inventory; exit 2 when something is wrong."""
    with world(common(ctx, given)) as around:
        from remedy.inventory.loading import check as find  # noqa: PLC0415 -- yaml; the package has a module of that name

        findings = find(around.inventory_path(), user="root")
        screen = screen_of(around.options, around)
        if around.options.json:
            rows = [{"severity": f.severity, "where": f.where, "message": f.message, "hint": f.hint} for f in findings]
            click.echo(json.dumps({"schema_version": 1, "findings": rows}, ensure_ascii=False))
        else:
            style = {"error": "red", "warning": "yellow"}
            for finding in findings:
                hint = f"\n    {finding.hint}" if finding.hint else ""
                screen.say(
                    f"{finding.severity}: {finding.where}: {finding.message}{hint}", style.get(finding.severity, "")
                )
            if not findings:
                screen.say("nothing to complain of", "green")
        return 2 if any(finding.severity == "error" for finding in findings) else 0


def _read(around: World) -> Inventory:
    """The inventory; what is secret in it and stands in clear is masked from now on, in errors too."""
    for secret in around.inventory.in_clear():
        around.redact.add(secret)
    return around.inventory
