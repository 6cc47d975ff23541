"""Bags of evidence as the command line sees them: where they lie, whose keys count, and what the record gets to know.

Decides that a bag is begun and sealed with an entry each, written before the first byte comes and after the last is on
disk, between two signed checkpoints; and that a bag is looked for below `evidence` beside the record, or by its path.
Leaves to others: what goes into a bag, and showing what came of it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from remedy import __version__
from remedy.cli.interrupting import asked_to_stop
from remedy.cli.options import Common
from remedy.core.errors import Interrupted, RemedyError, UsageError
from remedy.core.text import printable
from remedy.evidence import bag, recorded
from remedy.evidence.bag import Info, Sealed

if TYPE_CHECKING:
    from remedy.cli.screen import Screen
    from remedy.cli.world import World
    from remedy.core.canon import Json
    from remedy.core.ports import Tell
    from remedy.evidence.findings import Findings
    from remedy.record.sealing import Signer
    from remedy.record.signers import Signers
    from remedy.transports.bags.writing import Stamp, Writing

_FOLDER: Final = "evidence"


def folder(around: World, given: str | None) -> Path:
    """Where bags lie: as given, else beside the record."""
    return Path(given) if given else around.record_path().parent / _FOLDER


def find(around: World, given: str | None, name: str) -> Path:
    """A bag by its path, or by its name or id below `folder`. Raises UsageError unless there is exactly one."""
    if "/" in name or Path(name).is_dir():
        path = Path(name)
        return path.resolve() if path.name in {"", ".."} else path  # papers and files are named after it
    wanted = {name, f"bag-{name}", f"{name}{bag.UNSEALED_SUFFIX}", f"bag-{name}{bag.UNSEALED_SUFFIX}"}
    fit = [path for path in every(folder(around, given)) if path.name in wanted]
    if len(fit) != 1:
        what = "several bags are" if fit else "no bag is"
        text = f"{what} called {printable(name, 80, one_line=True)!r} in {folder(around, given)}"
        raise UsageError(text, hint="`remedy evidence list` shows them; a path is taken too")
    return fit[0]


def every(root: Path) -> list[Path]:
    """All bags below a folder, sealed or not, oldest incident first."""
    try:
        incidents = sorted(path for path in root.iterdir() if path.is_dir() and not path.is_symlink())
        found = [path for one in incidents for path in one.iterdir() if bag.is_folder_name(path.name)]
        kept = [path for path in found if path.is_dir() and not path.is_symlink()]
        return sorted(kept, key=lambda path: (path.parent.name, path.stat().st_mtime_ns, path.name))
    except FileNotFoundError:
        return []


def names(record: str, bags: str) -> list[tuple[str, str]]:
    """Names and incidents of the bags here, for shell completion."""
    from remedy.cli.world import World  # noqa: PLC0415 -- lazily

    root = folder(World(Common(record=record)), bags or os.environ.get("REMEDY_EVIDENCE"))
    with contextlib.suppress(OSError):
        return [(path.name, path.parent.name) for path in every(root)]
    return []


def open_incidents(record: str) -> list[tuple[str, str]]:
    """Names and titles of the open incidents, for shell completion."""
    from remedy.cli.world import world  # noqa: PLC0415 -- lazily
    from remedy.record import incidents  # noqa: PLC0415

    with contextlib.suppress(RemedyError, OSError), world(Common(record=record)) as around:
        if around.record_path().exists():
            return [(one.id, one.title) for one in incidents.list(around.record) if one.is_open]
    return []


@dataclass(frozen=True, slots=True)
class Bagging:
    """A bag that is being filled, and what will be signed and recorded when that ends."""

    around: World
    writing: Writing
    signer: Signer
    stamp: Stamp | None

    def seal(self, *lacking: str) -> Sealed:
        """Seal it; `lacking` says what it has not. Recorded, and a checkpoint signed, before it returns.

        Raises Partial when the disk refuses: the record then says so.
        """
        try:
            sealed = self.writing.seal(self.signer.sign, self.stamp, lacking=lacking)
        except RemedyError as error:
            self._record({"event": recorded.BROKEN_OFF, "bag": self.writing.info.id, "reason": str(error)})
            raise
        self._record(recorded.of_sealed(sealed, self.signer.public.fingerprint))
        return sealed

    def _record(self, body: dict[str, Json]) -> None:
        note(self.around, self.writing.info.incident, self.writing.info.id, body)
        self.around.record.checkpoint()


def begin(
    around: World,
    incident: str,
    title: str,
    *,
    bags: str | None,
    tsa: str | None = None,
    tsa_ca: Path | None = None,
    targets: Sequence[str] = (),
    profile: str = "",
    method: str,
    digests: tuple[str, ...] = bag.DIGESTS,
) -> Bagging:
    """Begin a bag under an incident. The record says so first, and a checkpoint with this on it is signed.

    `method` is "added" or "collected". Raises UsageError when the authority cannot be asked, Refused when no bag can be
    made, RecordUnavailable.
    """
    from remedy.record import sealing  # noqa: PLC0415 -- cryptography
    from remedy.transports.bags.writing import Writing  # noqa: PLC0415

    if bool(tsa) != bool(tsa_ca):
        raise UsageError("a time stamp needs both --tsa and --tsa-ca", hint="a token is verified before it is kept")
    authority_ca = _text(tsa_ca)
    stamp = None
    if tsa:
        from remedy.transports.bags import stamping  # noqa: PLC0415 -- cryptography

        stamp = stamping.asking(tsa, authority_ca)
    bag_id = f"E{secrets.token_hex(4)}"
    begun: dict[str, Json] = {"event": recorded.BEGUN, "bag": bag_id, "title": title, "targets": [*targets]}
    place = folder(around, bags) / bag.name_of(incident)
    note(around, incident, bag_id, {**begun, "profile": profile, "method": method, "folder": str(place)})
    around.record.checkpoint()  # announces the key
    signer = sealing.of_record(around.record_path().parent / "keys")
    info = Info(
        bag_id,
        incident,
        title,
        around.actor,
        datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        around.record.head()[1],
        signer.line,
        signer.public.fingerprint,
        f"remedy {__version__}",
        tuple(targets),
        profile,
        tsa or "",
        authority_ca,
        (("Method", method),),
    )
    try:
        return Bagging(around, Writing.begin(place, info, digests=digests), signer, stamp)
    except RemedyError as error:
        note(around, incident, bag_id, {"event": recorded.BROKEN_OFF, "reason": str(error)})
        raise


def _text(path: Path | None) -> str:
    """Certificates in a file, "" without one. Raises UsageError."""
    try:
        return path.read_text(encoding="ascii") if path else ""
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"no certificates can be read: {error}", where=str(path), hint="a file in PEM") from error


def stopping(around: World, screen: Screen) -> AbstractContextManager[None]:
    """Ctrl-C sets `around.stop`, so that what came can be sealed; a second one ends the process: Interrupted."""
    said = "interrupted: sealing what came (Ctrl-C again ends at once)"
    ended = Interrupted("ended at once; what came lies unsealed in folders that end in .partial")
    return asked_to_stop(around.stop, lambda: screen.say(said, "yellow", talk=True), ended)


def note(around: World, incident: str, bag_id: str, body: dict[str, Json]) -> None:
    """An entry about a bag."""
    around.record.append(recorded.KIND, {"bag": bag_id, **body}, incident=incident, run=bag_id)


@dataclass(frozen=True, slots=True)
class Believed:
    """Whose keys are believed by one command. `own` are fingerprints of keys that the record here announced."""

    signers: Signers
    roots: str
    own: frozenset[str]

    def verify(self, around: World, path: Path, tell: Tell) -> Findings:
        """Verify a bag, and compare it with the record where there is one. Raises UsageError."""
        from remedy.transports.bags.verifying import verify  # noqa: PLC0415 -- lazily

        return self.compared(around, verify(path, self.signers.judge, roots=self.roots, tell=tell))

    def compared(self, around: World, findings: Findings) -> Findings:
        """The findings, and where the record here says otherwise."""
        if not around.record_path().exists():
            return findings
        return recorded.compared(findings, around.record.entries(kinds=[recorded.KIND]), self.own)


def believed(
    around: World,
    keys: Sequence[Path],
    allowed_signers: Path | None,
    revoked: Path | None,
    tsa_ca: Path | None,
) -> Believed:
    """Whose keys are believed: those named; without any, those that the record here announced.

    A key that the record says was stolen is revoked, whatever is named. The record is verified before it is believed.
    Raises UsageError, RecordBroken.
    """
    from remedy.record import endings, signers, verify  # noqa: PLC0415 -- lazily
    from remedy.record.signing import KEY_KIND  # noqa: PLC0415

    announced: list[str] = []
    stolen: set[str] = set()
    if around.record_path().exists():
        import json  # noqa: PLC0415 -- lazily

        verify.verify(around.record_path()).require()
        for entry in around.record.entries(kinds=[KEY_KIND, endings.KIND]):
            body = json.loads(entry.body)
            if entry.kind == KEY_KIND:
                announced.append(str(body["public"]))
            elif body.get("why") == endings.STOLEN:
                stolen.add(str(body.get("fingerprint")))
    own = signers.of_lines(announced, "this record")
    named = [one for path in keys for one in signers.public_keys(path)]
    named += signers.allowed_signers(allowed_signers) if allowed_signers else ()
    gone = signers.revoked_keys(revoked) if revoked else frozenset()
    gone |= {one.key.blob for one in own if one.key.fingerprint in stolen}
    nobody = not (keys or allowed_signers or own)
    allowed = None if nobody else tuple(named) if keys or allowed_signers else own
    known = signers.Signers(datetime.now(UTC), allowed, gone)
    return Believed(known, _text(tsa_ca), frozenset(one.key.fingerprint for one in own))
