"""`remedy backup`: lists, checks and promises over real folders of this machine, and a host that is gone."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.worlds.shelves import beside, dump, packed

from remedy.backups.values import Judgement
from remedy.cli.options import Common
from remedy.cli.world import World
from remedy.engine import search, verdicts

from .conftest import Console

INVENTORY = """\
all:
  vars: {ansible_user: root, ansible_port: 9, remedy_known_hosts: FOLDER/known_hosts}
  hosts:
    controller: {}
    db01:
      ansible_host: 127.0.0.77
      remedy_databases:
        site:
          timezone: UTC
          copies:
            - {name: local, host: controller, path: FOLDER/local, place: machine room}
            - {name: annex, host: controller, path: FOLDER/annex, place: building B}
            - {name: far, host: controller, path: FOLDER/far, place: other city, off_site: true}
          keys: {openssl: "{{ lookup('env', 'BACKUP_PASSPHRASE') }}"}
"""
GONE = "            - {name: gone, host: db01, path: /var/backups}\n"


@pytest.fixture
def shop(bare: Console) -> Console:
    """A console whose database has three copies in folders of this machine; its own host answers nobody."""
    for name in ("local", "annex", "far"):
        (bare.folder / name).mkdir()
    bare.inventory.write_text(INVENTORY.replace("FOLDER", str(bare.folder)))
    return bare


def put(shop: Console, name: str, data: bytes, copies: tuple[str, ...] = ("local", "annex", "far")) -> None:
    """Store a file in copies."""
    for copy in copies:
        (shop.folder / copy / name).write_bytes(data)


def night(days_ago: int) -> datetime:
    """Two in the morning, so many days ago; the last one that is past, when 0."""
    now = datetime.now(UTC)
    last = now.replace(hour=2, minute=0, second=7, microsecond=0)
    return (last if last <= now else last - timedelta(days=1)) - timedelta(days=days_ago)


def backup(shop: Console, days_ago: int, **more: Any) -> str:  # noqa: ANN401 -- those of `dump`
    """That night's dump in all copies; its name."""
    made = night(days_ago)
    name = f"site-{made:%Y-%m-%d}.sql"
    put(shop, f"{name}.gz", packed(dump(f"{made:%Y-%m-%d %H:%M:%S}", **more)))
    return name


def with_gone(shop: Console) -> None:
    """One more copy, on the host that answers nobody."""
    text = shop.inventory.read_text()
    at = text.index("          keys:")
    shop.inventory.write_text(text[:at] + GONE + text[at:])


def only(said: Any) -> dict[str, Any]:  # noqa: ANN401 -- a document's one database
    """The one database of a document."""
    [found] = said.document["databases"]
    assert isinstance(found, dict)
    return found


def test_list_then_check_then_list(shop: Console) -> None:
    """An unread backup shows what bounds it; once it was checked, its time and level are known without reading."""
    name = backup(shop, 0)
    first = shop("backup", "list", "--json")
    assert first.code == 0, first.err
    row = only(first)["backups"][0]
    assert (row["time"], row["level"], row["sha256"], row["judged"]) == (None, "listed", None, None)
    assert row["server"].startswith("10.11.19-MariaDB")
    assert (row["format"], row["compression"], row["encryption"]) == ("dump", "gz", "")
    checked = shop("backup", "check", "--json")
    assert checked.code == 0, checked.out
    assert [(one["copy"], one["level"], one["reached"]) for one in only(checked)["backups"]] == [
        ("local", "whole", True),
        ("annex", "whole", True),
        ("far", "whole", True),
    ]
    assert {one["rows"] for one in only(checked)["backups"]} == {400}
    second = shop("backup", "list", "site", "--json")
    row = only(second)["backups"][0]
    assert (row["name"], row["level"]) == (name, "whole")
    assert row["time"] == f"{night(0):%Y-%m-%dT%H:%M:%SZ}"
    assert len(row["sha256"]) == 64
    shown = shop("backup", "list")
    assert shown.code == 0
    assert "whole, just now" in shown.out
    assert f"{night(0):%Y-%m-%d %H:%M:%S}" in shown.out
    assert "MariaDB dump 10.19 of 10.11.19-MariaDB " in shown.out
    verified = shop("incident", "verify", "--json").document
    assert verified["ok"]
    assert verified["signed"] >= _verdicts(shop) == 3


