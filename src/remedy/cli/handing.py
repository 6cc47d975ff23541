"""Evidence leaves the house: one tar file, the papers to sign, a witness's signature.

Decides that nothing leaves that does not verify, that a witness signs what was just verified, and that each is an entry
in the record. Leaves to others: packing and verifying (`transports.bags`), the papers' words (`evidence.papers`).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from remedy.cli import bags as shelves
from remedy.cli import document
from remedy.cli.bags import Believed
from remedy.cli.progress import size
from remedy.cli.showing import code_of, entries, of_findings, tell_findings, teller
from remedy.core.errors import Partial, RecordBroken, RecordUnavailable, Refused, UsageError
from remedy.evidence import bag, papers, recorded
from remedy.evidence.papers import Item, Papers
from remedy.transports.bags.packing import pack
from remedy.transports.bags.reading import Reading
from remedy.transports.bags.writing import add_file

if TYPE_CHECKING:
    from remedy.cli.screen import Screen
    from remedy.cli.world import World
    from remedy.core.canon import Json
    from remedy.evidence.findings import Findings

_PAPERS: Final = ("papers.md", "papers.html")


def export(around: World, screen: Screen, name: str, destination: Path, *, bags: str | None, **wish: object) -> int:
    """Write a bag to one tar file, verified on the way; the exit code."""
    believed = _believed(around, wish)
    path = shelves.find(around, bags, name)
    if destination.is_dir():
        destination /= f"{path.absolute().name}.tar"
    packed = pack(
        path,
        destination,
        believed.signers.judge,
        roots=believed.roots,
        tell=teller(screen),
        review=lambda findings: believed.compared(around, findings),
    )
    screen.rest("")
    code = code_of(packed.findings)
    if packed.path is not None:
        body: dict[str, Json] = {"event": recorded.EXPORTED, "sha256": packed.sha256, "size": packed.size}
        if not _recorded(around, screen, packed.findings, {**body, "to": str(destination.absolute())}):
            code = Partial.exit_code
    if around.options.json:
        head: dict[str, Json] = {"command": "evidence export", **of_findings(packed.findings, path), "exit_code": code}
        made = str(packed.path) if packed.path else None
        document.emit({**head, "file": made, "file_sha256": packed.sha256, "file_size": packed.size}, around.redact)
        return code
    tell_findings(screen, packed.findings, path)
    if packed.path is None:
        screen.say("nothing was exported", "red")
    else:
        screen.say(f"{packed.path}: {size(packed.size)}, SHA-256 {packed.sha256}")
    return code


def hand_over(
    around: World,
    screen: Screen,
    name: str,
    destination: Path | None,
    said: dict[str, str],
    *,
    witness_key: Path | None,
    witness_signature: Path | None,
    bags: str | None,
    **wish: object,
) -> int:
    """Verify a bag, let a witness sign it, write the papers; the exit code."""
    if (witness_key or witness_signature) and not said["witness"]:
        raise UsageError("whose signature is it?", hint="--witness NAME, letters and digits")
    path = shelves.find(around, bags, name)
    folder = _new_folder(
        destination or path.absolute().with_name(f"papers-{path.absolute().name.removeprefix('bag-')}"), path
    )
    believed = _believed(around, wish)
    findings = believed.verify(around, path, teller(screen))
    screen.rest("")
    if not findings.ok:
        return _refused(around, screen, findings, path)
    kept = True
    if witness_key or witness_signature:
        key = _witnessed(path, said["witness"], findings, believed, key=witness_key, signature=witness_signature)
        event: dict[str, Json] = {"event": recorded.WITNESSED, "witness": said["witness"], "key": key}
        kept = _recorded(around, screen, findings, event)
        findings = believed.verify(around, path, teller(screen))
        screen.rest("")
        if not findings.ok:
            return _refused(around, screen, findings, path)
    written = _papers(around, path, folder, findings, said)
    body: dict[str, Json] = {"event": recorded.HANDED_OVER, "papers": {**written}, "to": str(folder.absolute())}
    kept = _recorded(around, screen, findings, body) and kept
    code = code_of(findings) if kept else Partial.exit_code
    if around.options.json:
        head: dict[str, Json] = {"command": "evidence handover", **of_findings(findings, path), "exit_code": code}
        document.emit({**head, "folder": str(folder), "papers": {**written}}, around.redact)
        return code
    tell_findings(screen, findings, path)
    for file, sha256 in written.items():
        screen.say(f"{folder / file}  SHA-256 {sha256}")
    screen.say("print the page, fill in what is blank, and have it signed by hand", "dim", talk=True)
    return code


def _new_folder(folder: Path, path: Path) -> Path:
    """Where papers may go: asked before a witness signs, who could not sign again. Raises Refused, UsageError."""
    if not folder.parent.is_dir():
        raise UsageError(
            "there is no folder to put it in", where=str(folder), hint="name one in a folder that is there"
        )
    if folder.exists() or folder.is_symlink():
        raise Refused("is there already", where=str(folder), hint="name a folder that is not there yet")
    if folder.resolve().is_relative_to(path.resolve()):
        raise Refused("lies in the bag, which papers would damage", where=str(folder), hint="name a folder beside it")
    return folder


def _believed(around: World, wish: dict[str, object]) -> Believed:
    return shelves.believed(around, **wish)  # type: ignore[arg-type]


def _witnessed(
    path: Path, name: str, findings: Findings, believed: Believed, *, key: Path | None, signature: Path | None
) -> str:
    """Put a witness's signature into a bag that was just verified; the fingerprint of the key that made it.

    Raises UsageError when the key or signature cannot be used, Refused when it is the record's own or there is one.
    """
    from remedy.record import sealing  # noqa: PLC0415 -- cryptography

    file, tags = bag.witness_file(name), Reading.open(path).tags()
    if hashlib.sha256(tags).hexdigest() != findings.sha256:
        raise Refused("changed after it was verified", where=str(path), hint=f"remedy evidence verify {path}")
    try:
        if key is not None:
            text = sealing.of_file(key, bag.WITNESS_NAMESPACE).sign(tags)
        else:
            text = signature.read_text(encoding="ascii") if signature else ""
        seen = believed.signers.judge(tags, text, bag.WITNESS_NAMESPACE)
    except (RecordBroken, UnicodeDecodeError) as error:
        typed = f"ssh-keygen -Y sign -f KEY -n {bag.WITNESS_NAMESPACE} < {path}/{bag.TAG_MANIFEST} > witness.sig"
        raise UsageError(
            f"this is no witness's signature of this bag: {error}", where=str(signature), hint=typed
        ) from error
    sealer = findings.signature.fingerprint if findings.signature else ""
    if seen.problem == "revoked-key" or seen.fingerprint in {sealer, *believed.own}:
        own = "the one that sealed the bag" if seen.fingerprint == sealer else "one of this record's own"
        why = "is revoked" if seen.problem == "revoked-key" else f"is {own}"
        raise Refused(f"the witness's key {seen.fingerprint} {why}", hint="a witness signs with a key of his own")
    add_file(path, file, text.encode())
    return seen.fingerprint


def _refused(around: World, screen: Screen, findings: Findings, path: Path) -> int:
    if around.options.json:
        document.emit({"command": "evidence handover", **of_findings(findings, path)}, around.redact)
    else:
        tell_findings(screen, findings, path)
        screen.say("nothing was handed over", "red")
    return code_of(findings)


def _recorded(around: World, screen: Screen, findings: Findings, body: dict[str, Json]) -> bool:
    """An entry about a bag, where the record here knows it; somebody else's bag has its record elsewhere.

    False when the record should have it and cannot.
    """
    bag_id = findings.said("External-Identifier")
    known = entries(around, bag_id)
    if not known:
        screen.say("the record here does not know this bag: nothing was written to it", "yellow", talk=True)
        return True
    try:
        shelves.note(around, known[0].incident, bag_id, body)
        around.record.checkpoint()
    except RecordUnavailable as error:
        screen.error("record", error)
        return False
    return True


def _papers(around: World, path: Path, folder: Path, findings: Findings, said: dict[str, str]) -> dict[str, str]:
    """Write the papers into a new folder; their SHA-256 by name. Raises Refused, Partial."""
    reading = Reading.open(path)
    events = entries(around, findings.said("External-Identifier"))
    made = Papers(
        findings.info,
        findings.sha256,
        findings.signature.fingerprint if findings.signature else "",
        findings.stamped,
        said["cause"] or (_title(around, events[0].incident) if events else ""),
        said["place"],
        said["holder"],
        said["witness"],
        findings.witnesses,
        events,
        tuple(one.kind for one in findings.of("doubt")),
    )
    try:
        folder.mkdir(mode=0o700)
        forms = zip(_PAPERS, (papers.as_markdown, papers.as_html), strict=True)
        return {name: _put(folder / name, form(made, _items(reading))) for name, form in forms}
    except FileExistsError as error:
        text = "is there already"
        raise Refused(text, where=str(folder), hint="name a folder that is not there yet") from error
    except OSError as error:
        hint = "remove what is there of them, and name a place with room"
        raise Partial(f"the papers cannot be written: {error.strerror}", where=str(folder), hint=hint) from error


def _items(reading: Reading) -> Iterator[Item]:
    return (Item(path, length, digests) for path, length, digests in reading.files())


def _put(path: Path, parts: Iterator[str]) -> str:
    """Write a new file and flush it; its SHA-256."""
    seen = hashlib.sha256()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        for part in parts:
            data = part.encode()
            seen.update(data)
            file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return seen.hexdigest()


def _title(around: World, incident: str) -> str:
    """The incident's title, where the record here knows it."""
    from remedy.record import incidents  # noqa: PLC0415 -- lazily

    if not around.record_path().exists():
        return ""
    try:
        return incidents.show(around.record, incident).title
    except UsageError:
        return ""
