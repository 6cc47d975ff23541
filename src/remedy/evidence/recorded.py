"""What the incident record says of bags, and whether a bag says the same.

Decides the entries of kind `evidence`: what each event carries, and what follows when a bag differs from them. A bag
that was made anew with a stolen key verifies by itself; it does not agree with the record, whose checkpoints are held
elsewhere. Leaves to others: writing entries (the command line) and verifying the record itself (`record`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from remedy.core.canon import Json
from remedy.core.values import Entry
from remedy.evidence import bag
from remedy.evidence.bag import Sealed
from remedy.evidence.findings import Finding, Findings

#: The kind of the entries that tell of bags. Their run is the bag's id.
KIND: Final = "evidence"
BEGUN, SEALED, BROKEN_OFF = "begun", "sealed", "broken-off"
WITNESSED, EXPORTED, HANDED_OVER = "witnessed", "exported", "handed-over"


@dataclass(frozen=True, slots=True)
class Told:
    """One entry about a bag."""

    seq: int
    time: str
    incident: str
    event: str
    body: dict[str, Any]


def told(entries: Iterable[Entry], bag_id: str) -> tuple[Told, ...]:
    """What entries of kind `KIND` say of one bag, in order."""
    found = []
    for entry in entries:
        body = cast("dict[str, Any]", json.loads(entry.body))
        if entry.kind == KIND and body.get("bag") == bag_id:
            found.append(Told(entry.seq, entry.time, entry.incident, str(body.get("event", "")), body))
    return tuple(found)


def of_sealed(sealed: Sealed, fingerprint: str) -> dict[str, Json]:
    """The body of the entry that a bag is sealed."""
    return {
        "event": SEALED,
        "bag": sealed.id,
        "sha256": sealed.sha256,
        "size": sealed.size,
        "files": sealed.count,
        "whole": not sealed.lacking,
        "lacking": [*sealed.lacking],
        "key": fingerprint,
        "stamped": sealed.stamped,
        "unstamped": sealed.unstamped,
    }


def compared(findings: Findings, entries: Iterable[Entry], own: frozenset[str]) -> Findings:
    """The findings, and where the record says otherwise. `own` are fingerprints of keys that the record announced."""
    bag_id = findings.said("External-Identifier")
    events = told(entries, bag_id)
    sealed = [one for one in events if one.event == SEALED]
    more: list[Finding] = []
    for one in sealed:
        if one.body.get("sha256") != findings.sha256:
            text = f"entry {one.seq} says that its tag manifest has the SHA-256 {one.body.get('sha256')}"
            more.append(Finding("unlike-record", bag.TAG_MANIFEST, text))
        if one.incident != findings.said("Bag-Group-Identifier"):
            text = f"entry {one.seq} files it under {one.incident}"
            more.append(Finding("unlike-record", bag.BAG_INFO, text))
    signer = findings.signature.fingerprint if findings.signature else ""
    if not sealed and signer in own:
        more.append(Finding("unrecorded", "", f"{signer} is this record's key, and no entry says that it was sealed"))
    for name, key in findings.witnesses:
        if key in own:
            more.append(Finding("witness", bag.witness_file(name), f"signed by {key}, a key of this record's own"))
    there = dict(findings.witnesses)
    for one in events:
        name = str(one.body.get("witness", ""))
        if one.event == WITNESSED and there.get(name) != one.body.get("key"):
            text = f"entry {one.seq} says that {name} signed with {one.body.get('key')}"
            more.append(Finding("unlike-record", f"witness-{name}.sig", text))
    return replace(findings, findings=(*findings.findings, *more))
