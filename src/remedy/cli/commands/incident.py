"""`remedy incident`: the record of what happened, what was done, and proof that nobody rewrote it."""

from __future__ import annotations

import json
from typing import Any

import click

from remedy.cli import story
from remedy.cli.act import screen_of
from remedy.cli.commands import incident_proof
from remedy.cli.options import common, looking
from remedy.cli.world import world


@click.group(
    "incident",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples:
  remedy incident open "page of web01 defaced" --severity major
  remedy incident show INC-20261120-1
  remedy incident verify --against city-b
  remedy incident export INC-20261120-1 /media/usb/inc1
  remedy incident checkpoint --send
""",
)
def command() -> None:
    """Open, show, note, close, verify and export incidents."""


@command.command("open")
@click.argument("title")
@click.option("--severity", default="", help="As your plan grades it, in your plan's words.")
@looking
@click.pass_context
def open_(ctx: click.Context, /, title: str, severity: str, **given: Any) -> int:  # noqa: ANN401 -- click's
    """Open an incident; prints its id."""
    with world(common(ctx, given)) as around:
        from remedy.record import incidents  # noqa: PLC0415 -- lazily

        name = incidents.open(around.record, title, severity=severity)
        if around.options.json:
            click.echo(json.dumps({"schema_version": 1, "incident": name}))
        else:
            click.echo(name)
            screen_of(around.options, around).say(f"record key {around.record.fingerprint()}", "dim", talk=True)
        return 0


@command.command("list")
@looking
@click.pass_context
def listing(ctx: click.Context, /, **given: Any) -> int:  # noqa: ANN401 -- click's
    """List incidents, oldest first."""
    with world(common(ctx, given)) as around:
        from remedy.cli import offsite  # noqa: PLC0415 -- lazily
        from remedy.record import incidents  # noqa: PLC0415

        found = incidents.list(around.record)
        elsewhere, newest = offsite.standings(around), around.record.newest_checkpoint()
        if around.options.json:
            rows = [{"id": i.id, "title": i.title, "opened": i.opened, "closed": i.closed or None} for i in found]
            places = offsite.documents(elsewhere, newest)
            click.echo(json.dumps({"schema_version": 1, "incidents": rows, "off_site": places}, ensure_ascii=False))
            return 0
        screen = screen_of(around.options, around)
        for one in found:
            screen.say(f"{one.id}  {'open  ' if one.is_open else 'closed'}  {one.opened}  {one.title}")
        if not found:
            screen.say("no incident is in the record", talk=True)
        for line, style in offsite.lines(elsewhere, newest):
            screen.say(line.strip(), style, talk=not style)
        return 0


@command.command("show")
@click.argument("incident_id", metavar="INCIDENT")
@looking
@click.pass_context
def show(ctx: click.Context, /, incident_id: str, **given: Any) -> int:  # noqa: ANN401 -- click's
    """Show an incident as a timeline: who did what when, and how it ended. With -v, every entry."""
    with world(common(ctx, given)) as around:
        from remedy.record import incidents  # noqa: PLC0415 -- lazily

        found = incidents.show(around.record, incident_id)
        if around.options.json:
            rows = [
                {"seq": e.seq, "time": e.time, "kind": e.kind, "run": e.run, "hash": e.hash, "body": json.loads(e.body)}
                for e in found.entries
            ]
            head = {"schema_version": 1, "id": found.id, "title": found.title, "opened": found.opened}
            click.echo(
                around.redact(json.dumps({**head, "closed": found.closed or None, "entries": rows}, ensure_ascii=False))
            )
            return 0
        screen = screen_of(around.options, around)
        screen.say(f"{found.id}  {found.title}  {'open' if found.is_open else 'closed'}", "bold")
        for line, style in story.timeline(found.entries, every=around.options.verbose > 0):
            screen.say(line, style)
        return 0


@command.command("note")
@click.argument("incident_id", metavar="INCIDENT")
@click.argument("text")
@looking
@click.pass_context
def note(ctx: click.Context, /, incident_id: str, text: str, **given: Any) -> int:  # noqa: ANN401 -- click's
    """Add a note: what was seen, said, decided, by whom."""
    with world(common(ctx, given)) as around:
        from remedy.record import incidents  # noqa: PLC0415 -- lazily

        entry = incidents.note(around.record, incident_id, text)
        if around.options.json:
            click.echo(json.dumps({"schema_version": 1, "seq": entry.seq, "hash": entry.hash}))
        screen_of(around.options, around).say(f"entry {entry.seq}  {entry.hash[:16]}", talk=True)
        return 0


@command.command("close")
@click.argument("incident_id", metavar="INCIDENT")
@click.option("--summary", default="", help="How it ended, in a sentence.")
@looking
@click.pass_context
def close(ctx: click.Context, /, incident_id: str, summary: str, **given: Any) -> int:  # noqa: ANN401 -- click's
    """Close an incident and sign a checkpoint. Refused while a host of it is isolated."""
    with world(common(ctx, given)) as around:
        from remedy.cli import offsite  # noqa: PLC0415 -- lazily
        from remedy.core.errors import Refused  # noqa: PLC0415
        from remedy.engine import limits, replay  # noqa: PLC0415
        from remedy.record import incidents  # noqa: PLC0415

        left = [
            host
            for host, run in limits.isolated(around.record).items()
            if replay.read(around.record, run).plan.incident == incident_id
        ]
        if left:
            raise Refused(
                f"{', '.join(left)} is still isolated under {incident_id}", hint=f"remedy release {' '.join(left)}"
            )
        incidents.close(around.record, incident_id, summary)
        around.record.checkpoint()
        if around.options.json:
            click.echo(json.dumps({"schema_version": 1, "incident": incident_id, "closed": True}))
        screen = screen_of(around.options, around)
        screen.say(f"{incident_id} is closed; checkpoint signed", talk=True)
        offsite.afterwards(around, screen)
        return 0


for _part in (incident_proof.verify, incident_proof.export, incident_proof.checkpoint, incident_proof.key):
    command.add_command(_part)
