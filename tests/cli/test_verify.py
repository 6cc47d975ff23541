"""`remedy verify` on this machine: a real server, backups taken of it, and what has come of both since."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from tests.worlds.mariadb import Server

from .conftest import Console, Said

SQL: Final = """
DROP DATABASE IF EXISTS site; CREATE DATABASE site CHARACTER SET utf8mb4; USE site; SET foreign_key_checks=0;
CREATE TABLE notice (id INT PRIMARY KEY, text VARCHAR(50), body BLOB) ENGINE=InnoDB;
INSERT INTO notice VALUES (1, '公告', x'00ff27'), (2, 'b', NULL), (3, 'c', NULL);
CREATE TABLE orders (id INT PRIMARY KEY, notice INT, CONSTRAINT of FOREIGN KEY (notice) REFERENCES notice (id))
 ENGINE=InnoDB;
INSERT INTO orders VALUES (1, 1), (2, 2);
CREATE VIEW latest AS SELECT * FROM site.notice ORDER BY id DESC;
CREATE FUNCTION tax(x INT) RETURNS INT RETURN x * 2;
CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY DO SELECT 1;
CREATE TRIGGER kept BEFORE INSERT ON orders FOR EACH ROW SET NEW.id = NEW.id;
DROP USER IF EXISTS app@'%'; CREATE USER app@'%'; GRANT SELECT, INSERT ON site.* TO app@'%'; DROP USER IF EXISTS spy;
"""
INVENTORY: Final = """\
all:
  hosts:
    controller:
      remedy_databases:
        site:
          timezone: UTC
          defaults_file: OPTIONS
          copies:
            - {name: local, path: FOLDER/local, place: machine room}
            - {name: annex, path: FOLDER/annex, place: building B}
            - {name: far, path: FOLDER/far, place: other city, off_site: true}
"""
COPIES: Final = ("local", "annex", "far")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The live server."""
    if os.geteuid():
        pytest.fail("the server is started by root")
    made = Server(Path(tempfile.mkdtemp(prefix="verified-", dir="/tmp")))
    try:
        yield made.start()
    finally:
        made.close()


@pytest.fixture
def shop(bare: Console, server: Server) -> Console:
    """A console on the machine of the live server; one backup of it is in all copies."""
    text = INVENTORY.replace("FOLDER", str(bare.folder)).replace("OPTIONS", str(server.option_file))
    bare.inventory.write_text(text)
    for copy in COPIES:
        (bare.folder / copy).mkdir()
    server.sql(SQL)
    taken = bare("backup", "take", "site", "--yes")
    assert taken.code == 0, taken.err
    return bare


def manifests(shop: Console) -> list[Path]:
    """The manifests in the copies, nearest first."""
    found = [path for copy in COPIES for path in sorted((shop.folder / copy).glob("*.manifest.json"))]
    assert found
    return found


