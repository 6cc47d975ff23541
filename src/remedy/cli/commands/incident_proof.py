"""The commands of `remedy incident` that prove: verify, export, checkpoint, key."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remedy.cli import story
from remedy.cli.act import screen_of
from remedy.cli.options import common, looking
from remedy.cli.world import world
from remedy.core.errors import UsageError

if TYPE_CHECKING:
    from remedy.cli.world import World
    from remedy.core.canon import Json
    from remedy.record.report import Report

_BROKEN = 26
_PARTIAL = 20
_MOST_ENTRIES = 100_000


@click.command(
    "verify",
    epilog="""\b
Examples:
  remedy incident verify                                    the whole record
  remedy incident verify INC-20261120-1 --against city-b    with what was sent there
  nft list ruleset | remedy incident verify --against -     with the anchor in a host's rules
  remedy incident verify --proof OUT.json --trusted SHA256:…
""",
)
@click.argument("incident_id", metavar="[INCIDENT|all]", default="all")
@click.option(
    "--trusted", "--key", multiple=True, metavar="SHA256:…", help="Fingerprint of a key that may sign (repeatable)."
)
@click.option(
    "--against",
    multiple=True,
    metavar="WHAT",
    help="Compare with what is elsewhere: a file or folder, - (text with an anchor), 16 digits, s3://…, a place of"
    " remedy_offsite (repeatable).",
)
@click.option("--proof", type=click.Path(path_type=Path), help="Check a file of `export --proofs` instead.")
@looking
@click.pass_context
def verify(
    ctx: click.Context,
    /,
    incident_id: str,
    trusted: tuple[str, ...],
    against: tuple[str, ...],
    proof: Path | None,
    **given: Any,  # noqa: ANN401 -- click's
) -> int:
    """Verify the whole record: every entry, the chain, every checkpoint. Exit 26 when it does not hold.

    With an incident, also say which of its entries are affected. Without --trusted, the fingerprints of
    remedy_record_keys count, or the first key that the record announces.
    """
    with world(common(ctx, given)) as around:
        from remedy.cli import offsite  # noqa: PLC0415 -- lazily
        from remedy.cli.against import Against, gather  # noqa: PLC0415
        from remedy.record.verify import verify as check  # noqa: PLC0415

        if proof is not None:
            return _proven(around, proof, trusted)
        accepted = trusted or (around.inventory.record_keys() if around.has_inventory() else ())
        compared = Against()
        for what in against:
            compared += gather(around, what)
        report = check(around.record_path(), trusted=accepted, held=compared.held, anchors=compared.anchors)
        touched = None if incident_id == "all" else _of_incident(around, incident_id, report)
        elsewhere = offsite.standings(around)
        if around.options.json:
            places = offsite.documents(elsewhere, report.checkpoints)
            more = {"junk": [*compared.junk], "off_site": places, "incident": touched}
            click.echo(json.dumps({**_document(report), **more}))
        else:
            screen = screen_of(around.options, around)
            for line, style in story.report(report):
                screen.say(line, style)
            for line, style in offsite.lines(elsewhere, report.checkpoints):
                screen.say(line, style)
            if compared.junk:
                number, one = len(compared.junk), compared.junk[0]
                screen.say(
                    f"  remark: nobody signed {number} of the objects there: somebody has put them there, {one}", "dim"
                )
            if touched:
                bad = f"{len(touched['damaged'])} of them damaged or gone" if touched["damaged"] else "none damaged"
                screen.say(
                    f"  {incident_id}: {touched['entries']} entries, {bad}", "bold red" * bool(touched["damaged"])
                )
        return 0 if report.ok else _BROKEN


@click.command(
    "export",
    epilog="""\b
Examples:
  remedy incident export INC-20261120-1 /media/usb/inc1
  remedy incident export INC-20261120-1 --entries 3,5-7 --proofs OUT.json
