"""What the record remembers of backups: verdicts, bound to their content, and rejections with their reason.

Decides the form of both entries and which of several verdicts counts. A verdict is bound to the SHA-256 of the content.
The `fingerprint` of the files as listed (place, names, sizes, times of change, versions) only says that they need not
be read again to decide what to read next: whatever is loaded is hashed and judged once more on the way. Leaves to
others: reaching verdicts (transports, actions) and choosing by them (`search`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

from remedy.backups.values import LEVELS, Backup, Contents, Copy, Database, Judgement
from remedy.core.canon import Json, decode, encode
from remedy.core.errors import PlanFileError
from remedy.core.ports import Journal
from remedy.core.values import Entry

VERDICT: Final = "backup-verdict"
REJECTED: Final = "backup-rejected"
#: Findings that restoring a backup can come to. They hold until it is restored again; reading it says nothing of them.
OF_PROOFS: Final = frozenset({"proof", "restore-failed"})
#: How many contents are kept in mind besides those that are listed, for comparison.
_RECENT: Final = 32


@dataclass(slots=True)
class Known:
    """The verdicts that count: on the files that were asked about, and on the contents that were judged last.

    Kept as they stand in the record until one is asked for: contents of a thousand tables take a while to decode.
    """

    _files: dict[str, str] = field(default_factory=dict)
    _recent: dict[str, str] = field(default_factory=dict)
    _proofs: dict[str, Judgement] = field(default_factory=dict)
    _decoded: dict[str, Judgement | None] = field(default_factory=dict)

    def of(self, copy: Copy, backup: Backup) -> Judgement | None:
        """What is known of a backup as it lies there; None when its files are not those that were judged."""
        return self._judgement(self._files.get(fingerprint(copy, backup), ""))

    @property
    def contents(self) -> tuple[Judgement, ...]:
        """The contents that were judged last, one verdict on each, oldest first."""
        found = (self._judgement(text) for text in self._recent.values())
        return tuple(one for one in found if one is not None)

    def add(self, text: str, listed: Container[str] | None = None) -> None:
        """Take the body of one more entry, which supersedes; of files in `listed` alone, where that is given."""
        body = cast("dict[str, Any]", json.loads(text))
        judged = body["judgement"]
        sha256 = judged.get("sha256")
        if listed is None or body["fingerprint"] in listed:
            self._files[body["fingerprint"]] = text
        if not sha256:
            return
        self._recent.pop(sha256, None)
        self._recent[sha256] = text
        while len(self._recent) > _RECENT:
            del self._recent[next(iter(self._recent))]
        if body["proof"] and (judgement := _judgement(body)):
            self._proofs[sha256] = replace(judgement, contents=Contents())

    def with_proof(self, judgement: Judgement) -> Judgement:
        """A verdict with what restoring the same content showed last."""
        return _with_proof(judgement, self._proofs.get(judgement.sha256))

    def _judgement(self, text: str) -> Judgement | None:
        if not text:
            return None
        if text not in self._decoded:
            self._decoded[text] = _judgement(json.loads(text))
        found = self._decoded[text]
        return self.with_proof(found) if found else None


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


def known(journal: Journal, database: Database, listed: Container[str] | None = None) -> Known:
    """The verdicts on this database's backups, by `fingerprint`; of those in `listed` alone, where that is given.

    A later one supersedes an earlier one of the same files. What restoring showed of a content holds for every file
    with that content, until it is restored again. Verdicts that were reached for another schema or time zone, by
    another version, or that the record could not keep as they were, do not count: what they were about is read again.
    """
    found = Known()
    for entry in journal.entries(kinds=(VERDICT,)):
        body = cast("dict[str, Any]", json.loads(entry.body))
        if body.get("read_as") == _read_as(database) and body.get("database") == database.name:
            found.add(entry.body, listed)
    return found


def _with_proof(judgement: Judgement, proof: Judgement | None) -> Judgement:
    """A verdict with what restoring the same content showed last: that can raise the level, or object."""
    findings = tuple(one for one in judgement.findings if one.code not in OF_PROOFS)
    level = LEVELS[-2] if judgement.level == LEVELS[-1] else judgement.level
    if proof is None:
        return judgement
    findings += tuple(one for one in proof.findings if one.code in OF_PROOFS)
    if proof.level == LEVELS[-1] and not any(finding.fatal for finding in findings):
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