def changed(path: Path, old: str, new: str) -> None:
    """Write over a manifest, as somebody may."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def differing(said: Said) -> list[str]:
    """What differs, of a call with --json that has found something."""
    assert said.code == 22, said.err
    document = said.document
    assert (document["command"], document["exit_code"], document["equal"]) == ("verify", 22, False)
    return [*document["different"], *document["orphans"]]


def test_a_backup_that_was_just_taken(shop: Console) -> None:
    """A fresh backup and the live database are equal, down to views, routines and rights: 0, in words and as JSON."""
    assert len(manifests(shop)) == 3
    said = shop("verify", "site")
    assert said.code == 0, said.out + said.err
    assert "✓ 2 tables and all definitions are as the manifest says; CHECK TABLE OK" in said.out
    assert "whose manifest is in local, annex, far" in said.out
    document = shop("verify", "--json").document
    assert (document["equal"], document["different"], document["orphans"]) == (True, [], [])
    assert (document["tables"], document["copies"]) == (2, [*COPIES])
    assert document["against"] == json.loads(manifests(shop)[0].read_text())["sha256"]
    lines = [json.loads(line) for line in shop("verify", "--jsonl").out.splitlines()]
    assert lines[-1]["command"] == "verify"
    assert shop("incident", "verify").code == 0


def test_every_difference_is_named(shop: Console, server: Server) -> None:
    """A changed row, lost and new tables, views, routines, triggers and rights are each told: 22."""
    server.sql("""USE site; UPDATE notice SET text='c!' WHERE id=3; DROP VIEW latest; CREATE TABLE `ran\x1bsom` (n INT);
      DROP FUNCTION tax; CREATE FUNCTION tax(x INT) RETURNS INT RETURN x * 3; DROP TRIGGER kept; DROP EVENT nightly;
      CREATE USER spy; GRANT ALL ON site.* TO spy; REVOKE INSERT ON site.* FROM app@'%'; CREATE VIEW seen AS SELECT 1;
      DELETE FROM orders WHERE id=2;""")
    found = differing(shop("verify", "--json"))
    for line in (
        "table notice: rows differ",
        "table orders: rows differ: 1 instead of 2",
        "view latest: is gone",
        "view seen: is new",
        "function tax: definition differs",
        "event nightly: is gone",
        "right gone: 'app'@'%' INSERT on site.*",
        "right new: 'spy'@'%' DROP on site.*",
    ):
        assert line in found, found
    assert any(line.startswith("trigger ") and line.endswith("kept: is gone") for line in found), found
    assert any("som: is new" in line for line in found)
    said = shop("verify", "site")
    assert said.code == 22
    assert "≠ view latest: is gone" in said.out
    assert "--json names all" in said.out, "there are more than fit a screen"
    assert "\x1b" not in said.out + said.err
    assert len(said.out.splitlines()) < 30


def test_rights_beyond_tables(shop: Console, server: Server) -> None:
    """A right on a routine, a role and a proxy that are new or gone are named; without a list of then that is said."""
    server.sql("GRANT EXECUTE ON FUNCTION site.tax TO app@'%'; CREATE ROLE r; GRANT r TO app@'%'")
    server.sql("SET DEFAULT ROLE r FOR app@'%'; CREATE USER boss; GRANT PROXY ON app@'%' TO boss")
    assert sorted(differing(shop("verify", "--json"))) == [
        "right new: 'app'@'%' Execute on function site.tax",
        "right new: 'app'@'%' begins with role r",
        "right new: 'app'@'%' has role r",
        "right new: 'boss'@'%' may act as 'app'@'%'",
    ]
    assert shop("backup", "take", "site", "--yes").code == 0
    assert shop("verify", "--json").document["not_compared"] == []
    server.sql("REVOKE r FROM app@'%'; DROP USER boss")
    found = differing(shop("verify", "--json"))
    assert "right gone: 'app'@'%' has role r" in found
    assert "right gone: 'boss'@'%' may act as 'app'@'%'" in found
    for path in manifests(shop):
        text = json.loads(path.read_text())
        del text["held"]
        path.write_text(json.dumps(text))
    said = shop("verify", "site")
    assert said.code == 0, said.out
    assert "not compared: default roles, proxies, rights on routines, roles; the manifest" in said.out
    server.sql("DROP ROLE r")


def test_rows_that_refer_to_nothing(shop: Console, server: Server) -> None:
    """Rows whose other end is missing are counted with their key, also where the whole other table is gone: 22."""
    server.sql("USE site; SET foreign_key_checks=0; INSERT INTO orders VALUES (3, 99), (4, 98), (5, NULL);")
    assert shop("backup", "take", "site", "--yes").code == 0
    assert len(manifests(shop)) == 6, "a second one within the second has another name"
    assert differing(shop("verify", "--json")) == ["2 rows of orders refer to nothing in notice (foreign key of)"]
    server.sql("USE site; SET foreign_key_checks=0; DROP TABLE notice")
    found = differing(shop("verify", "--json"))
    assert "table notice: is gone" in found
    assert "4 rows of orders refer to nothing in notice, which is gone (foreign key of)" in found


def test_which_manifest(shop: Console, server: Server) -> None:
    """Against an older backup by its name, with or without the ending; an unknown one is a usage error."""
    [first] = {path.name.removesuffix(".manifest.json") for path in manifests(shop)}
    server.sql("INSERT INTO site.notice VALUES (4, 'd', NULL)")
    said = shop("verify", "site", "--against", first, "--json")
    assert differing(said) == ["table notice: rows differ: 4 instead of 3"]
    assert differing(shop("verify", "site", "--against", f"{first}.sql", "--json")) == said.document["different"]
    unknown = shop("verify", "site", "--against", "moon", "--json")
    assert unknown.code == 2
    assert "no copy of site holds a manifest of moon" in unknown.document["error"]["message"]


def test_damaged_manifests(shop: Console) -> None:
    """One damaged manifest is told and another copy's is used; with none left it is 2, with a way out."""
    near, annex, far = manifests(shop)
    near.write_text("{")
    annex.write_bytes(b" " * (33 << 20))
    said = shop("verify", "site")
    assert said.code == 0, said.err
    assert "whose manifest is in far" in said.out
    assert len(re.findall(r"of (?:local|annex): ", said.out + said.err)) == 2
    far.unlink()
    none = shop("verify", "site")
    assert none.code == 2
    assert "remedy backup take site" in none.err
    assert shop("verify", "site", "--json").document["exit_code"] == 2


@pytest.mark.parametrize("replaced", COPIES)
def test_manifests_that_disagree(shop: Console, replaced: str) -> None:
    """Of one backup's manifests the one that most copies have is believed, and which copy has another is told."""
    for path in manifests(shop):
        if path.parent.name == replaced:
            changed(path, '"count":3', '"count":4')
    said = shop("verify", "site")
    assert said.code == 0, said.out
    assert f"{replaced} has another manifest of it than " in said.out
    assert re.search(rf"manifest is in (?!.*{replaced})", said.out)


def test_a_manifest_of_another_schema(shop: Console) -> None:
    """A manifest of another database in the copy is not taken for this one's."""
    for path in manifests(shop):
        changed(path, '"schema":"site"', '"schema":"shop"')
    assert shop("verify", "site").code == 2


def test_a_server_that_does_not_answer(shop: Console, server: Server) -> None:
    """When it cannot be compared nothing is called equal or different, and the reason is told."""
    server.kill()
    try:
        said = shop("verify", "site", "--json")
        assert said.code in {20, 21}, said.out
        assert "error" in said.document
    finally:
        server.start()