def test_claims_of_the_unread(shop: Console) -> None:
    """A plain dump's own words are shown as such, and nothing is called known by them."""
    put(shop, "site.sql", dump("2026-11-19  2:00:07", rows=5000), ("local",))
    row = only(shop("backup", "list", "--json"))["backups"][0]
    assert (row["claims"], row["time"], row["level"]) == ("2026-11-19T02:00:07Z", None, "listed")
    assert "2026-11-19 02:00:07 (says it)" in shop("backup", "list").out


def test_read_all(shop: Console) -> None:
    """--read reads what was never read, once; what is known stays unread."""
    backup(shop, 0)
    backup(shop, 1)
    first = shop("backup", "list", "--read", "--json")
    assert {one["level"] for one in only(first)["backups"]} == {"whole"}
    judged = {one["judged"] for one in only(first)["backups"]}
    assert _verdicts(shop) == 6
    again = shop("backup", "list", "--read", "--json")
    assert {one["judged"] for one in only(again)["backups"]} == judged
    assert _verdicts(shop) == 6


def _verdicts(shop: Console) -> int:
    """How many verdicts are in the record."""
    with contextlib.closing(sqlite3.connect(shop.record)) as book:
        [(count,)] = book.execute("SELECT count(*) FROM entry WHERE kind = ?", (verdicts.VERDICT,))
    return int(count)


def test_damaged(shop: Console) -> None:
    """A backup that is cut is exit 22, says why for people and programs, and is shown as damaged from then on."""
    backup(shop, 1)
    name = f"site-{night(0):%Y-%m-%d}.sql"
    put(shop, f"{name}.gz", packed(dump("2026-11-19  2:00:07", rows=2000))[:5000], ("local",))
    said = shop("backup", "check", "--copy", "local")
    assert said.code == 22, said.out
    assert f"✗ {name} of local: listed, whole was asked for" in said.out
    assert "(truncated)" in said.out
    document = shop("backup", "check", "--backup", f"{name}.gz", "--json")
    [row] = only(document)["backups"]
    assert (row["reached"], row["exit_code"], row["against"][0]) == (False, 22, "truncated")
    assert "DAMAGED: listed" in shop("backup", "list").out


def test_every_backup(shop: Console) -> None:
    """--all checks everything, pipes and links included, which it reports and never opens."""
    for days_ago in range(3):
        backup(shop, days_ago)
    os.mkfifo(shop.folder / "local" / "pipe.sql")
    (shop.folder / "local" / "link.sql").symlink_to("/etc/passwd")
    said = shop("backup", "check", "--all", "--json")
    assert said.code == 22, said.err
    rows = only(said)["backups"]
    assert len(rows) == 11
    assert {row["name"]: row["against"] for row in rows if not row["reached"]} == {
        "pipe.sql": ["odd"],
        "link.sql": ["odd"],
    }
    assert len([line for line in said.err.splitlines() if "✓" in line]) == 9


def test_levels(shop: Console) -> None:
    """A plain dump without a checksum is readable and whole, but nothing shows its bytes, unless that is accepted."""
    put(shop, "site.sql", dump("2026-11-19  2:00:07"), ("local",))
    for level, code in (("readable", 22), ("intact", 22), ("whole", 22)):
        said = shop("backup", "check", "--level", level)
        assert said.code == code, said.out
        assert "--accept unverifiable" in said.out
    assert shop("backup", "check", "--accept", "unverifiable").code == 0
    sidecar, line = beside("site.sql", dump("2026-11-19  2:00:07"))
    put(shop, sidecar, line, ("local",))
    assert shop("backup", "check").code == 0
    cut = dump("2026-11-19  2:00:07").partition(b"-- Dump completed")[0]
    put(shop, "site.sql", cut, ("local",))
    put(shop, *beside("site.sql", cut), ("local",))
    assert shop("backup", "check", "--level", "readable").code == 0
    assert shop("backup", "check", "--level", "whole").code == 22


def test_shrunken(shop: Console) -> None:
    """A whole backup with a tenth of the rows of the last good one is shown with a doubt: exit 22 until accepted."""
    backup(shop, 1)
    assert shop("backup", "check").code == 0
    backup(shop, 0, rows=20)
    said = shop("backup", "check")
    assert said.code == 22
    assert "whole, with a doubt" in said.out
    assert "--accept shrunken" in said.out
    assert shop("backup", "check", "--accept", "shrunken").code == 0


