"""`remedy isolate`: cut hosts off and prove it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from remedy.cli.act import Acting, screen_of
from remedy.cli.options import acting, common
from remedy.cli.world import complete_host, world

if TYPE_CHECKING:
    from remedy.cli.world import World


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
  remedy isolate web01 --layers host        its own rules alone: root on the host can take them away
  remedy isolate web01 --layers switch --unreachable-ok web01 --shut-port
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
@click.option(
    "--layers",
    default="",
    metavar="LIST",
    help="host,switch,perimeter or some of them; default: every layer that the inventory gives.",
)
@click.option("--shut-port", is_flag=True, help="Shut the switch port down where there is no quarantine VLAN.")
@click.option(
    "--force-port", is_flag=True, help="Also an uplink, a trunk, or a port with more than one host behind it."
)
@click.option(
    "--unreachable-ok",
    "unreachable",
    multiple=True,
    metavar="HOST",
    shell_complete=complete,
    help="This host may become unreachable for management too.",
)
@click.option(
    "--device-timer",
    "device_seconds",
    type=click.IntRange(30, 3600),
    default=120,
    show_default=True,
    metavar="SECONDS",
    help="The devices' own revert timer, where they have one.",
)
@acting
@click.pass_context
def command(ctx: click.Context, /, hosts: tuple[str, ...], confirm_seconds: int, **given: Any) -> int:  # noqa: ANN401 -- click's
    """Cut hosts off from everything but management, and prove it.

    Names, groups and patterns are Ansible's. The plan is computed from live facts, shown, approved, and compared
    once more just before it is carried out. Management stays open; a timer on the host restores it if it does not.

    A layer that was not asked for by name and cannot be had is left out, and said (exit code 22).
    """
    on_timeout, dns, layers = given.pop("on_timeout"), given.pop("dns"), given.pop("layers")
    unreachable = given.pop("unreachable")
    allowed = {key: given.pop(key) for key in ("shut_port", "force_port", "device_seconds")}
    with world(common(ctx, given)) as around:
        names = around.inventory.select(hosts)
        from remedy.actions.isolate import Isolate  # noqa: PLC0415 -- lazily, with all below it
        from remedy.engine import limits, replay  # noqa: PLC0415
        from remedy.engine.job import Job  # noqa: PLC0415

        incident = around.incident(f"isolate {', '.join(names)}")
        runs = limits.isolated(around.record)
        proven = {name: replay.read(around.record, runs[name]).plan.expects for name in names if name in runs}
        willing = {*around.inventory.select(unreachable)} if unreachable else set()
        jobs = [
            Job(
                Isolate(
                    **network(around, name, layers),
                    **allowed,
                    unreachable_ok=name in willing,
                    confirm_seconds=confirm_seconds,
                    on_timeout=on_timeout,
                    dns=dns or around.inventory.policy(name).dns,
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


def network(around: World, name: str, layers: str) -> dict[str, Any]:
    """The layers of an isolation, and what the inventory knows of switch and firewalls around a host."""
    from remedy.actions.containment.places import Firewall, Plug  # noqa: PLC0415 -- lazily, with all below it

    inventory = around.inventory
    chosen = tuple(word.strip() for word in layers.split(",") if word.strip())
    found = [] if chosen == ("host",) else [one for one in inventory.devices() if one.name != name]
    walls = tuple(Firewall(one.name, one.vendor.name, one.gates) for one in found if one.gates)
    port = inventory.switch_port(name) if found else None
    plugs = tuple(
        Plug(one.name, one.vendor.name, port.port if port else "", one.quarantine_vlan, one.quarantine_management)
        for one in found
        if (one.name == port.device if port else one.quarantine_vlan and one.vendor.switch)
    )
    given = ("host", *(("perimeter",) if walls else ()), *(("switch",) if port else ()))
    wanted = chosen or given
    return {
        "layers": wanted,
        "named": bool(chosen),
        "firewalls": walls if "perimeter" in wanted else (),
        "plugs": plugs if "switch" in wanted else (),
    }
