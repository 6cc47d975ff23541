"""What somebody could do to a record who may write to its file, and perhaps has its key."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

from remedy.record import checkpoints
from remedy.record.chain import COLUMNS, ZERO, Link
from remedy.record.merkle import Frontier


def tamper_with(path: Path, *statements: str, keep_triggers: bool = True) -> None:
    """Drop the triggers, run statements, put the triggers back."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        triggers = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            db.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            db.execute(statement)
        for _, sql in triggers if keep_triggers else []:
            db.execute(sql)


def rebuild(path: Path) -> None:
    """Compute every hash anew, as somebody would who wants his change to go unseen."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        links = [Link(*row) for row in db.execute(f"SELECT {COLUMNS} FROM entry ORDER BY seq")]
        tree, prev = Frontier(), ZERO
        triggers = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            db.execute(f"DROP TRIGGER {name}")
        db.execute("DELETE FROM entry")
        for seq, link in enumerate(links, 1):
            fresh = replace(link, seq=seq, prev=prev, body_sha256=hashlib.sha256(link.content()).hexdigest())
            prev = fresh.computed()
            tree = tree.add(bytes.fromhex(prev))
            values = [getattr(replace(fresh, hash=prev), name) for name in COLUMNS.split(", ")]
            db.execute("INSERT INTO entry VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", values)
        db.execute("UPDATE frontier SET size = ?, nodes = ?", (tree.size, tree.pack()))
        for _, sql in triggers:
            db.execute(sql)


def forget_signatures(path: Path, *, after: int = 0) -> None:
    """Remove every checkpoint above a number, from the database and from the folder beside it."""
    tamper_with(path, f"DELETE FROM checkpoint WHERE number > {after}")
    for number in checkpoints.file_numbers(path):
        if number > after:
            for suffix in ("", ".sig"):
                (checkpoints.folder(path) / f"{number:08d}.txt{suffix}").unlink()
    shutil.rmtree(path.with_name(f"{path.name}.offsite"), ignore_errors=True)
