"""`remedy lab`: rehearse on real hosts in network namespaces, on this machine alone."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import click

from remedy.core.text import printable


@click.group(
    "lab",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples:
  remedy lab demo                         the whole story, then everything is taken down again
  remedy lab up && remedy -i inventories/lab inventory list
  remedy lab attack web01                 an intruder on web01, for rehearsal
  remedy lab fault power-cycle web01
  remedy lab attack db01 --ruin tables
  remedy lab down
""",
)
def command() -> None:
    """The rehearsal lab: web servers, a database, a router, an attacker, as real hosts in network namespaces.

    Needs root, and says exactly what else is missing. Nothing leaves this machine.
    """


def _lab() -> Any:  # noqa: ANN401 -- remedy.lab is imported lazily
    from remedy.lab import Lab  # noqa: PLC0415 -- lazily

    return Lab()


def _progress(line: str) -> None:
    click.echo(printable(line), err=True)


@command.command("up")
@click.option("--hosts", type=click.IntRange(0, 200), default=0, metavar="N", help="That many plain hosts besides.")
@click.option(
    "--with",
    "extra",
    multiple=True,
    metavar="NAME",
    help="An optional host: sys01 (real systemd), or a network device: core01, asa01, sw01.",
)
@click.option(
    "--inventory-dir",
    type=click.Path(path_type=Path),
    help="Where the inventory is written; default ./inventories/lab.",
)
def up(hosts: int, extra: tuple[str, ...], inventory_dir: Path | None) -> int:
    """Bring the lab up; returns when every host answers. The first time builds its image (half a minute)."""
    lab = _lab()
    lab.up(hosts=hosts, extra=extra, inventory=inventory_dir, progress=_progress)
    click.echo(f"the lab is up; use it with: remedy -i {lab.inventory} …")
    return 0


@command.command("down")
def down() -> int:
    """Take the lab down: no process, namespace, mount, link or route stays."""
    _lab().down()
    return 0


@command.command("status")
@click.option("--json", "json_", is_flag=True, help="One JSON document.")
def status(json_: bool) -> int:  # noqa: FBT001 -- click's
    """Show every host: addresses, services, faults."""
    found = _lab().status()
    if json_:
        click.echo(json.dumps({"schema_version": 1, **found}))
        return 0
    for name, host in found["hosts"].items():
        faults = f"   FAULTS {', '.join(host['faults'])}" if host.get("faults") else ""
        services = ", ".join(f"{k}{'' if v else ' (not yet)'}" for k, v in _services(host).items())
        click.echo(f"{name:<10} {host['v4']:<14} {host['v6']:<20} {services}{faults}")
    return 0


def _services(host: dict[str, Any]) -> dict[str, bool]:
    found = host.get("services", {})
    return found if isinstance(found, dict) else dict.fromkeys(found, True)


@command.command("exec", context_settings={"ignore_unknown_options": True})
@click.argument("host")
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_(host: str, argv: tuple[str, ...]) -> int:
    """Run a program as root on a host, from its console: remedy lab exec web01 -- nft list ruleset."""
    code, out, err = _lab().exec(host, argv, stdin=b"" if sys.stdin.isatty() else sys.stdin.buffer.read())
    show = sys.stdout.isatty()
    sys.stdout.write(printable(out, len(out) * 4 + 1) if show else out.decode("utf-8", "backslashreplace"))
    sys.stderr.write(printable(err, len(err) * 4 + 1))
    return int(code)


@command.command("attack")
@click.argument("host")
@click.option(
    "--ruin",
    type=click.Choice(["tables", "rows", "server"]),
    help="Instead, ruin the database of db01: drop its tables, overwrite rows, break the server's files.",
)
@click.option("--stop", is_flag=True, help="Remove every trace of the intrusion; a ruined database is put back.")
@click.option(
    "--status", "ask", is_flag=True, help="Say what the attacker sees right now; exit 0 when it sees nothing."
)
@click.option("--json", "json_", is_flag=True, help="One JSON document.")
def attack(host: str, ruin: str | None, stop: bool, ask: bool, json_: bool) -> int:  # noqa: FBT001 -- click's
    """Put an intruder on a host: the page defaced, a beacon calling home, a live shell held open."""
    lab = _lab()
    if ruin:
        lab.ruin(host, ruin)
        return 0
    if stop:
        lab.attack_stop(host)
        return 0
    if not ask:
        lab.attack(host)
    seen = lab.attack_status(host)
    if json_:
        click.echo(json.dumps({"schema_version": 1, "heard": seen.heard, "session_alive": seen.session_alive}))
    else:
        for beacon in seen.beacons:
            age = "never" if beacon.age is None else f"{beacon.age:.1f} s ago"
            click.echo(
                f"beacon  {beacon.protocol}/IPv{beacon.family:<2} {'HEARD' if beacon.heard else 'silent':<7} last {age}"
            )
        for session in seen.sessions:
            said = printable(session.last, 60, one_line=True) if session.answers else ""
            click.echo(f"shell   IPv{session.family:<6} {'ALIVE' if session.answers else 'dead':<7} {said}")
    return 1 if ask and (seen.heard or seen.session_alive) else 0


