"""What the record remembers of backups: verdicts, bound to their content, and rejections with their reason.

Decides the form of both entries and which of several verdicts counts. A verdict is bound to the SHA-256 of the content.
The `fingerprint` of the files as listed (place, names, sizes, times of change, versions) only says that they need not
be read again to decide what to read next: whatever is loaded is hashed and judged once more on the way. Leaves to
others: reaching verdicts (transports, actions) and choosing by them (`search`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

from remedy.backups.values import LEVELS, Backup, Copy, Database, Judgement, reaches
from remedy.core.canon import Json, decode, encode
from remedy.core.errors import PlanFileError
from remedy.core.ports import Journal
from remedy.core.values import Entry

VERDICT: Final = "backup-verdict"
REJECTED: Final = "backup-rejected"


@dataclass(frozen=True, slots=True)
class Known:
    """The verdicts that count, by the fingerprint of the files and by the SHA-256 of the content."""

    files: Mapping[str, Judgement] = field(default_factory=dict)
    contents: Mapping[str, Judgement] = field(default_factory=dict)

    def of(self, copy: Copy, backup: Backup) -> Judgement | None:
        """What is known of a backup as it lies there; None when its files are not those that were judged."""
        return self.files.get(fingerprint(copy, backup))


def fingerprint(copy: Copy, backup: Backup) -> str:
    """SHA-256 (hex) of where the files of a backup lie and how they were listed, what lies beside them included."""
    place: list[Json] = [copy.host, copy.path, copy.endpoint, copy.bucket, copy.prefix]
    beside = [file for file in (backup.checksum, backup.manifest, *backup.beside) if file is not None]
    files: list[Json] = [[f.name, f.size, f.changed, f.version, f.kind] for f in (*backup.files, *beside)]
    return _hash([place, backup.format, files])


def remember(
    journal: Journal,
    database: Database,
    copy: Copy,
    backup: Backup,
    judgement: Judgement,
    *,
    proof: bool = False,
    incident: str = "",
    run: str = "",
) -> Entry:
    """Record a verdict. `proof` says that it was reached by restoring, and so outlives a mere reading.

    The SQL of views and routines is left out. Raises RecordUnavailable.
    """
    objects = tuple(replace(one, sql="") for one in judgement.contents.objects)
    judgement = replace(judgement, contents=replace(judgement.contents, objects=objects))
    stored = encode(judgement)
    body: dict[str, Json] = {**_subject(database, copy.name, backup.name), "proof": proof}
    body |= {"files": [encode(file) for file in backup.files], "fingerprint": fingerprint(copy, backup)}
    body |= {"judgement": stored, "digest": _hash(stored)}
    return journal.append(VERDICT, body, incident=incident, run=run)


def reject(
    journal: Journal,
    database: Database,
    *,
    copy: str,
    backup: str,
    level: str,
    reason: str,
    minutes: int,
    incident: str = "",
) -> Entry:
    """Record that a search passed a backup (or, with "", a whole copy) over: the level it got to, why, what that costs.

    `minutes` of data are lost beyond what restoring this one would have lost (0: none, another copy has it; -1: not
    known). Raises RecordUnavailable.
    """
    body: dict[str, Json] = {**_subject(database, copy, backup), "level": level, "reason": reason, "minutes": minutes}
    return journal.append(REJECTED, body, incident=incident)


def known(journal: Journal, database: Database) -> Known:
    """The verdicts on this database's backups. A later one supersedes an earlier one of the same files.

    What restoring showed of a content holds for every file with that content, until it is restored again. Verdicts that
    were reached for another schema or time zone, by another version, or that the record could not keep as they were, do
    not count: what they were about is read again.
    """
    files: dict[str, tuple[Judgement, bool]] = {}
    contents: dict[str, tuple[Judgement, bool]] = {}
    proofs: dict[str, Judgement] = {}
    for entry in journal.entries(kinds=(VERDICT,)):
        body = cast("dict[str, Any]", json.loads(entry.body))
        if body.get("read_as") != _read_as(database) or body.get("database") != database.name:
            continue
        judgement = _judgement(body)
        if judgement is None:
            continue
        if body["proof"]:
            proofs[judgement.sha256] = judgement
        files[body["fingerprint"]] = (judgement, body["proof"])
        if judgement.sha256:
            contents[judgement.sha256] = (judgement, body["proof"])
    return Known(
        {name: _with_proof(*one, proofs.get(one[0].sha256)) for name, one in files.items()},
        {name: _with_proof(*one, proofs.get(name)) for name, one in contents.items()},
    )


def _with_proof(judgement: Judgement, is_proof: bool, proof: Judgement | None) -> Judgement:  # noqa: FBT001 -- a pair
    """A reading with what restoring the same content showed last: it can raise the level, or object."""
    if proof is None or is_proof:
        return proof or judgement
    said = {finding.code for finding in judgement.findings}
    findings = (*judgement.findings, *(one for one in proof.findings if one.code not in said))
    level = judgement.level
    if reaches(proof.level, LEVELS[-1]) and not any(finding.fatal for finding in findings):
        level = proof.level
    return replace(judgement, level=level, findings=findings)


def _subject(database: Database, copy: str, backup: str) -> dict[str, Json]:
    return {"database": database.name, "read_as": _read_as(database), "copy": copy, "backup": backup}


def _read_as(database: Database) -> dict[str, Json]:
    """What a reading depends on besides the bytes: whose tables are looked for, and how its time is understood."""
    return {"schema": database.schema, "timezone": database.timezone}


def _judgement(body: Mapping[str, Any]) -> Judgement | None:
    """The judgement of an entry; None when it is not what was written (redacted, or of another version)."""
    try:
        return decode(Judgement, body["judgement"]) if _hash(body["judgement"]) == body["digest"] else None
    except (PlanFileError, KeyError):
        return None


def _hash(value: Json) -> str:
    """SHA-256 of a JSON form that also has names which are no Unicode text."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
