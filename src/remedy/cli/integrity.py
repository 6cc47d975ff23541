"""`remedy verify`, carried out: find a manifest, compare, count what refers to nothing, record and show.

Decides which manifest is believed: the newest there is, and where copies have different ones of the same backup, that
of most of them; that they differ is told. Leaves to others: the comparison (transports.transfers.compare), the
questions (probes.integrity).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, cast

from remedy.backups import manifest as manifests
from remedy.backups import rights, transfers
from remedy.backups.manifest import Manifest
from remedy.backups.ports import Damaged
from remedy.backups.values import Backup, Database
from remedy.cli import choice, document
from remedy.cli.progress import Pace
from remedy.cli.screen import Screen
from remedy.cli.world import World
from remedy.core.canon import Json
from remedy.core.errors import Partial, RemedyError, UsageError
from remedy.engine import search
from remedy.engine.job import Event
from remedy.engine.search import Listing
from remedy.probes import integrity

_DIFFERS: Final = 22
_SHOWN: Final = 20
#: What a comparison after loading says, in the words of one with a live database.
_WORDS: Final = {"it was not loaded": "is gone", "it is not in the backup": "is new"}


def newest(world: World, screen: Screen, found: Listing, against: str = "") -> tuple[Manifest, list[str]]:
    """The newest manifest (or that of backup `against`), and which copies have this very one. Raises UsageError."""
    database = found.database
    read: dict[tuple[str, bytes], tuple[Manifest, list[str]]] = {}
    for backup in found.backups:
        called = backup.name.removesuffix(".sql")
        if backup.manifest is None or (against and called != against.removesuffix(".sql")):
            continue
        try:
            data = _bytes(world, database, backup)
            made = manifests.decoded(data)
        except RemedyError as error:
            screen.error(f"{backup.name} of {backup.copy}", error)
            continue
        if made.schema == database.schema:
            read.setdefault((backup.name, data), (made, []))[1].append(backup.copy)
    if not read:
        raise UsageError(
            f"no copy of {database.name} holds a manifest" + (f" of {against}" if against else ""),
            hint=f"`remedy backup take {database.name}` writes one; `remedy backup list` shows what there is",
        )
    (name, data), (manifest, copies) = max(read.items(), key=lambda one: (one[1][0].time, len(one[1][1])))
    for (other, text), (_, where) in read.items():
        if other == name and text != data:
            screen.say(f"  {name}: {', '.join(where)} has another manifest of it than {', '.join(copies)}", "yellow")
    return manifest, copies


def _bytes(world: World, database: Database, backup: Backup) -> bytes:
    if backup.manifest is None or backup.manifest.size > manifests.LARGEST:
        raise Damaged("manifest", "the manifest is too large to be one")
    with world.copies.shelf(search.copy_of(database, backup.copy)).read(backup.manifest) as chunks:
        return b"".join(chunks)


@dataclass(slots=True)
class Verifying:
    """One `remedy verify`."""

    world: World
    screen: Screen
    database: Database

    def run(self, against: str) -> int:
        """Compare and show. Raises UsageError without a manifest, Unreachable, Partial when it cannot be compared."""
        self.screen.say(f"  … listing every copy of {self.database.name}", "dim", talk=True)
        found = search.listing(self.database, self.world.copies.shelf, self.world.record)
        manifest, copies = newest(self.world, self.screen, found, against)
        self.screen.say(
            f"{self.database.name} against {manifest.label or 'a backup'} of {choice.stamp(manifest.time)}, "
            f"whose manifest is in {', '.join(copies)}"
        )
        compared = self._compared(manifest)
        rows = compared.get("different", [])
        different = [f"{_named(row['table'])}: {_WORDS.get(row['what'], row['what'])}" for row in rows]
        different += self._rights(manifest)
        held, passed_over = self._held(manifest)
        different += held
        orphans = self._orphans()
        for line in (*different[:_SHOWN], *orphans):
            self.screen.say(f"  ≠ {line}", "yellow")
        if len(different) > _SHOWN:
            self.screen.say(f"  … and {len(different) - _SHOWN} more (--json names all)", "yellow")
        equal = not different and not orphans
        if passed_over:
            self.screen.say(f"  {rights.not_compared(passed_over)}", "dim")
        tables = len(manifest.contents.tables)
        if equal:
            self.screen.say(f"✓ {tables} tables and all definitions are as the manifest says; CHECK TABLE OK", "green")
        else:
            self.screen.say(
                f"{len(different)} differences, {len(orphans)} foreign keys with rows that refer to nothing"
            )
        body: dict[str, Json] = {"database": self.database.name, "against": manifest.sha256, "time": manifest.time}
        body |= {"copies": [*copies], "tables": tables, "different": [*different], "orphans": [*orphans]}
        body["not_compared"] = [*passed_over]
        body |= {"equal": equal, "exit_code": 0 if equal else _DIFFERS}
        self.world.record.append("integrity", body, incident=self.world.under())
        if self.world.options.json or self.world.options.jsonl:
            document.emit({"command": "verify", "incident": self.world.under(), **body}, self.world.redact)
        return 0 if equal else _DIFFERS

    def _compared(self, manifest: Manifest) -> dict[str, Any]:
        """What the comparison came to. Raises Partial when it could not be made."""
        pace = Pace()

        def tell(what: str, done: int, total: int) -> None:
            event = Event(self.database.name, "progress", what, done=done, total=total)
            if not self.world.options.jsonl:
                self.screen.event(event)
            elif pace.due(event):
                document.emit(document.of_event(event), self.world.redact)

        schema, login = self.database.schema, self.database.defaults_file
        spec = transfers.Compare(self.database, manifest.contents, schema, login, objects=True)
        reply = self.world.copies.carrier()(transfers.transfer(spec), self.database.host, tell)
        self.screen.rest(self.database.name)
        result = cast("dict[str, Any]", json.loads(reply.out or b"{}"))
        if reply.status and not result.get("different"):
            raise Partial(reply.err.decode("utf-8", "replace"), where=self.database.host)
        return result

    def _rights(self, manifest: Manifest) -> list[str]:
        """Who may do more, or less, than when the manifest was written."""
        if not manifest.rights:
            return []
        asked = integrity.rights(self.database.defaults_file, self.database.schema)
        now = set(cast("list[str]", self.world.reader.ask([asked], at=self.database.host)[0]))
        before = set(manifest.rights)
        return [f"right gone: {one}" for one in sorted(before - now)] + [
            f"right new: {one}" for one in sorted(now - before)
        ]

    def _held(self, manifest: Manifest) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Rights on routines, roles and proxies: what differs, and what could not be compared."""
        asked = integrity.held(self.database.defaults_file, self.database.schema)
        now = cast("dict[str, list[str]]", self.world.reader.ask([asked], at=self.database.host)[0])
        return rights.differences(manifest.held, rights.of(now))

    def _orphans(self) -> list[str]:
        """The foreign keys with rows that refer to nothing, in words."""
        reader, file, schema = self.world.reader, self.database.defaults_file, self.database.schema
        keys = cast("list[dict[str, Any]]", reader.ask([integrity.keys(file, schema)], at=self.database.host)[0])
        if not keys:
            return []
        present = cast("list[int]", reader.ask([integrity.there(file, keys)], at=self.database.host)[0])
        asked = integrity.orphans(file, schema, keys, present)
        counts = cast("list[int]", reader.ask([asked], at=self.database.host)[0])
        if not len(present) == len(counts) == len(keys):
            raise Partial("not every foreign key could be looked at", where=self.database.host)
        gone = {True: "", False: ", which is gone"}
        return [
            f"{count} rows of {key['table']} refer to nothing in {key['to'][1]}{gone[bool(known)]} "
            f"(foreign key {key['name']})"
            for key, known, count in zip(keys, present, counts, strict=True)
            if count
        ]


def _named(what: str) -> str:
    """Tables are called by their bare name, everything else with its kind."""
    return what if " " in what else f"table {what}"
