"""Evidence leaves the house: what is asked before anything is written, and what the papers may not claim."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from remedy.evidence import bag

from .conftest import Console

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "hand-over-evidence.md"


@pytest.fixture
def made(bare: Console, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A sealed bag under an open incident; nothing in the environment says where bags lie."""
    for name in ("REMEDY_EVIDENCE", "REMEDY_TSA", "REMEDY_TSA_CA"):
        monkeypatch.delenv(name, raising=False)
    incident = bare("incident", "open", "web01 defaced").out.strip()
    (bare.folder / "page.html").write_bytes(b"<h1>owned</h1>\n")
    got = bare("evidence", "add", incident, str(bare.folder / "page.html"), "--json")
    assert got.code == 0, got.err
    return got.document


@pytest.fixture
def li(bare: Console) -> Path:
    """A witness's key."""
    path = bare.folder / "li"
    subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "li", "-f", path), check=True)
    return path


def kinds(bare: Console, name: str | Path, *more: str) -> tuple[int, list[str]]:
    """The exit code of verifying a bag, and the kinds of what was found."""
    got = bare("evidence", "verify", str(name), *more, "--json")
    return got.code, [one["kind"] for one in got.document["bags"][0]["findings"]]


def events(bare: Console, made: dict[str, Any]) -> list[str]:
    """What the record says became of the bag."""
    entries = bare("incident", "show", made["incident"], "--json").document["entries"]
    return [entry["body"]["event"] for entry in entries if entry["kind"] == "evidence"]


def test_a_folder_that_is_taken(bare: Console, made: dict[str, Any], li: Path) -> None:
    """A folder for papers that is there already is refused before the witness's signature is added."""
    folder = Path(made["path"]).with_name(f"papers-{made['bag']}")
    folder.mkdir()
    hand = ("evidence", "handover", made["bag"], "--witness", "li", "--witness-key", str(li))
    assert bare(*hand).code == 25
    assert not list(Path(made["path"]).glob("witness*"))
    folder.rmdir()
    assert bare(*hand).code == 0
    assert folder.is_dir()
    verified = bare("evidence", "verify", *map(str, Path(made["path"]).parent.glob("bag-*")))
    assert verified.code == 0


def test_no_folder_for_papers(bare: Console, made: dict[str, Any], li: Path) -> None:
    """A place that cannot take the papers is a usage error before the witness's signature is added."""
    hand = ("evidence", "handover", made["bag"], str(bare.folder / "gone" / "papers"))
    assert bare(*hand, "--witness", "li", "--witness-key", str(li)).code == 2
    assert not list(Path(made["path"]).glob("witness*"))


def test_a_bag_that_says_nonsense(bare: Console, made: dict[str, Any]) -> None:
    """What somebody else's bag says of itself, numbers without end included, keeps no list from being shown."""
    info = Path(made["path"]) / bag.BAG_INFO
    info.write_text(f"Payload-Oxum: {'9' * 5000}.{'9' * 5000}\nRemedy-Target: a\x1b[2Jb\n")
    [row] = bare("evidence", "list", "--json").document["bags"]
    assert (row["size"], row["files"]) == (None, None)
    for got in (bare("evidence", "list"), bare("evidence", "show", made["bag"])):
        assert got.code == 0
        assert "\x1b" not in got.out + got.err
    assert bare("evidence", "verify", made["bag"]).code == 26


def test_a_bag_in_the_place_of_another(bare: Console, made: dict[str, Any]) -> None:
    """A good bag under the name of another does not verify as that one."""
    again = bare("evidence", "add", made["incident"], str(bare.folder / "page.html"), "--json").document
    one, two = Path(made["path"]), Path(again["path"])
    shutil.rmtree(one)
    shutil.copytree(two, one)
    assert kinds(bare, made["bag"]) == (26, ["disagreeing"])
    assert bare("evidence", "export", made["bag"], str(bare.folder / "x.tar")).code == 26
    shutil.copytree(two, bare.folder / "a copy")
    assert kinds(bare, bare.folder / "a copy") == (0, [])


def test_a_bag_between_seal_and_name(bare: Console, made: dict[str, Any]) -> None:
    """A bag whose sealing broke off before it got its name is listed as not sealed, as verifying finds it."""
    folder = Path(made["path"])
    folder.rename(folder.with_name(f"{folder.name}{bag.UNSEALED_SUFFIX}"))
    [row] = bare("evidence", "list", "--json").document["bags"]
    assert (row["sealed"], row["whole"]) == (False, False)
    assert kinds(bare, made["bag"]) == (26, ["unsealed"])


@pytest.mark.parametrize("name", ["papers", "data/papers", "../{bag}/data/papers"])
def test_papers_in_the_bag(bare: Console, made: dict[str, Any], name: str) -> None:
    """Papers are not written into the bag, which they would damage."""
    folder = Path(made["path"])
    got = bare("evidence", "handover", str(folder), str(folder / name.format(bag=folder.name)))
    assert got.code == 25
    assert "beside" in got.err
    assert kinds(bare, folder) == (0, [])