""",
)
@click.argument("incident_id", metavar="INCIDENT|all")
@click.argument("directory", type=click.Path(path_type=Path), required=False)
@click.option("--entries", metavar="3,5-7", default="", help="These entries alone, each with a proof.")
@click.option("--proofs", metavar="FILE", type=click.Path(path_type=Path), help="Where the proofs are written to.")
@looking
@click.pass_context
def export(
    ctx: click.Context,
    /,
    incident_id: str,
    directory: Path | None,
    entries: str,
    proofs: Path | None,
    **given: Any,  # noqa: ANN401 -- click's
) -> int:
    """Export to a folder that anybody can verify with sha256sum and ssh-keygen alone.

    With --entries and --proofs, hand over a few entries and nothing of the rest: the receiver can prove that they are
    in the signed record.
    """
    if bool(entries) != (proofs is not None) or (directory is None) == (proofs is None):
        raise UsageError("name a DIRECTORY, or --entries with --proofs FILE", hint="remedy incident export -h")
    with world(common(ctx, given)) as around:
        from remedy.cli import offsite  # noqa: PLC0415 -- lazily

        around.record.checkpoint()
        incident = "" if incident_id == "all" else incident_id
        if directory is not None:
            from remedy.record.export import export as write  # noqa: PLC0415 -- lazily

            write(around.record_path(), directory, incident=incident)
            how = f"read {directory}/VERIFY.txt"
        else:
            from remedy.record.files import put_new  # noqa: PLC0415 -- lazily
            from remedy.record.proofs import hand_over  # noqa: PLC0415

            made = hand_over(around.record_path(), _numbers(entries), incident=incident)
            _put(put_new, Path(str(proofs)), made)
            how = f"`remedy incident verify --proof {proofs} --key …`, or the script in docs/reference/record-format.md"
        screen = screen_of(around.options, around)
        if around.options.json:
            key = around.record.fingerprint()
            there = {"directory": str(directory)} if directory else {"proofs": str(proofs)}
            click.echo(json.dumps({"schema_version": 1, **there, "key": key}))
        else:
            screen.say(f"written to {directory or proofs}")
        screen.say(f"to verify it, {how}; key {around.record.fingerprint()}", "dim", talk=True)
        offsite.afterwards(around, screen)
        return 0


@click.command("checkpoint")
@click.option("--send", is_flag=True, help="Send what is not off site yet, to the end. Exit 20 when some is left.")
@looking
@click.pass_context
def checkpoint(ctx: click.Context, /, *, send: bool, **given: Any) -> int:  # noqa: ANN401 -- click's
    """Sign what is in the record now, and print it: text to be kept elsewhere, in mail, in chat, on paper."""
    with world(common(ctx, given)) as around:
        from remedy.cli import offsite  # noqa: PLC0415 -- lazily

        text = around.record.checkpoint()
        screen = screen_of(around.options, around)
        found = offsite.deliver(around, patiently=True) if send else offsite.standings(around)
        if send and not found:
            raise UsageError("the inventory names no place to send to", hint="remedy_offsite, for `all`")
        newest = around.record.newest_checkpoint()
        left = [one for one in found if one.missing(newest)]
        if around.options.json:
            places = offsite.documents(found, newest)
            click.echo(json.dumps({"schema_version": 1, "checkpoint": text, "off_site": places}))
        else:
            screen.say(text.rstrip())
        for line, style in offsite.lines(found, newest):
            screen.say(line.strip(), style, talk=True)
        return _PARTIAL if send and left else 0


@click.command(
    "key",
    epilog="""\b
Examples:
  remedy incident key                                       its fingerprint, and what became of earlier ones
  remedy incident key --retire "new administration host"    the next key signs, this one vouches for it
  remedy incident key --stolen "adm1 was broken into"       the next key signs, this one counts no more
