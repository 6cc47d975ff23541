"""Bags on the command line: sealed, listed, verified, exported, handed over, each told to the record."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.worlds import children
from tests.worlds.authorities import serving

from remedy.evidence import bag

from .conftest import Console


@pytest.fixture
def incident(bare: Console, monkeypatch: pytest.MonkeyPatch) -> str:
    """An open incident; nothing in the environment says where bags lie."""
    for name in ("REMEDY_EVIDENCE", "REMEDY_TSA", "REMEDY_TSA_CA"):
        monkeypatch.delenv(name, raising=False)
    return bare("incident", "open", "web01 defaced").out.strip()


@pytest.fixture
def page(bare: Console) -> Path:
    """A file that an administrator has, with a name that no bag can have."""
    path = bare.folder / "page of 'web01'\x1b[2J 网页.html"
    path.write_bytes(b"<h1>owned</h1>\n")
    return path


def add(bare: Console, incident: str, *files: Path, more: tuple[str, ...] = ()) -> dict[str, Any]:
    """Seal files; the document."""
    got = bare("evidence", "add", incident, *map(str, files), *more, "--json")
    assert got.code == 0, got.err
    return got.document


def told(bare: Console, incident: str) -> list[dict[str, Any]]:
    """The bodies of the incident's entries about bags."""
    entries = bare("incident", "show", incident, "--json").document["entries"]
    return [entry["body"] for entry in entries if entry["kind"] == "evidence"]


def key(folder: Path, name: str) -> Path:
    """A new key of ssh-keygen."""
    subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", folder / name), check=True)
    return folder / name


def test_add_and_verify(bare: Console, incident: str, page: Path) -> None:
    """A file is sealed under the incident, told to the record before and after, and verifies with the record's key."""
    (bare.folder / "disk.img").write_bytes(os.urandom(300_000))
    made = add(bare, incident, page, bare.folder / "disk.img", more=("--target", "web01", "--title", "as found"))
    folder = Path(made["path"])
    assert folder == bare.record.parent / "evidence" / incident / f"bag-{made['bag']}"
    begun, sealed = told(bare, incident)
    assert (begun["event"], begun["method"], begun["targets"]) == ("begun", "added", ["web01"])
    assert (sealed["event"], sealed["sha256"], sealed["files"], sealed["whole"]) == ("sealed", made["sha256"], 4, True)
    got = bare("evidence", "verify", folder.name, "--json")
    assert got.code == 0
    [found] = got.document["bags"]
    assert found["proven"]
    assert found["findings"] == []
    assert (found["key"], found["sha256"]) == (made["key"], made["sha256"])
    assert made["key"] in bare("incident", "verify").out
    assert page.read_bytes() == b"<h1>owned</h1>\n"


def test_what_a_file_was_called(bare: Console, incident: str, page: Path) -> None:
    """A hostile name becomes a plain one; the true one is kept beside it, with hash and times."""
    made = add(bare, incident, page)
    [file, meta] = sorted(path for path in (Path(made["path"]) / "data").rglob("*") if path.is_file())
    assert re.fullmatch(r"0001-page_of__web01[A-Za-z0-9._-]*\.html", file.name)
    facts = json.loads(meta.read_bytes())
    assert facts["name"] == "page of 'web01'\\x1b[2J 网页.html"
    assert facts["sha256"] == hashlib.sha256(page.read_bytes()).hexdigest()
    assert facts["modified"].endswith("Z")


def test_the_file_names_the_head_it_was_begun_at(bare: Console, incident: str, page: Path) -> None:
    """The bag bears the hash of the record's newest entry, which is in the record."""
    made = add(bare, incident, page)
    head = dict(bag.parse_info((Path(made["path"]) / "bag-info.txt").read_text()))["Remedy-Record-Head"]
    with sqlite3.connect(bare.record) as book:
        assert book.execute("SELECT count(*) FROM entry WHERE hash = ?", (head,)).fetchone() == (1,)
    book.close()


