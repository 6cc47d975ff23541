"""How the end of a step is called."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from remedy.evidence import ledger, steps
from remedy.evidence.ledger import CAUSES, STATES, End, Line

STEP = steps.read("21-a.yml", "title: a\nwhy: b\nprofiles: []\nseconds: 9\ncap: 1k\nrun: ls\nroot: better\n")


@pytest.mark.parametrize(
    ("end", "state", "cause", "why"),
    [
        (End(0, 5), "ok", "", ""),
        (End(66, 0), "absent", "", ""),
        (End(77, 0, b"x: no\n"), "denied", "permission", "x: no"),
        (End(2, 9, b"a\ntar: /b: Cannot open: Permission denied\nc\n"), "denied", "permission", "Permission denied"),
        (End(0, 9, b"dmesg: Operation not permitted\n"), "denied", "permission", "Operation not permitted"),
        (End(65, 9, b"left out: 1\n"), "truncated", "left-out", "left out: 1"),
        (End(1, 9, b"sh: segfault\n"), "truncated", "status", "it ended with status 1: sh: segfault"),
        (End(137, 9), "truncated", "status", "it ended with status 137"),
        (End(None, 9, cause="cap"), "truncated", "cap", CAUSES["cap"]),
        (End(None, 9, cause="lost", said="the session broke"), "truncated", "lost", "the session broke"),
        (End(None, 9, cause="disk", said="full"), "truncated", "disk", "full"),
        (End(None, 9, cause="idle"), "timeout", "idle", CAUSES["idle"]),
        (End(None, 9, cause="total"), "timeout", "total", CAUSES["total"]),
        (End(0, 9, root=False), "denied", "no-root", CAUSES["no-root"]),
        (End(66, 0, root=False), "absent", "", ""),
    ],
)
def test_every_end_has_its_name(end: End, state: str, cause: str, why: str) -> None:
    """Each way to end is one of the five states, with a cause that a program can read and words for people."""
    found = ledger.judged(STEP, end)
    assert found[:2] == (state, cause)
    assert why in found[2]
    assert bool(found[2]) == bool(why)
    assert state in STATES
    assert cause in CAUSES


def test_without_root_what_needs_none_is_whole() -> None:
    """A step that no root would see more of is ok without it."""
    assert ledger.judged(replace(STEP, root="no"), End(0, 9, root=False))[0] == "ok"


def test_what_the_host_says_is_made_harmless() -> None:
    """A host's error message reaches the ledger as one short line without control characters."""
    said = b"\x1b]0;owned\x07" + b"x" * 5000 + b": Permission denied\n"
    _, _, why = ledger.judged(STEP, End(1, 0, said))
    assert "\x1b" not in why
    assert len(why) <= 200


def test_a_bag_lacks_what_is_not_complete() -> None:
    """Only ok and absent are nothing missing; every other line says what a bag lacks."""
    lines = [Line(n, name, "t", name, "", "why") for n, name in enumerate(STATES)]
    assert [text.split(":")[0] for text in ledger.lacking(lines)] == ["denied", "timeout", "truncated"]
    assert ledger.counted(lines) == dict.fromkeys(STATES, 1)


def test_states_and_causes_are_documented() -> None:
    """The reference names every state and every cause."""
    page = (Path(__file__).parents[2] / "docs" / "reference" / "evidence-steps.md").read_text(encoding="utf-8")
    for name in (*STATES, *filter(None, CAUSES)):
        assert f"| `{name}` |" in page
