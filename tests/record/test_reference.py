"""The reference of the record format says what the code does."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from remedy.record import checkpoints, endings, incidents
from remedy.record.export import export
from remedy.record.journal import LEASE_KIND, Record
from remedy.record.report import DAMAGE, REMARKS
from remedy.record.signing import KEY_KIND

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "record-format.md"


@pytest.fixture
def page() -> str:
    """The text of the reference."""
    return PAGE.read_text(encoding="utf-8")


def test_example_hashes_to_what_is_said(page: str) -> None:
    """The example's content and header have the hashes the text gives for them."""
    content, header = (line.strip() for line in page.splitlines() if line.startswith("    {"))
    for line in (content, header):
        assert f"`{hashlib.sha256(line.encode()).hexdigest()}`" in page
    assert json.loads(header)["body_sha256"] == hashlib.sha256(content.encode()).hexdigest()


def test_example_has_the_fields_of_real_entries(page: str, record: Record, tmp_path: Path) -> None:
    """A real header has exactly the example's fields, in its order."""
    record.checkpoint()
    real = json.loads((export(record.path, tmp_path / "out") / "entries" / "00000001.json").read_bytes())
    example = json.loads(next(line for line in page.splitlines() if line.startswith('    {"actor')))
    assert list(real) == list(example)
    assert list(real["actor"]) == list(example["actor"])


def test_example_checkpoint_is_one(page: str) -> None:
    """The checkpoint shown is accepted by the parser."""
    lines = page.splitlines()
    first = next(at for at, line in enumerate(lines) if line.startswith("    remedy-record/"))
    assert checkpoints.parse("".join(f"{line.strip()}\n" for line in lines[first : first + 6])).number == 3


def test_example_of_an_end_is_one(page: str) -> None:
    """The end of a key that is shown has the form that is read, and its namespace is named."""
    lines = page.splitlines()
    first = next(at for at, line in enumerate(lines) if line.startswith("    remedy-key/"))
    assert endings._BODY.fullmatch("".join(f"{line.strip()}\n" for line in lines[first : first + 6]))
    assert f"`{endings.NAMESPACE}`" in page


def test_commands_are_those_of_the_export(page: str, record: Record, tmp_path: Path) -> None:
    """The commands shown are, character for character, the ones VERIFY.txt runs."""
    record.checkpoint()
    script = (export(record.path, tmp_path / "out") / "VERIFY.txt").read_text()
    assert page.partition("```sh\n")[2].partition("```")[0] == script[script.index("set -eu") :]


def test_findings_and_kinds_are_all_explained(page: str) -> None:
    """Every kind of finding and every kind of entry that the record writes is in the reference."""
    for kind, text in {**DAMAGE, **REMARKS}.items():
        assert f"| `{kind}` | {text} |" in page
    for kind in (KEY_KIND, LEASE_KIND, incidents.OPEN_KIND, incidents.NOTE_KIND, incidents.CLOSE_KIND, endings.KIND):
        assert f"`{kind}`" in page


def test_sizes_and_modes_said_are_those_kept(page: str, opener: Callable[..., Record], path: Path) -> None:
    """The salt has the length the page gives and the files have its modes."""
    record = opener(entropy=os.urandom)
    record.checkpoint()
    assert "The salt is 32 random bytes" in page
    assert {each.stat().st_mode & 0o777 for each in path.parent.rglob("*") if each.is_file()} == {0o600}