def test_encrypted(shop: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """An encrypted backup is opened with the key the inventory refers to; the key is in no output and no entry."""
    monkeypatch.setenv("BACKUP_PASSPHRASE", "hunter2hunter2")
    made = packed(dump(f"{night(0):%Y-%m-%d %H:%M:%S}"))
    argv = ("openssl", "enc", "-aes-256-cbc", "-pbkdf2", "-pass", "env:BACKUP_PASSPHRASE")
    done = subprocess.run(argv, input=made, capture_output=True, check=True, timeout=60)
    put(shop, "site.sql.gz.enc", done.stdout, ("local",))
    before = only(shop("backup", "list", "--json"))["backups"][0]
    assert (before["encryption"], before["compression"]) == ("openssl", "gz")
    said = shop("backup", "check", "--accept", "unverifiable", "-v")
    assert said.code == 0, said.out + said.err
    after = only(shop("backup", "list", "--json"))["backups"][0]
    assert (after["encryption"], after["compression"], after["level"]) == ("openssl", "gz", "whole")
    monkeypatch.setenv("BACKUP_PASSPHRASE", "something-else")
    wrong = shop("backup", "check", "--accept", "unverifiable")
    assert wrong.code in {20, 22}, wrong.out
    monkeypatch.delenv("BACKUP_PASSPHRASE")
    missing = shop("backup", "check", "--accept", "unverifiable")
    assert missing.code == 20
    for text in (said.out, said.err, wrong.out, wrong.err):
        assert "hunter2hunter2" not in text
    for file in shop.record.parent.rglob("*"):
        assert not file.is_file() or b"hunter2hunter2" not in file.read_bytes()


def test_unreachable_copies(shop: Console) -> None:
    """A copy that does not answer is named; the others are looked at: 20. When none answers: 21."""
    backup(shop, 0)
    with_gone(shop)
    for command in ("list", "check"):
        said = shop("backup", command)
        assert said.code == 20
        assert "gone is out of reach: db01:" in said.out
        assert "site-" in said.out
    assert shop("backup", "list", "--copy", "gone").code == 21
    rows = {copy["name"]: copy["error"] for copy in only(shop("backup", "list", "--json"))["copies"]}
    assert rows["local"] is None
    assert rows["gone"]["kind"] == "ConnectFailed"
    missing = shop("backup", "list", "--copy", "far")
    assert missing.code == 0
    (shop.folder / "far").rename(shop.folder / "elsewhere")
    assert shop("backup", "list", "--copy", "far").code == 25


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["backup", "list", "shop"], 2, "shop"),
        (["backup", "list", "--copy", "moon"], 2, "has: local, annex, far"),
        (["backup", "check", "--backup", "nothing.sql"], 2, "nothing.sql"),
        (["backup", "check", "--level", "golden"], 2, "golden"),
        (["backup", "list", "--incident", "INC-404"], 2, "INC-404"),
        (["backup", "check", "--copy", "far"], 22, ""),
        (["backup", "status", "shop"], 2, "shop"),
    ],
)
def test_slips(shop: Console, args: list[str], code: int, said: str) -> None:
    """Each slip is exit 2 with what there is instead; nothing to check is not success."""
    if "--backup" in args:
        backup(shop, 0)
    got = shop(*args)
    assert got.code == code, got.err
    assert said in got.err
    assert shop(*args, "--json").document["exit_code"] == code


def test_no_database(bare: Console) -> None:
    """An inventory without databases is said to be one."""
    got = bare("backup", "list")
    assert got.code == 2
    assert "names no database" in got.err


