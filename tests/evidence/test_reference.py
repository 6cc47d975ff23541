"""The reference of the evidence bag says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.worlds import bags

from remedy.evidence import bag
from remedy.evidence.findings import KINDS, MOST

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "evidence-bag.md"


@pytest.fixture
def page() -> str:
    """The text of the reference."""
    return PAGE.read_text(encoding="utf-8")


def test_every_kind_of_finding(page: str) -> None:
    """The table of findings has every kind with its grade and meaning, and no other."""
    rows = re.findall(r"^\| `([a-z-]+)` \| (damage|doubt|remark) \| (.*) \|$", page, re.MULTILINE)
    assert {kind: (grade, text) for kind, grade, text in rows} == KINDS


def test_every_file_and_label_of_a_real_bag(page: str, tmp_path: Path) -> None:
    """Every file of a bag and every label of its bag-info.txt is explained."""
    made = bags.make(
        tmp_path, profile="web", authority="http://tsa.example.com/", more=(("Method", "added"),), digests=bag.DIGESTS
    )
    for path in made.paths():
        assert path.startswith("data/") or f"`{path}`" in page
    for label, _ in bag.parse_info((made.folder / "bag-info.txt").read_text()):
        assert f"`{label}`" in page, label
    for name in (bag.TOKEN, bag.AUTHORITY, bag.UNSEALED, bag.NAMESPACE, bag.WITNESS_NAMESPACE, bag.IDENTITY):
        assert f"`{name}`" in page


def test_limits(page: str) -> None:
    """The numbers given are the ones that hold."""
    assert f"at most {bag.LONGEST_PATH} characters" in page
    assert f"at most {bag.MOST_FILES:,} files" in page
    assert f"At most {MOST:,} findings" in page