def test_where_bags_lie(bare: Console, incident: str, page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--bags and $REMEDY_EVIDENCE name another folder, for every command."""
    other = bare.folder / "other"
    made = add(bare, incident, page, more=("--bags", str(other)))
    assert Path(made["path"]).parent == other / incident
    assert bare("evidence", "verify", made["bag"]).code == 2
    assert bare("evidence", "verify", made["bag"], "--bags", str(other)).code == 0
    monkeypatch.setenv("REMEDY_EVIDENCE", str(other))
    assert bare("evidence", "show", made["bag"]).code == 0
    assert [one["bag"] for one in bare("evidence", "list", "--json").document["bags"]] == [made["bag"]]


def test_list_and_show(bare: Console, incident: str, page: Path) -> None:
    """Bags are listed by what they say; one is shown with its files and its entries; nothing hostile gets through."""
    assert "no bag" in bare("evidence", "list").err
    made = add(bare, incident, page, more=("--title", "evil \x1b]0;x\x07 title"))
    rows = bare("evidence", "list", incident, "--json").document["bags"]
    assert [(one["bag"], one["sealed"], one["whole"], one["files"]) for one in rows] == [(made["bag"], True, True, 2)]
    assert not bare("evidence", "list", "INC-1", "--json").document["bags"]
    shown = bare("evidence", "show", made["bag"], "--json").document
    assert [one["event"] for one in shown["record"]] == ["begun", "sealed"]
    assert len(shown["listed"]) == 2
    for got in (bare("evidence", "list"), bare("evidence", "show", made["bag"])):
        assert got.code == 0
        assert not {"\x1b", "\x07"} & set(got.out + got.err)


@pytest.mark.parametrize("how", ["changed", "planted", "missing"])
def test_damage(bare: Console, incident: str, page: Path, how: str) -> None:
    """A bag that is not what was sealed is exit 26 with the file's name, and is neither exported nor handed over."""
    folder = Path(add(bare, incident, page)["path"])
    file = next(path for path in (folder / "data" / "files").iterdir() if path.suffix == ".html")
    if how == "changed":
        file.write_bytes(b"<h1>Owned</h1>\n")
    elif how == "missing":
        file.unlink()
    else:
        file = file.with_name("planted")
        file.touch()
    got = bare("evidence", "verify", str(folder))
    assert got.code == 26
    assert "does NOT verify" in got.out
    assert file.name in got.out
    assert bare("evidence", "export", str(folder), str(bare.folder / "x.tar")).code == 26
    assert bare("evidence", "handover", str(folder), str(bare.folder / "x")).code == 26
    assert not list(bare.folder.glob("x*"))


def test_keys(bare: Console, incident: str, page: Path) -> None:
    """Named keys alone count; a revoked one is damage; without a record and a key whose it is stays open."""
    folder = Path(add(bare, incident, page)["path"])
    own = bare.record.parent / "keys" / "checkpoint_ed25519.pub"
    other = key(bare.folder, "other").with_suffix(".pub")
    signers = bare.folder / "signers"
    signers.write_text(f"ann {' '.join(own.read_text().split()[:2])}\n")

    def verified(*more: str, record: Path = bare.record) -> tuple[int, set[str]]:
        got = bare("evidence", "verify", str(folder), "--record", str(record), *more, "--json")
        return got.code, {one["kind"] for one in got.document["bags"][0]["findings"]}

    assert verified("--key", str(own)) == (0, set())
    assert verified("--allowed-signers", str(signers)) == (0, set())
    assert verified("--key", str(other)) == (26, {"wrong-key"})
    assert verified("--key", str(other), "--key", str(own)) == (0, set())
    assert verified("--revoked", str(own)) == (26, {"revoked-key"})
    nowhere = bare.folder / "nowhere" / "record.db"
    assert verified(record=nowhere) == (22, {"unknown-key"})
    assert verified("--key", str(own), record=nowhere) == (0, set())
    assert not nowhere.parent.exists()
    assert bare("evidence", "verify", str(folder), "--key", str(page)).code == 2


def test_a_bag_made_anew_with_the_stolen_key(bare: Console, incident: str, page: Path) -> None:
    """A bag forged with the record's own key verifies by itself and is betrayed by the record."""
    folder = Path(add(bare, incident, page)["path"])
    page.write_bytes(b"<h1>fine</h1>\n")
    forged = Path(add(bare, incident, page)["path"])
    for path in folder.rglob("*"):
        if path.is_file():
            path.unlink()
    for path in forged.rglob("*"):
        if path.is_file():
            (folder / path.relative_to(forged)).write_bytes(path.read_bytes())
    kinds = {one["kind"] for one in bare("evidence", "verify", str(forged), "--json").document["bags"][0]["findings"]}
    assert not kinds
    info = folder / "bag-info.txt"
    info.write_text(info.read_text().replace(forged.name[4:], folder.name[4:]))
    resigned(bare, folder)
    got = bare("evidence", "verify", str(folder), "--json")
    assert got.code == 26
    assert {one["kind"] for one in got.document["bags"][0]["findings"]} == {"unlike-record"}
    info.write_text(info.read_text().replace(folder.name[4:], "Edeadbeef"))
    resigned(bare, folder)
    folder = folder.rename(folder.with_name("bag-Edeadbeef"))
    got = bare("evidence", "verify", str(folder), "--json")
    assert (got.code, [one["kind"] for one in got.document["bags"][0]["findings"]]) == (22, ["unrecorded"])


def resigned(bare: Console, folder: Path) -> None:
    """What a thief of the key could do."""
    tags = folder / bag.TAG_MANIFEST
    lines = [line.split("  ") for line in tags.read_text().splitlines()]
    tags.write_text(
        "".join(bag.line(hashlib.sha256((folder / name).read_bytes()).hexdigest(), name) for _, name in lines)
    )
    (folder / bag.SIGNATURE).unlink()
    argv = ("ssh-keygen", "-q", "-Y", "sign", "-f", bare.record.parent / "keys" / "checkpoint_ed25519")
    subprocess.run((*argv, "-n", bag.NAMESPACE, tags), check=True, capture_output=True)


def test_a_record_that_was_altered_is_believed_in_nothing(
    bare: Console, incident: str, page: Path, tmp_path: Path
) -> None:
    """Whoever puts his own key into the record of ours cannot have his bag verify by it."""
    made = add(bare, incident, page)
    other = key(tmp_path, "intruder").with_suffix(".pub").read_text(encoding="ascii").strip()
    with sqlite3.connect(bare.record) as db:
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {name}")
        (body,) = db.execute("SELECT body FROM entry WHERE kind = 'signing-key'").fetchone()
        changed = json.dumps({**json.loads(body), "public": other}, separators=(",", ":"))
        db.execute("UPDATE entry SET body = ? WHERE kind = 'signing-key'", (changed,))
    for command in (
        ("verify", made["bag"]),
        ("export", made["bag"], str(tmp_path / "x.tar")),
        ("handover", made["bag"]),
    ):
        got = bare("evidence", *command)
        assert got.code == 26
        assert "keep the file as it is" in got.err
    assert not (tmp_path / "x.tar").exists()


def test_export(bare: Console, incident: str, page: Path) -> None:
    """One file, whose hash is told and recorded; a second one is the same; none is replaced; stock tools verify it."""
    made = add(bare, incident, page)
    first = bare("evidence", "export", made["bag"], str(bare.folder), "--json").document
    file = bare.folder / f"bag-{made['bag']}.tar"
    assert first["file"] == str(file)
    assert first["file_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    second = bare("evidence", "export", made["bag"], str(bare.folder / "two.tar"), "--json").document
    assert second["file_sha256"] == first["file_sha256"]
    assert bare("evidence", "export", made["bag"], str(bare.folder)).code == 25
    assert [one["sha256"] for one in told(bare, incident) if one["event"] == "exported"] == [first["file_sha256"]] * 2
    subprocess.run(("tar", "-xf", file, "-C", bare.folder), check=True)
    done = subprocess.run(
        ("sh", "VERIFY.txt"), cwd=file.with_suffix(""), capture_output=True, text=True, check=True
    ).stdout
    assert done.endswith("VERIFIED\n")


def test_handover_with_a_witness(bare: Console, incident: str, page: Path) -> None:
    """The papers name everything; the witness's signature is in the bag, in the record and on the papers."""
    made = add(bare, incident, page, more=("--target", "web01"))
    li = key(bare.folder, "li")
    got = bare(
        "evidence", "handover", made["bag"], "--witness", "li-si", "--witness-key", str(li), "--place", "机房", "--json"
    )
    assert got.code == 0, got.err
    [witness] = got.document["witnesses"]
    assert witness["name"] == "li-si"
    folder = Path(got.document["folder"])
    for name, sha256 in got.document["papers"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == sha256
        text = (folder / name).read_text()
        for said in ("web01 defaced", "机房", made["sha256"], made["key"], witness["key"], "li-si"):
            assert said in text, (name, said)
    assert [one["event"] for one in told(bare, incident)] == ["begun", "sealed", "witnessed", "handed-over"]
    bag_folder = Path(made["path"])
    (bag_folder / "witness-li-si.sig").unlink()
    gone = bare("evidence", "verify", made["bag"], "--json")
    assert (gone.code, [one["kind"] for one in gone.document["bags"][0]["findings"]]) == (26, ["unlike-record"])


def test_a_signature_made_elsewhere(bare: Console, incident: str, page: Path) -> None:
    """A witness may sign with ssh-keygen on another machine; what is not over this bag is refused."""
    made = add(bare, incident, page)
    tags = bare.folder / "tags"
    tags.write_bytes((Path(made["path"]) / bag.TAG_MANIFEST).read_bytes())
    li = key(bare.folder, "li")

    def signed(namespace: str) -> Path:
        tags.with_name("tags.sig").unlink(missing_ok=True)
        argv = ("ssh-keygen", "-q", "-Y", "sign", "-f", li, "-n", namespace, tags)
        subprocess.run(argv, check=True, capture_output=True)
        return tags.with_name("tags.sig")

    hand = ("evidence", "handover", made["bag"], str(bare.folder / "papers"), "--witness", "li", "--witness-signature")
    assert bare(*hand, str(signed(bag.NAMESPACE))).code == 2
    assert bare(*hand, str(page)).code == 2
    assert bare(*hand, str(signed(bag.WITNESS_NAMESPACE))).code == 0
    assert bare("evidence", "verify", made["bag"]).code == 0


def test_who_is_no_witness(bare: Console, incident: str, page: Path) -> None:
    """The key that sealed the bag, a revoked one, and a signature without a name are refused; nothing is added."""
    made = add(bare, incident, page)
    li = key(bare.folder, "li")
    own = bare.record.parent / "keys" / "checkpoint_ed25519"
    hand = ("evidence", "handover", made["bag"], str(bare.folder / "papers"), "--witness-key")
    assert bare(*hand, str(li)).code == 2
    assert bare(*hand, str(own), "--witness", "me").code == 25
    assert bare(*hand, str(li), "--witness", "li", "--revoked", str(li.with_suffix(".pub"))).code == 25
    assert bare(*hand, str(li), "--witness", "../li").code == 2
    assert not list(Path(made["path"]).glob("witness*"))
    assert not (bare.folder / "papers").exists()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["add", "INC-404", "FILE"], "INC-404"),
        (["add", "INC", "gone"], "gone"),
        (["add", "INC", "FILE", "--tsa", "http://127.0.0.1:1/"], "--tsa-ca"),
        (["verify", "bag-E00000000"], "no bag is called"),
        (["verify", "/nonexistent/bag"], "no bag can be read"),
        (["show", "x\x1b[2J"], "no bag is called"),
        (["export", "bag-E00000000", "x.tar"], "no bag is called"),
        (["handover", "bag-E00000000"], "no bag is called"),
    ],
)
def test_slips(bare: Console, incident: str, page: Path, args: list[str], said: str) -> None:
    """What is not there, or half said, is a usage error that names it, and makes no bag."""
    words = [{"INC": incident, "FILE": str(page)}.get(word, word) for word in args]
    got = bare("evidence", *words)
    assert got.code == 2, got.err
    assert said in got.err
    assert "\x1b" not in got.err
    assert not (bare.record.parent / "evidence").exists()


