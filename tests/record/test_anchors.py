"""Anchors are recognised in whatever remedy leaves behind, and nowhere else."""

from __future__ import annotations

import time

import pytest

from remedy.actions.containment.rules import stamp
from remedy.core.values import Context
from remedy.record.anchors import Anchor, alone, found

SHORT = "9f86d081884c7d65"
LONG = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


@pytest.mark.parametrize(
    ("text", "digits", "run"),
    [
        (stamp(Context("R7f3a9c21", "INC-20261120-1", SHORT)), SHORT, "R7f3a9c21"),
        (f'-A INPUT -m comment --comment "remedy incident=INC-1 run=R1 anchor={SHORT}" -j DROP', SHORT, "R1"),
        (f"Remedy-Record-Head: {LONG}", LONG, ""),
        (f'{{"ok": true, "head": "{LONG}", "signed": 3}}', LONG, ""),
        (f"remedy-record/00\n3\nxx\nnumber 3\nhead {LONG}\n", LONG, ""),
        (f"ANCHOR={SHORT.upper()}", SHORT, ""),
    ],
)
def test_what_remedy_leaves_behind(text: str, digits: str, run: str) -> None:
    """Rules, papers and documents of remedy give their anchor, with the run that stands beside it."""
    [anchor] = found(text, "it")
    assert (anchor.digits, anchor.run) == (digits, run)
    assert anchor.source.startswith("it, line ")


@pytest.mark.parametrize(
    "text",
    [
        "",
        SHORT,
        f"anchor={SHORT}0",
        f"anchor={SHORT[:-1]}",
        f"anchor={LONG[:40]}",
        f"anchor={SHORT}xyz",
        f"anchor={SHORT[:-1]}g",
        f"commit {LONG}",
        f"xanchor9={SHORT}",
    ],
)
def test_what_is_no_anchor(text: str) -> None:
    """Hashes of other lengths, other words and digits that go on are no anchors."""
    assert found(text, "it") == ()


def test_each_is_said_once_in_order() -> None:
    """An anchor that stands in many rules is one; different ones come in the order in which they stand."""
    other = "0123456789abcdef"
    text = f"anchor={SHORT}\nanchor={other}\nrun=R1 anchor={SHORT}\nanchor={SHORT}\n"
    assert [(one.digits, one.run, one.source) for one in found(text, "it")] == [
        (SHORT, "", "it, line 1"),
        (other, "", "it, line 2"),
        (SHORT, "R1", "it, line 3"),
    ]


def test_alone() -> None:
    """What is typed from paper is an anchor when it has sixteen digits, or all sixty-four."""
    assert alone(SHORT.upper(), "typed") == Anchor(SHORT, "typed")
    assert alone(LONG, "typed") == Anchor(LONG, "typed")
    assert alone(LONG[:40], "typed") is None
    assert alone(f" {SHORT}", "typed") is None


@pytest.mark.parametrize("text", ["-" * 1_000_000, "anchor" * 200_000, "head " * 200_000, "_head=" * 200_000])
def test_long_lines_cost_no_more_than_their_length(text: str) -> None:
    """Lines made to cost a lot are looked through in a moment."""
    began = time.process_time()
    assert found(text, "it") == ()
    assert time.process_time() - began < 10
