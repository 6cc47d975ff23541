"""A few entries handed over: provable by stock tools, without a trace of the rest, and not to be altered."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remedy.core.canon import Json, canonical
from remedy.core.errors import RecordBroken, RemedyError, UsageError
from remedy.record.journal import Record
from remedy.record.proofs import check, hand_over

Opener = Callable[..., Record]
Tamper = Callable[..., None]
Script = Callable[[str, str], "subprocess.CompletedProcess[str]"]
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "record-format.md"


@pytest.fixture
def filled(record: Record) -> Record:
    """Thirteen signed entries of two incidents, 13 announcing the key; closed."""
    for n in range(12):
        body: dict[str, Json] = {"n": n, "text": f"what entry {n + 1} says \x1b[2J"}
        record.append("note", body, incident=f"INC-{n % 2}")
    record.checkpoint()
    record.close()
    return record


@pytest.fixture
def key(filled: Record) -> str:
    """The fingerprint that the receiver was told."""
    return filled.fingerprint()


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Runs the script of the reference, with no module of ours and no program but ssh-keygen."""
    found = shutil.which("ssh-keygen")
    assert found
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "ssh-keygen").symlink_to(found)
    program = tmp_path / "check.py"
    program.write_text(PAGE.read_text(encoding="utf-8").partition("```python\n")[2].partition("```")[0])

    def run(text: str, fingerprint: str) -> subprocess.CompletedProcess[str]:
        proof = tmp_path / "proof.json"
        proof.write_text(text)
        argv = [sys.executable, "-I", "-S", "-O", str(program), str(proof), fingerprint]
        return subprocess.run(argv, env={"PATH": str(tools)}, capture_output=True, text=True, check=False, timeout=30)

    return run


def document(record: Record, *seqs: int, incident: str = "") -> str:
    """The document for some entries, as it is written."""
    return canonical(hand_over(record.path, seqs, incident=incident)).decode()


@pytest.mark.parametrize("seqs", [(1,), (13,), (8,), (3, 5, 6, 7), tuple(range(1, 14))])
def test_entries_are_proven_by_us_and_by_stock_tools(
    filled: Record, key: str, script: Script, seqs: tuple[int, ...]
) -> None:
    """Any entries of a record are proven, by remedy and by a page of Python with ssh-keygen: those asked for."""
    text = document(filled, *seqs)
    checkpoint, signer, proven = check(text, [key])
    assert (checkpoint.size, signer, tuple(one.seq for one in proven)) == (13, key, seqs)
    assert all(
        one.body == {"n": one.seq - 1, "text": f"what entry {one.seq} says \x1b[2J"} for one in proven if one.seq < 13
    )
    done = script(text, key)
    assert (done.returncode, done.stdout.count("PROVEN")) == (0, len(seqs)), done
    assert "\x1b" not in done.stdout


def test_nothing_of_the_rest_is_in_it(filled: Record) -> None:
    """A document has the bodies, salts and headers of its entries alone, and hashes for everything else."""
    text = document(filled, 4)
    given_ = json.loads(text)
    assert [json.loads(one["header"])["seq"] for one in given_["entries"]] == [4]
    assert "what entry 4 says" in text
    assert all(f"what entry {n} says" not in text for n in range(1, 13) if n != 4)
    assert text.count("salt") == 1
    assert len(given_["entries"][0]["path"]) == 4


@pytest.mark.parametrize("size", range(1, 20))
def test_every_entry_of_records_of_every_size(opener: Opener, script: Script, size: int) -> None:
    """Whatever the size of the tree, first, last and middle entries are proven."""
    with opener() as record:
        for n in range(size - 1):
            record.append("note", {"n": n}, incident="I")
        record.checkpoint()
        key = record.fingerprint()
    text = document(record, *range(1, size + 1))
    assert len(check(text, [key])[2]) == size
    assert script(text, key).returncode == 0


def test_wrong_key_is_not_proven(filled: Record, key: str, script: Script, opener: Opener, tmp_path: Path) -> None:
    """A document signed by a key that was not named proves nothing, to us or to the script."""
    text = document(filled, 4)
    with opener(key_dir=tmp_path / "other") as other:
        other.append("note", {}, incident="I")
        other.checkpoint()
        named = other.fingerprint()
    assert named != key
    with pytest.raises(RecordBroken, match="none of the keys named"):
        check(text, [named])
    assert script(text, named).returncode != 0
    assert script(text, key).returncode == 0


