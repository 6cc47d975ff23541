"""Incidents are entries."""

from __future__ import annotations

import threading

import pytest

from remedy.core.errors import UsageError
from remedy.record import incidents
from remedy.record.journal import Record


def test_life_of_an_incident(record: Record) -> None:
    """Opened, noted on and closed, an incident shows all of it, and the list shows its state."""
    name = incidents.open(record, "web shell on web01", severity="major", facts={"source": "call"})
    assert name == "INC-20261120-1"
    incidents.note(record, name, "called the hosting company")
    assert [(each.id, each.is_open) for each in incidents.list(record)] == [(name, True)]
    incidents.close(record, name, "cleaned")
    incidents.note(record, name, "a later remark is possible")
    shown = incidents.show(record, name)
    assert (shown.title, shown.severity, shown.is_open) == ("web shell on web01", "major", False)
    assert shown.opened < shown.closed
    assert [entry.kind for entry in shown.entries] == ["incident-open", "note", "incident-close", "note"]


def test_names_opened_at_once_are_different(record: Record) -> None:
    """Twelve incidents opened at the same moment get twelve names, without gaps."""
    names: list[str] = []
    threads = [threading.Thread(target=lambda: names.append(incidents.open(record, "t"))) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(names) == sorted(f"INC-20261120-{n}" for n in range(1, 13))


def test_what_makes_no_sense_is_refused(record: Record) -> None:
    """No title, no text, no such incident, closed twice: each a usage error."""
    name = incidents.open(record, "t")
    with pytest.raises(UsageError, match="title"):
        incidents.open(record, " ")
    with pytest.raises(UsageError, match="text"):
        incidents.note(record, name, "")
    with pytest.raises(UsageError, match="no incident 'INC-1'"):
        incidents.note(record, "INC-1", "x")
    with pytest.raises(UsageError, match="no incident ''"):
        incidents.show(record, "")
    incidents.close(record, name)
    with pytest.raises(UsageError, match="closed already"):
        incidents.close(record, name)
