"""`remedy incident verify`, `export`, `checkpoint` and `key` as they are typed."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from .conftest import Console


@pytest.fixture
def desk(bare: Console) -> Console:
    """A console whose record has two incidents of three entries each."""
    for name in ("defaced", "phished"):
        incident = bare("incident", "open", name).out.strip()
        for number in range(2):
            bare("incident", "note", incident, f"{name} {number}")
    return bare


def key(desk: Console) -> str:
    """The fingerprint that signs."""
    found = desk("incident", "key", "--json").document["key"]
    assert isinstance(found, str)
    return found


def test_entries_with_proofs(desk: Console) -> None:
    """A few entries are handed over and proven against the key that the receiver was told, and against no other."""
    out = desk.folder / "out.json"
    incident = desk("incident", "list").out.split()[0]
    said = desk("incident", "export", incident, "--entries", "1,2-3", "--proofs", str(out))
    assert said.code == 0, said.err
    assert "verify --proof" in said.err
    assert "phished" not in out.read_text()
    proven = desk("incident", "verify", "--proof", str(out), "--key", key(desk))
    assert (proven.code, proven.out.count("defaced"), proven.out.splitlines()[-1]) == (0, 3, "proven")
    document = desk("incident", "verify", "--proof", str(out), "--key", key(desk), "--json").document
    assert [one["seq"] for one in document["entries"]] == [1, 2, 3]
    assert desk("incident", "verify", "--proof", str(out), "--key", "SHA256:" + "A" * 43).code == 26
    assert desk("incident", "verify", "--proof", str(out)).code == 2
    out.write_text(out.read_text().replace("defaced 1", "defaced 2"))
    assert desk("incident", "verify", "--proof", str(out), "--key", key(desk)).code == 26


def test_proofs_that_are_not_given(desk: Console) -> None:
    """Entries of another incident, that are none, or over a file that is there, are refused with the way on."""
    first = desk("incident", "list").out.split()[0]
    out = desk.folder / "out.json"
    for entries, code in (("4", 2), ("99", 2), ("0", 2), ("3-1", 2), ("x", 2), ("1-999999999", 2), ("", 2)):
        assert desk("incident", "export", first, "--entries", entries, "--proofs", str(out)).code == code
        assert not out.exists()
    assert desk("incident", "export", first, str(desk.folder / "x"), "--entries", "1", "--proofs", str(out)).code == 2
    assert desk("incident", "export", first).code == 2
    out.write_text("mine")
    said = desk("incident", "export", first, "--entries", "1", "--proofs", str(out))
    assert (said.code, out.read_text()) == (2, "mine")


def test_checkpoint_is_printed_to_be_kept(desk: Console) -> None:
    """What `checkpoint` prints, kept in any file, is what the record is compared with later."""
    paper = desk.folder / "paper.txt"
    paper.write_text(desk("incident", "checkpoint", "-q").out)
    said = desk("incident", "verify", "--against", str(paper), "--json").document
    assert (said["ok"], said["entries"], said["signed"]) == (True, 7, 7)
    assert desk("incident", "checkpoint", "--json").document["checkpoint"].strip() == paper.read_text().strip()
    paper.write_text(paper.read_text().replace("number 1", "number 2"))
    changed = desk("incident", "verify", "--against", str(paper))
    assert (changed.code, "was changed" in changed.err) == (2, True)
    assert desk("incident", "checkpoint", "--send").code == 2


def test_damage_of_an_incident(desk: Console) -> None:
    """Asked about an incident, verification says how many of its entries are affected by what was found."""
    from tests.worlds.tampering import tamper_with  # noqa: PLC0415 -- beside its only use

    first, second = (line.split()[0] for line in desk("incident", "list").out.splitlines())
    assert "3 entries, none damaged" in desk("incident", "verify", first).out
    tamper_with(desk.record, """UPDATE entry SET body = '{"text":"x"}' WHERE seq = 5""")
    said = desk("incident", "verify", first, "--json")
    assert (said.code, said.document["incident"]) == (26, {"id": first, "entries": 3, "damaged": []})
    assert desk("incident", "verify", second, "--json").document["incident"]["damaged"] == [5]
    assert desk("incident", "verify", "INC-none").code == 2


def test_text_from_standard_input(desk: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules of a host, piped in, are searched for anchors."""
    with_one = f'comment "remedy incident=INC-1 run=R1 anchor={"0" * 16}"\n'
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(with_one.encode() + b"\xff\n")))
    said = desk("incident", "verify", "--against", "-", "--json").document
    assert [(one["anchor"], one["entry"]) for one in said["anchors"]] == [("0" * 16, 0)]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"nothing of ours\n")))
    assert desk("incident", "verify", "--against", "-").code == 2


@pytest.mark.parametrize("what", ["nowhere", "empty", "plain.txt"])
def test_what_cannot_be_compared_with(desk: Console, what: str) -> None:
    """A name of nothing, a folder without and a file without a checkpoint are refused, saying what can be given."""
    (desk.folder / "empty").mkdir()
    (desk.folder / "plain.txt").write_text("nothing")
    said = desk("incident", "verify", "--against", what if what == "nowhere" else str(desk.folder / what))
    assert said.code == 2
    assert "checkpoint" in said.err


def test_an_export_and_a_folder_of_checkpoints_are_compared_with(desk: Console) -> None:
    """A folder handed over before, and a copy of the checkpoints, show that nothing was rewritten since."""
    assert desk("incident", "export", "all", str(desk.folder / "out")).code == 0
    folder = Path(f"{desk.record}.checkpoints")
    for what in (desk.folder / "out", folder):
        assert desk("incident", "verify", "--against", str(what)).code == 0


def test_keys_one_after_the_other(desk: Console) -> None:
    """A key that was retired is shown with its reason, the next one signs; both at once is refused."""
    before = key(desk)
    assert desk("incident", "key", "--retire", "a", "--stolen", "b").code == 2
    assert desk("incident", "key", "--retire", "new host").code == 0
    said = desk("incident", "key", "--json").document
    assert said["key"] != before
    assert said["ended"] == [{"fingerprint": before, "why": "retired", "reason": "new host", "next": said["key"]}]
    assert "was retired: new host" in desk("incident", "key").out
    assert desk("incident", "verify").code == 0
    with_it = json.loads(desk("incident", "verify", "--json").out)
    assert [*with_it["keys"]] == [before, said["key"]]
