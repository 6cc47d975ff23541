"""Incidents: opened, noted on, closed; each of it an entry, and nothing stored besides.

Decides the form of an incident's name, `INC-20261120-1` (UTC day and a number that starts at 1 every day), and what
its entries say. Leaves to others: writing (journal) and what runs do under an incident (engine).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC

from remedy.core.canon import Json
from remedy.core.errors import UsageError
from remedy.core.ports import Journal
from remedy.core.values import Entry
from remedy.record.journal import Record

OPEN_KIND = "incident-open"
NOTE_KIND = "note"
CLOSE_KIND = "incident-close"


@dataclass(frozen=True, slots=True)
class Incident:
    """One incident as its entries tell it. `closed` is empty while it is open; times are UTC."""

    id: str
    title: str
    severity: str
    opened: str
    closed: str = ""
    entries: tuple[Entry, ...] = field(default=(), repr=False)

    @property
    def is_open(self) -> bool:
        """Whether nobody has closed it."""
        return not self.closed


def open(record: Record, title: str, *, severity: str = "", facts: dict[str, Json] | None = None) -> str:  # noqa: A001
    """Open an incident and return its id. `facts` are further fields of the entry's body.

    Several processes may open incidents at once: the number in the id is settled by the key's uniqueness.
    Raises UsageError on an empty title, and what `append` raises.
    """
    if not title.strip():
        raise UsageError("an incident needs a title", hint="say in a few words what happened")
    day = record.clock().astimezone(UTC).strftime("%Y%m%d")
    mark = record.entropy(8).hex()  # tells our entry from one that took the same number before us
    body: dict[str, Json] = {**(facts or {}), "title": title, "severity": severity, "mark": mark}
    number = 1 + sum(entry.incident.startswith(f"INC-{day}-") for entry in record.entries(kinds=[OPEN_KIND]))
    while True:
        name = f"INC-{day}-{number}"
        entry = record.append(OPEN_KIND, body, incident=name, key=f"{OPEN_KIND}:{name}")
        if json.loads(entry.body)["mark"] == mark:
            return name
        number += 1


def list(journal: Journal) -> tuple[Incident, ...]:  # noqa: A001 -- `incidents.list` says what it does
    """Every incident, oldest first, without its entries."""
    found: dict[str, Incident] = {}
    for entry in journal.entries(kinds=[OPEN_KIND, CLOSE_KIND]):
        found[entry.incident] = _after(found.get(entry.incident), entry)
    return tuple(found.values())


def find(journal: Journal, incident: str) -> Incident:
    """One incident, without its entries. Raises UsageError when there is none of that name."""
    seen = next((one for one in list(journal) if one.id == incident), None)
    if seen is None:
        raise UsageError(f"there is no incident {incident!r}", hint="`remedy incident list` shows them all")
    return seen


def show(journal: Journal, incident: str) -> Incident:
    """One incident with all its entries. Raises UsageError when there is none of that name."""
    return replace(find(journal, incident), entries=tuple(journal.entries(incident=incident)))


def note(journal: Journal, incident: str, text: str) -> Entry:
    """Add a remark, to a closed incident too. Raises UsageError when there is no such incident or no text."""
    if not text.strip():
        raise UsageError("a note needs a text", where=incident)
    find(journal, incident)
    return journal.append(NOTE_KIND, {"text": text}, incident=incident)


def close(journal: Journal, incident: str, summary: str = "") -> Entry:
    """Close an incident. Raises UsageError when there is none of that name or it is closed already."""
    seen = find(journal, incident)
    if not seen.is_open:
        raise UsageError(f"closed already, at {seen.closed}", where=incident)
    return journal.append(CLOSE_KIND, {"summary": summary}, incident=incident, key=f"{CLOSE_KIND}:{incident}")


def _after(seen: Incident | None, entry: Entry) -> Incident:
    body = json.loads(entry.body)
    if entry.kind == OPEN_KIND:
        return Incident(entry.incident, str(body.get("title", "")), str(body.get("severity", "")), entry.time)
    if seen is None:
        return Incident(entry.incident, "", "", "", entry.time)
    return Incident(seen.id, seen.title, seen.severity, seen.opened, entry.time)