def test_a_bag_named_from_within(bare: Console, made: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """`..` and `.` are the bag itself, and what is made of it bears its name and lies beside it."""
    folder = Path(made["path"])
    monkeypatch.chdir(folder / "data")
    got = bare("evidence", "handover", "..", "--json")
    assert got.code == 0, got.err
    assert Path(got.document["folder"]) == folder.with_name(f"papers-{made['bag']}")
    assert bare("evidence", "export", "..", str(bare.folder)).code == 0
    listed = subprocess.run(
        ("tar", "-tf", bare.folder / f"{folder.name}.tar"), capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert all(name.startswith(f"{folder.name}/") for name in listed)
    monkeypatch.chdir(folder)
    assert kinds(bare, ".") == (0, [])


def test_the_key_that_sealed_it_is_no_witness(bare: Console, made: dict[str, Any]) -> None:
    """A witness's signature by the sealing key, or the one that followed it, is refused, and damage where it lies."""
    folder, own = Path(made["path"]), bare.record.parent / "keys" / "checkpoint_ed25519"
    for _ in range(2):
        argv = ("ssh-keygen", "-q", "-Y", "sign", "-f", own, "-n", bag.WITNESS_NAMESPACE)
        with (folder / bag.TAG_MANIFEST).open("rb") as tags:
            signature = subprocess.run(argv, stdin=tags, capture_output=True, check=True).stdout
        (folder / "witness-li.sig").write_bytes(signature)
        assert kinds(bare, folder) == (26, ["witness"])
        assert bare("evidence", "handover", made["bag"]).code == 26
        (folder / "witness-li.sig").unlink()
        hand = ("evidence", "handover", made["bag"], "--witness", "li", "--witness-key", str(own))
        assert bare(*hand).code == 25
        assert not list(folder.glob("witness*"))
        assert bare("incident", "key", "--retire", "new host").code == 0
    assert kinds(bare, folder) == (0, [])


def test_somebody_elses_bag(bare: Console, made: dict[str, Any]) -> None:
    """Incidents of two records may bear one name: the papers of a bag that the record does not know take no title."""
    other = bare.folder / "other" / "record.db"
    assert bare("incident", "open", "quite another case", "--record", str(other)).out.strip() == made["incident"]
    own = bare.record.parent / "keys" / "checkpoint_ed25519.pub"
    papers = bare.folder / "papers"
    got = bare("evidence", "handover", made["path"], str(papers), "--record", str(other), "--key", str(own))
    assert got.code == 0, got.err
    assert "does not know this bag" in got.err
    text = (papers / "papers.md").read_text()
    assert "quite another case" not in text
    assert "| 案由 | ________________ |" in text


def test_papers_say_what_is_open(bare: Console, made: dict[str, Any]) -> None:
    """Handed over with a key whose it is nobody says, the papers say so as the exit code does."""
    papers = bare.folder / "papers"
    nowhere = bare.folder / "nowhere" / "record.db"
    assert bare("evidence", "handover", made["path"], str(papers), "--record", str(nowhere)).code == 22
    assert "| 核验结果 | 签名密钥归属未经核实 |" in (papers / "papers.md").read_text()


def test_a_record_that_cannot_be_told(bare: Console, made: dict[str, Any]) -> None:
    """What was done and could not be recorded under a signature is not called done: exit 20, and the file stands."""
    own = bare.record.parent / "keys" / "checkpoint_ed25519"
    own.chmod(0o644)  # a key that others can read is refused
    got = bare("evidence", "export", made["bag"], str(bare.folder / "x.tar"), "--json")
    assert (got.code, got.document["exit_code"]) == (20, 20)
    assert (bare.folder / "x.tar").exists()
    got = bare("evidence", "handover", made["bag"], "--json")
    assert (got.code, got.document["exit_code"]) == (20, 20)
    own.chmod(0o600)
    assert bare("evidence", "export", made["bag"], str(bare.folder / "y.tar")).code == 0
    assert events(bare, made)[-1] == "exported"


def test_how_a_witness_signs_elsewhere(bare: Console, made: dict[str, Any], li: Path) -> None:
    """The command that the how-to and the hint give leaves the bag's own signature alone, and its result is taken."""
    folder = Path(made["path"])
    before = (folder / bag.SIGNATURE).read_bytes()
    [typed] = re.findall(r"^    (ssh-keygen -Y sign .*)$", HOW_TO.read_text(encoding="utf-8"), re.MULTILINE)
    typed = typed.replace("li.key", str(li)).replace("witness.sig", str(bare.folder / "witness.sig"))
    subprocess.run(("sh", "-ec", typed), cwd=folder, input=b"y\n", check=True, capture_output=True)
    assert (folder / bag.SIGNATURE).read_bytes() == before
    hand = ("evidence", "handover", made["bag"], "--witness", "li", "--witness-signature")
    refused = bare(*hand, str(bare.folder / "page.html"))
    assert refused.code == 2
    assert f"< {folder}/{bag.TAG_MANIFEST} >" in refused.err.replace("\n", " ")
    assert bare(*hand, str(bare.folder / "witness.sig")).code == 0
    assert events(bare, made)[-2:] == ["witnessed", "handed-over"]