@command.command("fault")
@click.argument("kind")
@click.argument("host")
@click.argument("value", required=False, type=float)
def fault(kind: str, host: str, value: float | None) -> int:
    """Give a host a fault: link-cut, delay MS, loss PERCENT, power-cycle, power-off, power-on, disk-full and others.

    On db01, backup01 and offsite also backup-flip [COUNT], backup-cut [PERCENT], backup-delete and backup-replace.
    """
    _lab().fault(kind, host, value)
    return 0


@command.command("clear")
@click.argument("host", required=False)
def clear(host: str | None) -> int:
    """Undo the faults of a host, or of all."""
    _lab().clear(host)
    return 0


@command.command("database")
@click.option("--size", metavar="SIZE", help="Add about that much, such as 300M or 1G, and back it up.")
@click.option("--backup/--no-backup", "back_up", default=True, help="Make a backup afterwards, in all places.")
@click.option("--reset", is_flag=True, help="Put back the database and all backups as they were at the start.")
def database(size: str | None, back_up: bool, reset: bool) -> int:  # noqa: FBT001 -- click's
    """Fill the database of db01 with realistic rows, or put it back; alone, back it up now as cron does at night."""
    from remedy.lab.database import parsed_size  # noqa: PLC0415 -- lazily

    lab = _lab()
    wanted = parsed_size(size) if size else 0
    if reset:
        lab.reset_database()
    if wanted:
        lab.fill_database(wanted, _progress, back_up=back_up)
    elif not reset and back_up:
        click.echo(lab.back_up_database())
    return 0


@command.command("writers")
@click.option("--tills", type=click.IntRange(1, 50), default=3, metavar="N", help="How many write at once; 3.")
@click.option("--stop", is_flag=True, help="Stop them.")
@click.option("--status", "ask", is_flag=True, help="Say what they were told so far.")
@click.option("--audit", is_flag=True, help="Look for every acknowledged receipt; exit 0 when none is lost.")
@click.option("--json", "json_", is_flag=True, help="One JSON document.")
def writers(tills: int, stop: bool, ask: bool, audit: bool, json_: bool) -> int:  # noqa: FBT001 -- click's
    """Let tills on web01 write receipts into the database, and know of each whether it was acknowledged."""
    lab = _lab()
    if stop:
        lab.writers_stop()
    elif not ask and not audit:
        lab.writers_start(tills)
    if audit:
        found = lab.writers_audit()
        where = ", ".join(f"{count} in {printable(name, 80, one_line=True)}" for name, count in found.schemas.items())
        text = f"{found.acknowledged} receipts acknowledged: {where}; LOST {len(found.lost)}"
    else:
        found = lab.writers_seen()
        text = (
            f"{'writing' if found.running else 'stopped'}: {found.acknowledged} receipts acknowledged, "
            f"{found.rate:g}/s, {found.refused} times refused, {found.doubtful} in doubt, "
            f"longest silence {found.silence:g} s"
        )
        text += f"\nlast refusal: {printable(found.said, 200, one_line=True)}" if found.said else ""
    click.echo(json.dumps({"schema_version": 1, **dataclasses.asdict(found)}) if json_ else text)
    return 1 if audit and found.lost else 0


@command.command("demo")
@click.option("--keep", is_flag=True, help="Leave the lab up at the end.")
@click.option("--fast", is_flag=True, help="No pauses for reading.")
def demo(keep: bool, fast: bool) -> int:  # noqa: FBT001 -- click's
    """The whole story, live: attack, isolation, certificate, recovery card, release, timeline, verification."""
    from remedy.cli.demo import tell  # noqa: PLC0415 -- lazily

    return tell(keep=keep, fast=fast)
