"""Bags of evidence for people and programs: what they say of themselves, and what verifying them came to.

Decides the words, the field names and the exit codes of `remedy evidence list`, `show` and `verify`. What a bag says is
shown as text that others wrote. Leaves to others: reading and verifying (`transports.bags`), whose keys count (`bags`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from remedy.cli import bags as shelves
from remedy.cli import document
from remedy.cli.progress import size
from remedy.core.errors import RecordBroken, RemedyError, UsageError
from remedy.engine import fleet
from remedy.engine.job import Event
from remedy.evidence import recorded
from remedy.evidence.findings import Finding, Findings
from remedy.transports.bags.reading import Reading

if TYPE_CHECKING:
    from remedy.cli.screen import Screen
    from remedy.cli.world import World
    from remedy.core.canon import Json
    from remedy.core.ports import Tell
    from remedy.evidence.recorded import Told

_UNVERIFIED: Final = 22
_STYLES: Final = {"damage": ("✗", "red"), "doubt": ("?", "yellow"), "remark": ("!", "")}
#: Files that are shown without -v.
_MOST: Final = 40


def show_all(around: World, screen: Screen, bags: str | None, incident: str) -> int:
    """List the bags here; 0."""
    root = shelves.folder(around, bags)
    found = []
    for path in shelves.every(root):
        try:
            found += [Reading.open(path)] if incident in {"", path.parent.name} else []
        except UsageError as error:
            screen.error(path.name, error)
    if around.options.json:
        rows: list[Json] = [_summary(one) for one in found]
        document.emit({"command": "evidence list", "folder": str(root), "bags": rows}, around.redact)
        return 0
    for one in found:
        state = "unsealed" if not one.sealed else one.said("Remedy-Completeness") or "sealed"
        total = _oxum(one)[0]
        amount = "?" if total is None else size(total)
        of = " ".join(one.all_said("Remedy-Target")) or one.said("External-Description")
        text = f"{one.folder.name}  {one.folder.parent.name}  {state:<8}  {amount:>8}  {one.said('Remedy-Began')}  {of}"
        screen.say(text, "" if one.sealed else "yellow")
    if not found:
        screen.say(f"no bag is in {root}", talk=True)
    return 0


def _summary(one: Reading) -> dict[str, Json]:
    total, count = _oxum(one)
    return {
        "bag": one.id,
        "path": str(one.folder),
        "incident": one.said("Bag-Group-Identifier") or one.folder.parent.name,
        "title": one.said("External-Description"),
        "targets": [*one.all_said("Remedy-Target")],
        "profile": one.said("Remedy-Profile"),
        "began": one.said("Remedy-Began") or None,
        "sealed": one.sealed,
        "whole": one.sealed and one.said("Remedy-Completeness") == "whole",
        "lacking": [*one.all_said("Remedy-Lacking")],
        "size": total,
        "files": count,
        "sha256": one.sha256,
        "key": one.said("Remedy-Signing-Key"),
        "witnesses": [*one.witnesses],
    }


def _oxum(one: Reading) -> tuple[int | None, int | None]:
    """Bytes and files of the payload, by what the bag says; None for what is no number below 10**18."""
    total, _, count = one.said("Payload-Oxum").partition(".")
    numbers = [int(text) if re.fullmatch("[0-9]{1,18}", text) else None for text in (total, count)]
    return numbers[0], numbers[1]


def show_one(around: World, screen: Screen, bags: str | None, name: str) -> int:
    """Show one bag, its files and its entries in the record; 0."""
    one = Reading.open(shelves.find(around, bags, name))
    events = entries(around, one.id)
    if around.options.json:
        files: list[Json] = [{"path": path, "size": length, **sums} for path, length, sums in one.files()]
        said: list[Json] = [{"seq": e.seq, "time": e.time, **e.body} for e in events]
        document.emit({"command": "evidence show", **_summary(one), "listed": files, "record": said}, around.redact)
        return 0
    screen.say(str(one.folder), "bold")
    for label, value in one.info:
        screen.say(f"  {label}: {value}")
    if not one.sealed:
        screen.say("  it is not sealed", "yellow")
    for witness in one.witnesses:
        screen.say(f"  signed by a witness too: {witness}")
    for number, (path, length, sums) in enumerate(one.files(), 1):
        if number > _MOST and not screen.verbose:
            screen.say("  … more files (-v shows all)", "dim")
            break
        screen.say(f"  {path}  {size(length) if length >= 0 else 'GONE'}  SHA-256 {sums.get('sha256', '')}")
    for event in events:
        screen.say(f"  entry {event.seq}  {event.time[:19]}Z  {event.event}", "dim")
    screen.say(f"not verified; that does: remedy evidence verify {one.folder}", "dim", talk=True)
    return 0


def entries(around: World, bag_id: str) -> tuple[Told, ...]:
    """What the record here says of a bag, where there is one."""
    if not around.record_path().exists():
        return ()
    return recorded.told(around.record.entries(kinds=[recorded.KIND]), bag_id)


def verify_all(
    around: World,
    screen: Screen,
    names: Sequence[str],
    *,
    bags: str | None,
    keys: Sequence[Path],
    allowed_signers: Path | None,
    revoked: Path | None,
    tsa_ca: Path | None,
) -> int:
    """Verify bags one after another and say what came of each; the exit code of all."""
    believed = shelves.believed(around, keys, allowed_signers, revoked, tsa_ca)
    codes: list[int] = []
    documents: list[Json] = []
    for name in names:
        try:
            path = shelves.find(around, bags, name)
            findings = believed.verify(around, path, teller(screen))
        except RemedyError as error:
            screen.rest("")
            if not around.options.json:
                screen.error(name, error)
            codes.append(error.exit_code)
            documents.append({"name": name, **document.of_error(name, error)})
            continue
        screen.rest("")
        codes.append(code_of(findings))
        documents.append(of_findings(findings, path))
        if not around.options.json:
            tell_findings(screen, findings, path)
    code = fleet.exit_code(codes)
    if around.options.json:
        document.emit({"command": "evidence verify", "exit_code": code, "bags": documents}, around.redact)
    return code


def teller(screen: Screen) -> Tell:
    """Shows how far reading has come."""
    return lambda what, done, total: screen.event(Event("", "progress", what, done=done, total=total))


def code_of(findings: Findings) -> int:
    """26 when something contradicts, 22 when something is not shown, else 0."""
    if not findings.ok:
        return RecordBroken.exit_code
    return 0 if findings.proven else _UNVERIFIED


def of_findings(findings: Findings, path: Path) -> dict[str, Json]:
    """What verifying one bag came to, for programs."""
    signature = findings.signature
    found: list[Json] = [_of_finding(one) for one in findings.findings]
    witnesses: list[Json] = [{"name": name, "key": key} for name, key in findings.witnesses]
    return {
        "bag": findings.said("External-Identifier"),
        "path": str(path),
        "incident": findings.said("Bag-Group-Identifier"),
        "exit_code": code_of(findings),
        "ok": findings.ok,
        "proven": findings.proven,
        "sha256": findings.sha256,
        "key": signature.fingerprint if signature else None,
        "identity": signature.identity if signature else None,
        "stamped": findings.stamped or None,
        "witnesses": witnesses,
        "size": findings.size,
        "files": findings.count,
        "findings": found,
        "more": findings.more,
    }


def _of_finding(one: Finding) -> dict[str, Json]:
    return {"kind": one.kind, "grade": one.grade, "path": one.path, "text": one.text}


def tell_findings(screen: Screen, findings: Findings, path: Path) -> None:
    """What verifying one bag came to, for people."""
    for one in findings.findings:
        mark, style = _STYLES[one.grade]
        screen.say(f"  {mark} {one.path or findings.name}: {one.kind}: {one.text}", style)
    if findings.more:
        screen.say(f"  ✗ and {findings.more} more", "red")
    signature = findings.signature
    if signature and not screen.quiet:
        whose = f" ({signature.identity})" if signature.identity else ""
        screen.say(f"  signed by {signature.fingerprint}{whose}; tag manifest SHA-256 {findings.sha256}")
    for name, key in findings.witnesses if not screen.quiet else ():
        screen.say(f"  witness {name}: {key}")
    if findings.stamped:
        screen.say(f"  there at {findings.stamped}, by its time stamp")
    amount = f"{findings.count} files, {size(findings.size)}"
    if findings.proven:
        screen.say(f"{path}: verifies, {amount}", "bold green")
    elif findings.ok:
        screen.say(f"{path}: nothing contradicts it, {amount}, but not everything is shown", "bold yellow")
    else:
        screen.say(f"{path}: does NOT verify", "bold red")
