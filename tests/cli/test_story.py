"""The timeline of an incident: every kind of entry in one short line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import pytest

from remedy.cli import story
from remedy.core.canon import Json, canonical
from remedy.core.values import Entry

REFERENCE: Final = Path(__file__).parents[2] / "docs" / "reference" / "record-format.md"
RESTORED: Final = "site: backup site-1.sql of here: restored"
CHOSEN: Final[dict[str, Json]] = {"database": "site", "copy": "a", "backup": "b", "sha256": "c" * 64}
PASSED: Final[dict[str, Json]] = {"database": "site", "copy": "far", "backup": "b", "level": "intact", "reason": "cut"}
LONG: Final = "it is cut " * 300
ANALYSIS: Final[dict[str, Json]] = {
    "database": "site",
    "status": "verified",
    "backup": "site-1.sql",
    "copy": "here",
    "lost_minutes": 552,
    "held_ms": 110,
    "kept": "site__undo",
    "doubts": [],
    "streams": [{"step": "1", "why": "load", "result": {"sha256": "a" * 64}}],
}
INTEGRITY: Final[dict[str, Json]] = {"database": "site", "time": 1_795_000_000, "tables": 14, "orphans": []}


def told(kind: str, body: dict[str, Json], *, every: bool = False) -> str:
    """The line of one entry, what comes after its kind and run."""
    entry = Entry(7, "e" * 64, "d" * 64, "2026-11-20T11:12:13+00:00", kind, "INC-1", "R1", "", canonical(body).decode())
    lines = [line for line, _ in story.timeline([entry], every=every)]
    return re.sub(r"^ +7  2026-11-20 11:12:13 \+00:00  \S+ +R1 +", "", lines[0]) if lines else ""


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        (
            "blocked",
            {"action": "block", "target": "fw01", "params": '{"addresses":["203.0.113.7"],"until":"2026-12-01"}'},
            "block fw01: 203.0.113.7 already, until 2026-12-01",
        ),
        (
            "pushed",
            {"action": "push", "target": "fw01", "params": '{"file":"edge.rules","ended":""}'},
            "push fw01: edge.rules already",
        ),
        (
            "pushed",
            {"action": "push", "target": "fw01", "params": '{"file":"edge.rules","ended":"2026-12-01"}'},
            "push fw01: edge.rules nothing had to go that has ended",
        ),
        (
            "device-configuration",
            {"device": "fw01", "sha256": "ab" * 32, "file": "fw01-1.cfg", "when": "before"},
            "fw01: configuration kept before a change, SHA-256 abababababab, fw01-1.cfg",
        ),
        (
            "fault-analysis",
            ANALYSIS,
            f"{RESTORED}, verified; 9 h 12 min of data went out of use, kept in site__undo; writes held for 110 ms",
        ),
        (
            "fault-analysis",
            {**ANALYSIS, "status": "unverified", "lost_minutes": -1, "held_ms": -1, "doubts": ["no answer", "b"]},
            f"{RESTORED}, unverified; 2 doubts: no answer",
        ),
        (
            "fault-analysis",
            {**ANALYSIS, "kept": ""},
            f"{RESTORED}, verified; 9 h 12 min of data went out of use; writes held for 110 ms",
        ),
        (
            "integrity",
            {**INTEGRITY, "equal": True, "different": []},
            "site: against the backup of 2026-11-18 11:06:40 UTC: 14 tables and all definitions are equal",
        ),
        (
            "integrity",
            {**INTEGRITY, "equal": False, "different": ["table a: rows differ", "b", "c"]},
            "site: against the backup of 2026-11-18 11:06:40 UTC: table a: rows differ and 2 more",
        ),
        (
            "backup-rejected",
            {**PASSED, "minutes": 60},
            "site: backup b of far: passed over at intact: cut (1 h 0 min of data more are lost)",
        ),
        ("backup-rejected", {**PASSED, "backup": "", "minutes": -1}, "site: copy far: passed over at intact: cut"),
        (
            "backup-chosen",
            {**CHOSEN, "time": 1_795_000_000, "rejected": [{}]},
            "site: backup b of a: chosen, made 2026-11-18 11:06:40 UTC, SHA-256 cccccccccccc; 1 passed over",
        ),
        (
            "backup-verdict",
            {"database": "site", "copy": "a", "backup": "b", "judgement": {"level": "whole", "sha256": "c" * 64}},
            "site: backup b of a: whole, SHA-256 cccccccccccc",
        ),
    ],
)
def test_of_databases(kind: str, body: dict[str, Json], said: str) -> None:
    """What backups and restores came to is one line of words and figures."""
    assert told(kind, body) == said


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("fault-analysis", {**ANALYSIS, "doubts": [LONG]}),
        ("integrity", {**INTEGRITY, "equal": False, "different": [LONG]}),
        ("backup-rejected", {"database": "site", "copy": "far", "backup": "b", "reason": LONG}),
        ("backup-verdict", {"database": "site", "copy": "a", "judgement": {"findings": [{"text": LONG}]}}),
    ],
)
def test_short(kind: str, body: dict[str, Json]) -> None:
    """However much a backup says of itself, its line stays short."""
    assert len(told(kind, body)) < 400
    assert "it is cut it is cut" in told(kind, body)


def kinds() -> list[str]:
    """Every kind of entry that the reference names."""
    [row] = [line for line in REFERENCE.read_text(encoding="utf-8").splitlines() if line.startswith("| `kind` |")]
    return re.findall(r"`([a-z-]+)`", row.partition("| `kind` |")[2])


@pytest.mark.parametrize("kind", kinds())
def test_no_raw_json(kind: str) -> None:
    """No kind of entry is shown as JSON, even one whose body lacks what is usual."""
    body: dict[str, Any] = {"action": "restore", "target": "db01", "status": 0, "database": "site"}
    line = told(kind, body, every=True)
    assert "{" not in line
    assert '"' not in line
