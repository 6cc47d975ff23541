"""One stream of a restore by itself: no search, no plan, no record. Everything else is what `remedy restore` uses.

    streams.py read INVENTORY DATABASE BACKUP JUDGED        read it to its end, judge it, write what is known of it
    streams.py load INVENTORY DATABASE JUDGED INTO LOGIN CLIENTS    load it into an empty schema by an option file

Prints "steps WALL CPU" in seconds: the stream alone, without start-up and listing.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from remedy.backups import catalog, transfers
from remedy.backups.transfers import Load
from remedy.backups.values import Backup, Judgement
from remedy.cli.options import Common
from remedy.cli.world import World
from remedy.core.canon import canonical, decode, encode

T = TypeVar("T")


def main(argv: list[str]) -> int:
    """Run it; 0 when it did what it should."""
    what, inventory, name, *rest = argv
    world = World(Common(inventory=inventory))
    try:
        return {"read": _read, "load": _load}[what](world, name, rest)
    finally:
        world.close()


def _read(world: World, name: str, rest: list[str]) -> int:
    wanted, out = rest
    database = world.database(name)
    copy = database.copies[0]
    found = catalog.backups(copy, world.shelf(database, copy).list())
    backup = next(one for one in found if any(file.name == wanted for file in one.files))
    reading = world.reading(database)
    world.copies.zone(database)  # asked over a connection of its own, before the clock starts
    judged = _timed(lambda: reading(copy, backup, _quiet))
    Path(out).write_bytes(canonical({"backup": encode(backup), "judgement": encode(judged)}))
    print(judged.level, [finding.text for finding in judged.findings if finding.fatal])
    return 0 if judged.level == "whole" else 1


def _load(world: World, name: str, rest: list[str]) -> int:
    judged, into, login, clients = rest
    database = world.database(name)
    told = json.loads(Path(judged).read_text(encoding="utf-8"))
    backup = decode(Backup, told["backup"], where="backup")
    judgement = decode(Judgement, told["judgement"], where="judgement")
    spec = Load(
        database,
        database.copies[0],
        backup,
        judgement.sha256,
        judgement.contents,
        into,
        login,
        clients=int(clients),
    )
    world.shelf(database, spec.copy).list()
    carry = world.copies.carrier()
    reply = _timed(lambda: carry(transfers.transfer(spec), database.host, _quiet))
    print(reply.err.decode("utf-8", "replace"))
    return reply.status


def _timed(work: Callable[[], T]) -> T:
    wall, cpu = time.monotonic(), time.process_time()
    done = work()
    print(f"steps {time.monotonic() - wall:.6f} {time.process_time() - cpu:.6f}", flush=True)
    return done


def _quiet(_what: str, _done: int, _total: int) -> None:
    """Nobody is told."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
