"""What is known of a backup that has just been taken: it was read as it was written, and read back from every copy.

Decides which verdicts the record gets from a run's `take` steps, so that a backup of a minute ago is not called unread.
A backup that a restore has proven is called proven. Leaves to others: taking (transports) and listing (`search`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, cast

from remedy.backups import manifest as manifests
from remedy.backups.manifest import Manifest
from remedy.backups.ports import Damaged, Shelf
from remedy.backups.transfers import Take, of
from remedy.backups.values import Copy, Database, File, Judgement
from remedy.core.errors import RemedyError
from remedy.core.ports import Journal
from remedy.core.values import Plan
from remedy.engine import search, verdicts


def remember(journal: Journal, open_shelf: Callable[[Copy], Shelf], database: Database, plan: Plan) -> int:
    """Record a verdict for every backup that a run has taken, copy by copy; returns how many. Raises RecordUnavailable.

    A copy that cannot be listed any more is passed over: its backup is read when it is next asked for.
    """
    taken = dict(_taken(journal, plan))
    if not taken:
        return 0
    found, remembered = search.listing(database, open_shelf, journal), 0
    for backup in found.backups:
        result = taken.get(backup.name.removesuffix(".sql"))
        if result is None or backup.manifest is None or result.get("copies", {}).get(backup.copy) != "verified":
            continue
        copy = found.copy(backup.copy)
        manifest = _manifest(open_shelf(copy), backup.manifest)
        if manifest is None or manifest.sha256 != result["sha256"] or manifest.size != backup.size:
            continue
        contents = replace(manifest.contents, facts=replace(manifest.contents.facts, time=manifest.time))
        judgement = Judgement(
            manifest.sha256, manifest.size, search.WHOLE, contents, (), manifest.time, 0, result["read"], "zst"
        )
        verdicts.remember(journal, database, copy, backup, judgement, incident=plan.incident, run=plan.run)
        remembered += 1
    return remembered


def untold(journal: Journal, plan: Plan) -> tuple[str, ...]:
    """The accounts that are not in the backups which a run has taken, or only in part: the server did not tell."""
    return tuple(sorted({name for _, result in _taken(journal, plan) for name in result.get("accounts_untold", ())}))


def _taken(journal: Journal, plan: Plan) -> Iterator[tuple[str, dict[str, Any]]]:
    """The names that a run has written, with what came of each."""
    steps = {f"{n}": change for n, change in enumerate(plan.changes, 1)}
    steps |= {f"k{n}": change for n, change in enumerate(plan.keep, 1)}
    for entry in journal.entries(run=plan.run, kinds=("sent",)):
        body = cast("dict[str, Any]", json.loads(entry.body))
        change = steps.get(str(body["step"]))
        if change is None or change.transfer is None or not body.get("result"):
            continue
        spec = of(change.transfer)
        if isinstance(spec, Take):
            yield str(body["result"].get("name", spec.name)), body["result"]


def _manifest(shelf: Shelf, file: File) -> Manifest | None:
    if file.size > manifests.LARGEST:
        return None
    try:
        with shelf.read(file) as chunks:
            return manifests.decoded(b"".join(chunks))
    except (Damaged, RemedyError):
        return None
