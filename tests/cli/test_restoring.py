"""`remedy restore` on this machine, at once, by `apply` and by `resume`: the same is known afterwards."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from tests.worlds.mariadb import Server

from remedy.actions.recovery.statements import KEPT

from .conftest import Console, Said

SQL: Final = """
CREATE DATABASE site CHARACTER SET utf8mb4; USE site;
CREATE TABLE notice (id INT PRIMARY KEY, text VARCHAR(50)) ENGINE=InnoDB;
INSERT INTO notice VALUES (1, '公告'), (2, 'b');
"""
INVENTORY: Final = """\
all:
  hosts:
    controller:
      remedy_databases:
        site:
          timezone: UTC
          defaults_file: OPTIONS
          keep_days: 3
          copies:
            - {name: local, path: FOLDER/local, place: machine room}
            - {name: far, path: FOLDER/far, place: other city, off_site: true}
"""


@dataclass
class Shop:
    """A console on the machine of the live server, which has lost its rows since the last backup."""

    console: Console
    server: Server

    def __call__(self, *words: str) -> Said:
        """Type a command."""
        return self.console(*words)

    def levels(self) -> dict[str, set[str]]:
        """What is known of the backups, by their names without what follows the run's."""
        [found] = self("backup", "list", "--json").document["databases"]
        known: dict[str, set[str]] = {}
        for row in found["backups"]:
            known.setdefault(row["name"].partition("-R")[0], set()).add(f"{row['copy']} {row['level']}")
        return known

    def entries(self, kind: str) -> list[dict[str, Any]]:
        """Those of the record's only incident."""
        [incident] = json.loads(self("incident", "list", "--json").out)["incidents"]
        found = json.loads(self("incident", "show", incident["id"], "--json").out)["entries"]
        return [{**entry["body"], "of": entry["run"]} for entry in found if entry["kind"] == kind]

    def aged(self, days: int) -> None:
        """Let what is kept be so old."""
        self.server.sql(f"UPDATE site__undo.{KEPT} SET kept_at = NOW() - INTERVAL {days} DAY")

    def kept(self) -> bool:
        """Whether the data before is there."""
        return bool(self.server.sql("SHOW DATABASES LIKE 'site\\_\\_undo'"))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The live server."""
    if os.geteuid():
        pytest.fail("the server is started by root")
    made = Server(Path(tempfile.mkdtemp(prefix="restoring-", dir="/tmp")))
    try:
        yield made.start()
    finally:
        made.close()


@pytest.fixture
def shop(bare: Console, server: Server) -> Shop:
    """Two copies of a good backup, in the far one a newer one that is cut; the live rows are gone."""
    bare.inventory.write_text(INVENTORY.replace("FOLDER", str(bare.folder)).replace("OPTIONS", str(server.option_file)))
    server.sql(f"DROP DATABASE IF EXISTS site; DROP DATABASE IF EXISTS site__undo; {SQL}")
    # An hour old: whatever is written now is newer.
    then = time.strftime("-- Dump completed on %Y-%m-%d %H:%M:%S", time.gmtime(time.time() - 3600))
    whole = re.sub(rb"-- Dump completed on .*", then.encode(), server.dump("site"))
    for copy in ("local", "far"):
        (bare.folder / copy).mkdir()
        _put(bare.folder / copy / "site-1.sql.gz", whole)
    _put(bare.folder / "far" / "site-2.sql.gz", whole[: len(whole) // 2])
    server.sql("DELETE FROM site.notice")
    return Shop(bare, server)


def _put(path: Path, text: bytes) -> None:
    path.write_bytes(subprocess.run(("gzip", "-n"), input=text, capture_output=True, check=True).stdout)


RESTORE: Final = ("restore", "site", "--latest-valid")


def known_afterwards(shop: Shop, run: str) -> dict[str, Any]:
    """Assert that a restore has left what it must; return its fault analysis."""
    assert shop.server.sql("SELECT id FROM site.notice") == ["1", "2"]
    levels = shop.levels()
    assert levels["site-1.sql"] == {"local proven", "far proven"}
    assert levels["site-after"] == {"local whole", "far whole"}
    assert levels["site-before"] == {"local whole"}
    [body] = shop.entries("fault-analysis")
    assert (body.pop("of"), body["status"], body["backup"]) == (run, "verified", "site-1.sql")
    assert [(one["copy"], one["backup"], one["kind"]) for one in body["rejected"]] == [("far", "site-2.sql", "corrupt")]
    assert len(body["streams"]) == 4
    assert body["held_ms"] >= 0
    assert 60 <= body["lost_minutes"] < 70
    assert body["kept"] == "site__undo"
    assert shop("incident", "verify").code == 0
    return body


def test_restored(shop: Shop) -> None:
    """A restore leaves its analysis, a proven backup and known new ones; what is kept goes when it is due."""
    said = shop(*RESTORE, "--yes")
    assert said.code == 0, said.out + said.err
    assert "since the backup is in site__undo\n" in said.out
    assert "site__undo stays until `remedy release site` drops it; from 20" in said.out
    [run] = {entry["of"] for entry in shop.entries("plan")}
    known_afterwards(shop, run)
    assert "{" not in shop("incident", "show", shop.console("incident", "list").out.split()[0], "-v").out
    for days in (0, 2):
        shop.aged(days)
        said = shop("release", "site", "--expired", "--yes")
        assert said.code == 0, said.err
        assert "site__undo was kept less than 3 days ago" in said.out
        assert shop.kept()
    shop.aged(3)
    assert shop("release", "site", "--expired", "--dry-run").code == 10
    assert shop("release", "site", "--expired", "--yes", "--json").target["withstands_root"] is None
    assert not shop.kept()
    assert shop("release", "site", "--expired", "--yes").code == 0, "nothing is due"


def test_applied(shop: Shop) -> None:
    """A saved plan of a restore leaves the same when it is carried out, and only then."""
    file = shop.console.folder / "plan.json"
    assert shop(*RESTORE, "--out", str(file)).code == 10
    assert not shop.entries("fault-analysis")
    said = shop("apply", str(file), "--yes", "--json")
    assert said.code == 0, said.err
    assert known_afterwards(shop, said.target["run"]) == said.target["analysis"]


def test_resumed(shop: Shop) -> None:
    """A restore whose process was killed leaves the same when it is resumed."""
    argv = [sys.executable, "-m", "remedy", "-i", str(shop.console.inventory), "--record", str(shop.console.record)]
    with subprocess.Popen([*argv, *RESTORE, "--yes", "--jsonl"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            event = json.loads(line)
            if event.get("event") == "reply" and event["text"].startswith("mark site__in as proven"):
                process.send_signal(signal.SIGKILL)
                break
        assert process.wait() == -signal.SIGKILL
    assert not shop.entries("fault-analysis")
    said = shop("resume", "--json")
    assert said.code == 0, said.err
    assert known_afterwards(shop, said.target["run"]) == said.target["analysis"]


def test_taken(shop: Shop) -> None:
    """A backup that was taken by a saved plan is known as one that was taken at once."""
    file = shop.console.folder / "plan.json"
    shop("incident", "open", "nightly")
    assert shop("backup", "take", "site", "--out", str(file)).code == 10
    assert shop("apply", str(file), "--yes").code == 0
    [taken] = [levels for name, levels in shop.levels().items() if "T" in name]
    assert taken == {"local whole", "far whole"}


def test_nothing_was_live(shop: Shop) -> None:
    """Where the database was gone, nobody is told that its data is kept beside."""
    shop.server.sql("DROP DATABASE site")
    said = shop(*RESTORE, "--yes")
    assert said.code == 0, said.out + said.err
    end = said.out.partition("is done: verified")[2].partition("recovery card")[0]
    assert "site held no table before: what was written in the 1 h 0 min since the backup is not on this server" in end
    assert "site__undo" not in end


def test_another_copy_is_not_blamed(shop: Shop) -> None:
    """With --from nothing is said of copies that were not asked for."""
    said = shop(*RESTORE, "--from", "far", "--dry-run")
    assert said.code == 10, said.err
    assert "passed over site-2.sql in far" in said.out
    assert "local" not in said.out.partition("restore controller")[0]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("site", "--expired", "--older-than", "3"), "both say how old"),
        (("controller", "--expired"), "only what databases keep"),
        (("controller", "--older-than", "0"), "only what databases keep"),
    ],
)
def test_slips(shop: Shop, words: tuple[str, ...], told: str) -> None:
    """An age that means nothing, or is said twice, is a slip: 2."""
    said = shop("release", *words, "--yes")
    assert (said.code, told in said.err) == (2, True), said.err
