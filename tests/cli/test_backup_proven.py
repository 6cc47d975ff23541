"""`remedy backup check --level proven` on this machine: a real server, a real isolated one beside it, real dumps."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.worlds.mariadb import Server

from .conftest import Console

SQL = """
CREATE DATABASE site CHARACTER SET utf8mb4;
USE site;
CREATE TABLE notice (id INT PRIMARY KEY, text VARCHAR(50)) ENGINE=InnoDB;
INSERT INTO notice VALUES (1, '公告'), (2, 'b');
CREATE TABLE orders (id INT PRIMARY KEY, notice INT, FOREIGN KEY (notice) REFERENCES notice (id)) ENGINE=InnoDB;
INSERT INTO orders VALUES (1, 1), (2, 2);
CREATE VIEW latest AS SELECT * FROM site.notice ORDER BY id DESC;
"""
INVENTORY = """\
all:
  hosts:
    controller:
      remedy_databases:
        site:
          timezone: UTC
          defaults_file: OPTIONS
          copies:
            - {name: local, path: FOLDER/local, place: machine room}
            - {name: far, path: FOLDER/far, place: other city, off_site: true}
          questions: [{sql: "SELECT COUNT(*) FROM notice", at_least: 2}]
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The live server."""
    if os.geteuid():
        pytest.fail("an isolated server is started by root")
    made = Server(Path(tempfile.mkdtemp(prefix="live-", dir="/tmp")))
    try:
        made.start().sql(SQL)
        yield made
    finally:
        made.close()


@pytest.fixture
def shop(bare: Console, server: Server) -> Console:
    """A console on the machine of the live server; two copies with one dump of it."""
    text = INVENTORY.replace("FOLDER", str(bare.folder)).replace("OPTIONS", str(server.option_file))
    bare.inventory.write_text(text)
    for copy in ("local", "far"):
        (bare.folder / copy).mkdir()
        (bare.folder / copy / "site.sql.gz").write_bytes(_packed(server.dump("site")))
    return bare


def _packed(text: bytes) -> bytes:
    return subprocess.run(("gzip", "-n"), input=text, capture_output=True, check=True).stdout


def _levels(shop: Console) -> dict[str, Any]:
    [found] = shop("backup", "list", "--json").document["databases"]
    return {row["copy"]: row["level"] for row in found["backups"]}


def _left() -> list[str]:
    base = Path("/var/lib/remedy")
    return sorted(path.name for path in base.glob("staging-*")) if base.exists() else []


def test_proven_once_for_every_copy(shop: Console, server: Server) -> None:
    """A backup is restored beside the live server and proven with it, for both copies of its bytes and only once."""
    before, live = _left(), server.dump("site", "--skip-dump-date")
    first = shop("backup", "check", "--level", "proven", "--yes")
    assert first.code == 0, first.out + first.err
    for copy in ("local", "far"):
        assert f"site.sql of {copy}: proven" in first.out
    assert first.err.count("load site.sql of") == 1, first.err
    second = shop("backup", "check", "--level", "proven", "--yes")
    assert second.code == 0, second.out + second.err
    assert "load" not in second.err
    assert _levels(shop) == {"local": "proven", "far": "proven"}
    assert _left() == before
    assert server.dump("site", "--skip-dump-date") == live
    assert shop("incident", "verify").code == 0
    assert shop("resume").err.strip().endswith("no run was interrupted")


def test_whole_and_does_not_restore(shop: Console, server: Server) -> None:
    """A dump that reads as whole and does not restore is 22 with the server's reason, until a better proof."""
    text = server.dump("site").replace(b"REFERENCES `notice`", b"REFERENCES `nothing`").replace(b"(2,'b')", b"(1,'b')")
    (shop.folder / "local" / "site.sql.gz").write_bytes(_packed(text))
    assert shop("backup", "check", "--copy", "local").code == 0
    said = shop("backup", "check", "--copy", "local", "--level", "proven", "--yes")
    assert said.code == 22, said.out + said.err
    assert "it did not restore" in said.out
    assert "1062" in said.out
    assert _levels(shop)["local"] == "whole"
    again = shop("backup", "check", "--copy", "local")
    assert again.code == 22
    assert "it did not restore" in again.out


def test_a_question_that_is_not_answered(shop: Console, server: Server) -> None:
    """A backup that restores and lacks what the site needs is not proven."""
    text = server.dump("site", "--where=id < 2")
    (shop.folder / "local" / "site.sql.gz").write_bytes(_packed(text))
    said = shop("backup", "check", "--copy", "local", "--level", "proven", "--yes")
    assert said.code == 22, said.out + said.err
    assert "SELECT COUNT(*) FROM notice" in said.out


def test_nobody_to_ask(shop: Console) -> None:
    """Without --yes and without a terminal nothing is restored: 24, and the level stays what was read."""
    before = _left()
    said = shop("backup", "check", "--copy", "local", "--level", "proven")
    assert said.code == 24, said.err
    assert _levels(shop)["local"] == "whole"
    assert _left() == before
    assert shop("backup", "check", "--copy", "local", "--level", "proven", "--json").document["exit_code"] == 24