def test_a_file_that_cannot_be_read_to_its_end(bare: Console, incident: str, page: Path) -> None:
    """What cannot be read leaves a bag that is sealed, partial, and says which file is lacking: exit 20."""
    bad = Path("/proc/self/mem")  # a regular file whose first byte cannot be read
    got = bare("evidence", "add", incident, str(bad), str(page), "--json")
    assert got.code == 20, got.err
    assert got.document["lacking"]
    assert bare("evidence", "verify", got.document["bag"]).code == 0
    assert told(bare, incident)[-1]["whole"] is False


def test_an_authority_that_does_not_answer(bare: Console, incident: str, page: Path) -> None:
    """Without its time stamp a bag is sealed all the same: exit 20, a doubt when verified, an entry that says so."""
    root = bare.folder / "root.pem"
    argv = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "/dev/null", "-out", root)
    subprocess.run((*argv, "-subj", "/CN=x"), check=True, capture_output=True)
    more = ("--tsa", "http://127.0.0.1:1/", "--tsa-ca", str(root))
    got = bare("evidence", "add", incident, str(page), *more, "--json")
    assert got.code == 20
    assert "does not answer" in got.document["unstamped"]
    verified = bare("evidence", "verify", got.document["bag"], "--json")
    assert (verified.code, [one["kind"] for one in verified.document["bags"][0]["findings"]]) == (22, ["unstamped"])