def test_hostile_names(shop: Console) -> None:
    """What somebody called a file, or wrote into a dump, cannot act on a terminal."""
    text = dump("2026-11-19  2:00:07").replace(b"10.19  Distrib", b"10.19 \x1b[2J\x07  Distrib")
    put(shop, "evil\x1b]0;owned\x07.sql", text, ("local",))
    put(shop, "site\u202e.sql", text, ("local",))
    put(shop, "caf\udce9.sql".encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape"), text, ("far",))
    for args in (["list"], ["check", "--all"], ["list", "--json"], ["status"], ["list", "--read", "--jsonl"]):
        got = shop("backup", *args)
        assert not {"\x1b", "\x07", "\u202e"} & set(got.out + got.err), args


def test_stream(shop: Console) -> None:
    """--jsonl tells the bytes of each reading and each verdict as they come, and the document last."""
    backup(shop, 0)
    said = shop("backup", "check", "--jsonl")
    lines = [json.loads(line) for line in said.out.splitlines()]
    events = [line for line in lines if "event" in line]
    assert lines[-1]["command"] == "backup check"
    last = [line for line in events if line["event"] == "progress" and "from local" in line["text"]][-1]
    assert last["done"] == last["total"] == (shop.folder / "local" / f"site-{night(0):%Y-%m-%d}.sql.gz").stat().st_size
    every = shop("backup", "check", "--all", "--jsonl")
    replies = [json.loads(line) for line in every.out.splitlines() if '"reply"' in line]
    assert len(replies) == 3
    assert all(reply["ok"] for reply in replies)


def test_incident(shop: Console) -> None:
    """Verdicts belong to the only open incident; a check opens none."""
    backup(shop, 0)
    assert shop("backup", "check", "--json").document["incident"] == ""
    assert shop("incident", "list").out == ""
    name = shop("incident", "open", "database gone").out.strip()
    assert shop("backup", "check", "--json").document["incident"] == name
    shown = shop("incident", "show", name)
    assert "of far: whole, SHA-256" in shown.out


def test_promises(shop: Console) -> None:
    """Status is 22 with what to do while a promise is broken, and 0 once the newest backup was proven."""
    newest = ""
    for days_ago in range(3):
        newest = backup(shop, days_ago) if not days_ago else newest or backup(shop, days_ago)
    for days_ago in (1, 2):
        backup(shop, days_ago)
    unread = shop("backup", "status")
    assert unread.code == 22
    assert "BROKEN" in unread.out
    assert shop("backup", "check", "--all").code == 0
    read = shop("backup", "status", "--json")
    assert read.code == 22
    held = {promise["id"]: promise["held"] for promise in only(read)["promises"]}
    assert held == {name: name != "proven" for name in held}
    assert len(held) == 7
    _prove(shop, newest)
    after = shop("backup", "status")
    assert after.code == 0, after.out
    assert after.out.rstrip().endswith("all promises are held")
    quiet = shop("backup", "status", "-q")
    assert quiet.out.splitlines() == ["site: all promises are held"]
    with_gone(shop)
    assert shop("backup", "status", "-q").code == 22


def _prove(shop: Console, name: str) -> None:
    """Put into the record what a proof would have put there."""
    around = World(Common(inventory=str(shop.inventory), record=str(shop.record)))
    try:
        database = around.database("site")
        found = search.listing(database, around.copies.shelf, around.record)
        one = next(backup for backup in found.backups if backup.name == name and backup.copy == "local")
        known: Judgement = found.known[one]
        proven = Judgement(known.sha256, known.size, "proven", known.contents, at=known.at)
        verdicts.remember(around.record, database, found.copy("local"), one, proven, proof=True)
    finally:
        around.close()


def test_proof_needs_a_yes(shop: Console) -> None:
    """Restoring for proof asks; where nobody can answer, or the staging host does not, nothing is called proven."""
    backup(shop, 0)
    said = shop("backup", "check", "--copy", "local", "--level", "proven")
    assert said.code in {20, 21, 24}, said.err
    assert "proven" not in {row["level"] for row in only(shop("backup", "list", "--json"))["backups"]}


def test_interrupted_in_the_middle(shop: Console) -> None:
    """Ctrl-C in the middle of a reading ends at once with 130; what was judged before is remembered."""
    large = dump("2026-11-19  2:00:07", rows=150_000, tables=("notice", "orders", "customer"))
    put(shop, "b-large.sql", large, ("local",))
    put(shop, "a-small.sql.gz", packed(dump("2026-11-20  2:00:07")), ("local",))  # written last: read first
    code = "import sys; from remedy.cli.main import run; run(sys.argv[1:])"
    argv = (sys.executable, "-c", code, "-i", str(shop.inventory), "--record", str(shop.record))
    more = ("backup", "list", "--copy", "local", "--read", "--jsonl")
    with subprocess.Popen((*argv, *more), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout
        for line in running.stdout:
            event = json.loads(line)
            if event.get("event") == "progress" and "b-large" in event["text"]:
                running.send_signal(signal.SIGINT)
                break
        _, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert "Traceback" not in err
    levels = {row["name"]: row["level"] for row in only(shop("backup", "list", "--copy", "local", "--json"))["backups"]}
    assert levels == {"a-small.sql": "whole", "b-large.sql": "listed"}


def test_nothing_is_changed_in_a_copy(shop: Console) -> None:
    """Looking and checking leaves every file as it was."""
    backup(shop, 0)
    before = _seen(shop.folder)
    for args in (["list"], ["list", "--read"], ["check", "--all"], ["status"]):
        shop("backup", *args)
    assert _seen(shop.folder) == before


def _seen(folder: Path) -> list[tuple[str, int, int, int]]:
    files = [file for copy in ("local", "annex", "far") for file in sorted((folder / copy).iterdir())]
    return [(str(file), (at := file.stat()).st_size, at.st_mtime_ns, at.st_ctime_ns) for file in files]
