"""Names, lines and texts of a bag: what they may be, and back again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remedy.core.errors import UsageError
from remedy.evidence import bag


@given(st.text(max_size=300))
def test_any_text_becomes_a_part_of_a_path(text: str) -> None:
    """Whatever a file is called, its name in the bag is one that every tool takes."""
    made = f"data/{bag.name_of(text)}/0001-{bag.name_of(text)}.meta.json"
    assert bag.checked_path(made) == made
    assert bag.parse_line(bag.line("0" * 64, made)[:-1]) == ("0" * 64, made)


@given(st.text(max_size=100))
def test_a_line_is_one_or_an_error(text: str) -> None:
    """No text is taken for a manifest's line unless it is exactly one."""
    try:
        digest, path = bag.parse_line(text)
    except ValueError:
        return
    assert bag.line(digest, path) == f"{text}\n"


@given(st.lists(st.tuples(st.from_regex(r"[A-Za-z][A-Za-z0-9-]*", fullmatch=True), st.text(max_size=50))))
def test_any_text_in_bag_info_stays_one_line(more: list[tuple[str, str]]) -> None:
    """Labels come back in order; no value makes another line."""
    info = bag.Info("E1", "INC-1", "x", "y", "z", "0", "s", "f", "a", more=tuple(more))
    text = info.text(sealed="2026-11-20T06:32:59Z", manifests={"sha256": "0"}, size=1, count=1, lacking=())
    labels = [label for label, _ in bag.parse_info(text)]
    assert labels[labels.index("Remedy-Completeness") + 1 :] == [f"Remedy-{label}" for label, value in more if value]


@pytest.mark.parametrize("text", ["x", ": y", "a b: c", " folded", "a:c", "é: x"])
def test_lines_that_are_none(text: str) -> None:
    """A line without a label, or a folded one, is an error."""
    with pytest.raises(ValueError, match="is no line"):
        bag.parse_info(f"A: b\n{text}\n")


@pytest.mark.parametrize("name", ["", "a b", "../x", "x/y", "-x", "李四", "x" * 70])
def test_names_of_bags_and_witnesses(name: str) -> None:
    """What names a file or folder is of plain characters."""
    with pytest.raises(UsageError):
        bag.folder_name(name)
    with pytest.raises(UsageError):
        bag.witness_file(name)


def test_which_folders_are_bags() -> None:
    """A bag's folder is told from its papers."""
    assert bag.is_folder_name("bag-E7f3a9c21")
    assert bag.is_folder_name("bag-E7f3a9c21.partial")
    assert not bag.is_folder_name("bag-E7f3a9c21.papers")
    assert bag.witness_of(bag.witness_file("li-si")) == "li-si"
    assert not bag.witness_of("witness-.sig")