def test_a_stamped_bag(bare: Console, incident: str, page: Path) -> None:
    """With an authority the bag bears its token: a proof with the authority's root, a doubt without."""
    with serving(bare.folder / "tsa") as authority:
        more = ("--tsa", authority.url, "--tsa-ca", str(authority.root_file))
        made = add(bare, incident, page, more=more)
    assert made["stamped"] == told(bare, incident)[-1]["stamped"]
    got = bare("evidence", "verify", made["bag"], "--tsa-ca", str(authority.root_file), "--json")
    assert (got.code, got.document["bags"][0]["stamped"]) == (0, made["stamped"])
    doubted = bare("evidence", "verify", made["bag"], "--json")
    assert (doubted.code, doubted.document["bags"][0]["findings"][0]["kind"]) == (22, "unknown-authority")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_interrupted(bare: Console, incident: str, number: signal.Signals) -> None:
    """Ctrl-C seals what came as partial; kill -9 leaves a bag that says it is not sealed. The record shows either."""
    large = bare.folder / "large.img"
    with large.open("wb") as file:
        file.truncate(20_000_000_000)
    code = "import sys; from remedy.cli.main import run; run(sys.argv[1:])"
    argv = (sys.executable, "-c", code, "--record", bare.record, "evidence", "add", incident, large)
    with children.child(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        end = time.monotonic() + 30
        while not (found := list(bare.record.parent.glob("evidence/*/*.partial/data/files/*"))):
            assert time.monotonic() < end
            time.sleep(0.02)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert found
    [one] = bare("evidence", "list", "--json").document["bags"]
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert "sealed" in err
        assert (one["sealed"], one["whole"]) == (True, False)
        assert bare("evidence", "verify", one["bag"]).code == 0
        assert told(bare, incident)[-1]["event"] == "sealed"
    else:
        assert one["sealed"] is False
        got = bare("evidence", "verify", one["bag"])
        assert got.code == 26
        assert "unsealed" in got.out
        assert [body["event"] for body in told(bare, incident)] == ["begun"]


def test_completion(bare: Console, incident: str, page: Path) -> None:
    """Bags and open incidents complete."""
    made = add(bare, incident, page)
    argv = (sys.executable, "-c", "from remedy.cli.main import run; run()")
    for words, wanted in (
        (f"remedy --record {bare.record} evidence verify bag-", {f"bag-{made['bag']}"}),
        (f"remedy --record {bare.record} evidence add INC", {incident}),
        ("remedy --record /nonexistent/record.db evidence show bag-", set()),
    ):
        env = {**os.environ, "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
        env["_REMEDY_COMPLETE"] = "bash_complete"
        done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=60)
        assert {row.partition(",")[2] for row in done.stdout.splitlines() if row} == wanted, done.stderr


def test_the_timeline_tells_of_bags(bare: Console, incident: str, page: Path) -> None:
    """An incident's timeline says in words what became of its bags."""
    made = add(bare, incident, page)
    text = bare("incident", "show", incident).out
    assert f"bag-{made['bag']}: begun, added" in text
    assert f"bag-{made['bag']}: sealed, 2 files" in text