""",
)
@click.option("--retire", metavar="REASON", default="", help="End the key; it vouches for the next.")
@click.option("--stolen", metavar="REASON", default="", help="End the key; it vouches for nothing any more.")
@looking
@click.pass_context
def key(ctx: click.Context, /, retire: str, stolen: str, **given: Any) -> int:  # noqa: ANN401 -- click's
    """Show the key that signs the record, or end it and go on with a new one.

    The end is an entry, signed by the ending key, and is kept off site like a checkpoint.
    """
    if retire and stolen:
        raise UsageError("a key is retired or stolen, not both")
    with world(common(ctx, given)) as around:
        from remedy.cli import offsite  # noqa: PLC0415 -- lazily
        from remedy.record import endings  # noqa: PLC0415

        screen = screen_of(around.options, around)
        if retire or stolen:
            around.record.end_key(endings.STOLEN if stolen else endings.RETIRED, stolen or retire)
        ended = [json.loads(entry.body) for entry in around.record.entries(kinds=[endings.KIND])]
        now = around.record.fingerprint()
        if around.options.json:
            rows = [{name: one.get(name) for name in ("fingerprint", "why", "reason", "next")} for one in ended]
            click.echo(around.redact(json.dumps({"schema_version": 1, "key": now, "ended": rows}, ensure_ascii=False)))
        else:
            screen.say(f"{now} signs")
            for one in ended:
                screen.say(f"{one.get('fingerprint')} was {one.get('why')}: {one.get('reason')}", "dim")
        if stolen:
            hint = "tell it to all who verify, by another way; remedy_record_keys in the inventory names it"
            screen.say(f"nothing vouches for {now}: {hint}", "yellow", talk=True)
        if retire or stolen:
            offsite.afterwards(around, screen)
        return 0


def _document(report: Report) -> dict[str, Json]:
    findings: list[Json] = [
        {"kind": f.kind, "damage": f.is_damage, "text": str(f), "first": f.first, "last": f.last}
        for f in report.findings
    ]
    doubts: list[Json] = [{"seq": d.seq, "run": d.run, "target": d.target} for d in report.in_doubt]
    anchors: list[Json] = [
        {"anchor": one.digits, "source": one.source, "entry": seq if seq >= 0 else None} for one, seq in report.anchored
    ]
    return {
        "schema_version": 1,
        "ok": report.ok,
        "entries": report.entries,
        "head": report.head,
        "signed": report.signed,
        "keys": [*report.fingerprints],
        "findings": findings,
        "in_doubt": doubts,
        "anchors": anchors,
    }


def _of_incident(around: World, incident: str, report: Report) -> dict[str, Any]:
    """How many entries the incident has, and which of them a finding of damage covers. Raises UsageError."""
    from remedy.record.verify import numbers_of  # noqa: PLC0415 -- lazily

    seqs = numbers_of(around.record_path(), incident)
    if not seqs:
        raise UsageError(f"there is no incident {incident!r}", hint="`remedy incident list` shows them all")
    spans = [(one.first, one.last) for one in report.damage if one.first]
    bad = [seq for seq in seqs if any(first <= seq and (seq <= last or last < 0) for first, last in spans)]
    return {"id": incident, "entries": len(seqs), "damaged": bad}


def _proven(around: World, path: Path, trusted: tuple[str, ...]) -> int:
    """Check a file of proofs and show what is in it."""
    from remedy.cli.against import read  # noqa: PLC0415 -- lazily
    from remedy.record import proofs  # noqa: PLC0415

    if not trusted:
        raise UsageError("whose signature counts?", hint="--key SHA256:…, the fingerprint that you were told")
    checkpoint, signer, entries = proofs.check(read(path), trusted, where=str(path))
    screen = screen_of(around.options, around)
    if around.options.json:
        rows = [{"seq": one.seq, "header": one.header, "body": one.body} for one in entries]
        head = {"schema_version": 1, "ok": True, "size": checkpoint.size, "key": signer, "time": checkpoint.time}
        click.echo(json.dumps({**head, "entries": rows}, ensure_ascii=False))
        return 0
    for one in entries:
        text = json.dumps(one.body, ensure_ascii=False)
        screen.say(f"{one.seq:>6}  {one.header.get('time')}  {one.header.get('kind')}  {text}")
    screen.say(f"{len(entries)} entries are in the record of {checkpoint.size} signed by {signer} at {checkpoint.time}")
    screen.say("proven", "bold green")
    return 0


def _numbers(text: str) -> list[int]:
    """Entry numbers from `3,5-7`. Raises UsageError."""
    found: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,18})\s*(?:-\s*([0-9]{1,18})\s*)?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if last < first or last - first > _MOST_ENTRIES:
            raise UsageError(f"{part.strip()!r} names no entries", hint="--entries 3,5-7")
        found.update(range(first, last + 1))
    return sorted(found)


def _put(put_new: Any, path: Path, made: dict[str, Json]) -> None:  # noqa: ANN401 -- imported lazily
    """Write the proofs to a new file. Raises UsageError."""
    from remedy.core.canon import canonical  # noqa: PLC0415 -- lazily

    try:
        fresh = put_new(path, canonical(made) + b"\n", mode=0o600)
    except OSError as error:
        raise UsageError(f"the proofs cannot be written: {error.strerror}", where=str(path)) from error
    if not fresh:
        raise UsageError("there is a file of that name, which stays", where=str(path), hint="name a new one")