@given(data=st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_change_is_found(filled: Record, key: str, data: st.DataObject) -> None:
    """Whatever single character of a document changes, it proves nothing any more, or the very same entries."""
    text = document(filled, 3, 11)
    _, _, right = check(text, [key])
    at = data.draw(st.integers(0, len(text) - 1))
    new = data.draw(st.characters(min_codepoint=32, max_codepoint=126).filter(lambda c: c != text[at]))
    try:
        _, _, proven = check(text[:at] + new + text[at + 1 :], [key])
    except RemedyError:
        return
    assert proven == right


def edited(text: str, change: Callable[[dict[str, Any]], None]) -> str:
    """A document with something done to it."""
    made = json.loads(text)
    change(made)
    return json.dumps(made)


def _swap_paths(made: dict[str, Any]) -> None:
    one, other = made["entries"]
    one["path"], other["path"] = other["path"], one["path"]


def _swap_contents(made: dict[str, Any]) -> None:
    one, other = made["entries"]
    one["content"], other["content"] = other["content"], one["content"]


def _renumber(made: dict[str, Any]) -> None:
    header = json.loads(made["entries"][0]["header"])
    made["entries"][0]["header"] = json.dumps({**header, "seq": 2}, sort_keys=True, separators=(",", ":"))


@pytest.mark.parametrize(
    "change",
    [
        _swap_paths,
        _swap_contents,
        _renumber,
        lambda made: made["entries"][0]["path"].pop(),
        lambda made: made["entries"][0]["path"].append("00" * 32),
        lambda made: made["entries"][0].update(path=[]),
        lambda made: made["entries"][0].update(path=["00" * 31]),
        lambda made: made["entries"][0].update(path=["zz"]),
        lambda made: made.update(checkpoint=made["checkpoint"].replace("\n13\n", "\n12\n")),
        lambda made: made.update(signature=""),
    ],
)
def test_forgeries(filled: Record, key: str, script: Script, change: Callable[[dict[str, Any]], None]) -> None:
    """Exchanged bodies and paths, other numbers, shorter and longer paths prove nothing, to us or to the script."""
    text = edited(document(filled, 3, 11), change)
    with pytest.raises(RecordBroken):
        check(text, [key])
    assert script(text, key).returncode != 0


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"remedy_proof":1}', '{"remedy_proof":2}', "[" * 100_000])
def test_what_is_no_document(text: str) -> None:
    """Anything else is refused as such, whatever it is."""
    with pytest.raises(UsageError):
        check(text, ["SHA256:x"])


def test_document_without_entries_proves_nothing(filled: Record, key: str) -> None:
    """An empty list is no proof of anything."""
    with pytest.raises(RecordBroken, match="no entry"):
        check(edited(document(filled, 3), lambda made: made.update(entries=[])), [key])


def test_what_cannot_be_handed_over(filled: Record, opener: Opener, tamper: Tamper) -> None:
    """Entries that are not there, not signed, or another incident's are refused, and so is a damaged record."""
    for seqs in ((0,), (14,), (3, 99)):
        with pytest.raises(UsageError, match="there is no signed entry"):
            hand_over(filled.path, seqs)
    with pytest.raises(UsageError, match="no entry is named"):
        hand_over(filled.path, ())
    with pytest.raises(UsageError, match="entry 4 is not one of INC-0"):
        hand_over(filled.path, (3, 4), incident="INC-0")
    with opener() as record:
        record.append("note", {}, incident="I")
    with pytest.raises(UsageError, match="there is no signed entry 14"):
        hand_over(filled.path, (14,))
    tamper("""UPDATE entry SET body = '{"n":99}' WHERE seq = 5""")
    assert document(filled, 4)
    with pytest.raises(RecordBroken, match="entry 5 does not verify"):
        hand_over(filled.path, (5,))
    tamper("UPDATE entry SET kind = 'x' WHERE seq = 6")
    with pytest.raises(RecordBroken, match="entry 6 does not verify"):
        hand_over(filled.path, (4,))


def test_nothing_signed(opener: Opener) -> None:
    """Without a checkpoint nothing can be proven."""
    with opener() as record:
        record.append("note", {}, incident="I")
    with pytest.raises(UsageError, match="nothing is signed"):
        hand_over(record.path, (1,))
