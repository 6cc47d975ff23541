"""A newcomer's file in formats/, containers/ or seals/ is all it takes: found, listed, recognised, opened and read."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

import remedy

ROOT: Final = Path(__file__).parents[2]
READING: Final = '''
from remedy.backups.formats import Format, Group, Piece
from remedy.backups.values import Contents, Facts, Finding, Table

class Lines:
    """A line per row, after one that says the table."""
    def __init__(self, schema):
        self.tables, self.text, self.names = [], b"", []
    def begin(self, name):
        self.names.append(name)
        self.text = b""
    def feed(self, chunk):
        self.text += chunk
        return iter(())
    def end(self):
        table, *rows = self.text.removeprefix(b"LEDGER\\xff").splitlines()
        self.tables.append(Table(table.decode(), "", count=len(rows)))
        for row in rows:
            yield Piece("rows", table.decode(), row)
    def close(self):
        return Contents(Facts(tool=",".join(self.names)), tuple(self.tables))
'''
#: One in a file, its bytes no text.
LEDGER: Final = f'''"""Ledgers."""
{READING}
class Ledger(Format):
    kind, span, suffixes, magic = "logical", "file", (".ledger",), (b"LEDGER\\xff",)
    @staticmethod
    def streams(files):
        return (files,)
    @staticmethod
    def reading(schema):
        return Lines(schema)

FORMAT = Ledger
'''
#: One in a folder.
TRAY: Final = f'''"""Trays: a file per table, and one that says which there are."""
from remedy.backups.naming import bare
{READING}
class Tray(Format):
    kind, span = "logical", "folder"
    @staticmethod
    def groups(listed):
        for folder, files in listed.items():
            rows = [file for file in files if bare(file.name).endswith(".rows")]
            note = [file for file in files if file.name.endswith("TRAY")]
            if rows and note:
                yield Group(folder, (*note, *rows))
    @staticmethod
    def streams(files):
        return tuple((file,) for file in files if not file.name.endswith("TRAY"))
    @staticmethod
    def reading(schema):
        return Lines(schema)

FORMAT = Tray
'''
TURNED: Final = '''"""Every byte turned."""
SUFFIXES, MAGIC = (".turned",), b"TURNED"
TABLE = bytes(range(255, -1, -1))

def CHECKED(head):
    return False

def opened(chunks):
    yield b"".join(chunks).removeprefix(MAGIC).translate(TABLE)
'''
BOXED: Final = '''"""A box: six bytes before the rest."""
from remedy.backups.seals import Opening
SUFFIXES, CHECKED = (".boxed",), False

def recognises(head):
    return head.startswith(b"BOXED\\n")

def opening(keys):
    return Opening(("tail", "-c", "+7"), "coreutils")

def doubt(head):
    return None

def complaint(end):
    return None
'''
#: Run with the copy of the package that has those files, and nothing else changed.
PROGRAM: Final = r"""
import json
from tests.worlds.shelves import Shelf
from remedy.backups import catalog
from remedy.backups.seals import openssl
from remedy.backups.values import Copy, Database, Keys
from remedy.engine.glance import glance
from remedy.transports.seals import Seals
from remedy.transports.transfers.pipeline import read_backup

turned = b"TURNED" + b"LEDGER\xfforders\n1\n2\n3\n".translate(bytes(range(255, -1, -1)))
here = Copy("local", host="db01", path="/var/backups")
shelf = Shelf(here)
shelf.put("web-2026-11-20.ledger.turned.boxed", b"BOXED\n" + turned, 7, checksum=True)
shelf.put("old.ledger.partaa", b"LEDGER\xfforders", 7)
shelf.put("old.ledger.partab", b"\n9\n", 7)
shelf.put("week/TRAY", b"", 7)
shelf.put("week/orders.rows", b"orders\n4\n", 7)
shelf.put("week/users.rows.turned", b"TURNED" + b"users\n5\n6\n".translate(bytes(range(255, -1, -1))), 7)
shelf.put("week/web.sql", b"", 7)
database = Database("site", "web", "db01", (here,))
said = {"foreign": openssl.doubt(b"\xfe\xffnothing known"), "ledger": openssl.doubt(b"LEDGER\xff\xfe\xff")}
found = {}
for backup in catalog.backups(here, shelf.list()):
    seen = glance(shelf, backup, database)
    pieces = []
    read = lambda: read_backup(lambda _: shelf, database, backup, Seals(str), pieces.append, lambda *_: None)
    judgement = read() if backup.format != "dump" else None
    found[backup.name] = {
        "format": backup.format,
        "files": [file.name for file in backup.files],
        "odd": backup.odd,
        "seen": [seen.sealed, seen.container],
        "rows": [piece.sql.decode() for piece in pieces],
        "tables": [table.name for table in judgement.contents.tables] if judgement else [],
        "read": judgement.contents.facts.tool if judgement else "",
        "level": judgement.level if judgement else "",
        "opened": judgement.container if judgement else "",
        "checksum": backup.checksum.name if backup.checksum else "",
    }
print(json.dumps({"found": found, "foreign": said["foreign"].code, "ledger": said["ledger"]}))
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a remedy with four more files says of a copy that holds such backups."""
    above = tmp_path_factory.mktemp("newcomers")
    package = above / "remedy"
    shutil.copytree(Path(remedy.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in {
        "formats/ledger.py": LEDGER,
        "formats/tray.py": TRAY,
        "containers/turned.py": TURNED,
        "seals/boxed.py": BOXED,
    }.items():
        (package / "backups" / name).write_text(text, encoding="utf-8")
    environ = {**os.environ, "PYTHONPATH": f"{above}:{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environ, cwd=above, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_a_file_in_formats_is_all_for_a_backup_in_one_file(said: dict[str, Any]) -> None:
    """By its suffix alone such a backup is listed, compressed and encrypted in new ways too, and read to its rows."""
    assert said["found"]["web-2026-11-20.ledger"] == {
        "format": "ledger",
        "files": ["web-2026-11-20.ledger.turned.boxed"],
        "odd": "",
        "seen": ["boxed", "turned"],
        "rows": ["1", "2", "3"],
        "tables": ["orders"],
        "read": "web-2026-11-20.ledger",
        "level": "whole",
        "opened": "boxed+turned",
        "checksum": "web-2026-11-20.ledger.turned.boxed.sha256",
    }


def test_its_parts_are_put_together(said: dict[str, Any]) -> None:
    """Sets of parts are one backup of a new format as of any other."""
    split = said["found"]["old.ledger"]
    assert (split["format"], split["files"]) == ("ledger", ["old.ledger.partaa", "old.ledger.partab"])
    assert (split["rows"], split["read"], split["odd"]) == (["9"], "old.ledger", "")


def test_a_file_in_formats_is_all_for_a_backup_in_a_folder(said: dict[str, Any]) -> None:
    """By its own look at a folder such a backup is listed with its files; what else lies there stays what it is."""
    tray = said["found"]["week"]
    assert tray["format"] == "tray"
    assert tray["files"] == ["week/TRAY", "week/orders.rows", "week/users.rows.turned"]
    assert (tray["tables"], tray["rows"]) == (["orders", "users"], ["4", "5", "6"])
    assert (tray["read"], tray["level"]) == ("orders.rows,users.rows", "whole")
    assert said["found"]["web.sql"]["format"] == "dump"


def test_how_a_format_begins_tells_a_right_key(said: dict[str, Any]) -> None:
    """Where nothing but the beginning shows that a passphrase was right, a new format's counts as a known one's."""
    assert (said["foreign"], said["ledger"]) == ("wrong-key", None)
