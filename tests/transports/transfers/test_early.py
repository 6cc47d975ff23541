"""Claims about tables that are compared while others still load: seen in time, and never trusted once written to."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pytest

from remedy.backups.transfers import Compare, Load
from remedy.backups.values import File
from remedy.core.canon import Json
from remedy.core.errors import ChangeFailed
from remedy.core.values import Command
from remedy.transports.bulk import Bulk
from remedy.transports.folders import FolderShelf
from remedy.transports.guard import CONTROLLER
from remedy.transports.running import Running
from remedy.transports.transfers.clients import Bulk as Starts
from remedy.transports.transfers.compare import compare
from remedy.transports.transfers.early import Seen, unwritten
from remedy.transports.transfers.load import load

from .conftest import Server, backup_of, database, judge, quiet, unsealed

#: Two tables that are worth a look of their own, and one that comes last.
SITE = """
CREATE TABLE a (id INT PRIMARY KEY, text VARCHAR(200), raw VARBINARY(20));
CREATE TABLE b (n INT, text VARCHAR(200));
CREATE TABLE z (id INT PRIMARY KEY);
INSERT INTO a SELECT seq, REPEAT('王小明', 20), UNHEX('00FF27') FROM seq_1_to_30000;
INSERT INTO b SELECT seq, REPEAT('x', 150) FROM seq_1_to_40000;
INSERT INTO z SELECT seq FROM seq_1_to_1000;
"""


@dataclass
class Counting:
    """Starts what it is asked to, and keeps which tables were dumped."""

    bulk: Bulk
    dumped: list[str] = field(default_factory=list)

    def start(self, command: Command, *, at: str, short: bool = False) -> Running:
        """As Bulk."""
        if "mariadb-dump mysqldump" in command.argv:
            self.dumped += command.argv[command.argv.index("--") + 2 :]
        return self.bulk.start(command, at=at, short=short)


class Pausing(FolderShelf):
    """A copy whose far end takes a breath before the last table."""

    @contextmanager
    def read(self, file: File, *, start: int = 0, length: int = -1) -> Iterator[Iterator[bytes]]:
        """As Shelf."""
        with super().read(file, start=start, length=length) as chunks:
            yield self._slowly(chunks)

    def _slowly(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        text = b"".join(chunks)
        last = text.index(b"Dumping data for table `z`") + 200
        yield text[:last]
        time.sleep(4)
        yield text[last:]


def loaded(
    bulk: Bulk, starts: Starts, server: Server, shelf: FolderShelf, *options: str
) -> tuple[Load, dict[str, Seen]]:
    """A dump loaded from a far end that pauses, and what was seen meanwhile."""
    schema = server.schema(SITE)
    site = database(server, schema, shelf.copy)
    backup = backup_of(shelf, "dump.sql", server.dump(schema, *options))
    judged = judge(shelf, site, backup)
    into = server.schema()
    spec = Load(site, shelf.copy, backup, judged.sha256, judged.contents, into, server.login(into))
    slow = Pausing(shelf.copy, bulk)
    return spec, load(spec, CONTROLLER, bulk=starts, shelf=slow, open_sealed=unsealed, tell=quiet, result={})


def compared(spec: Load, starts: Starts, seen: dict[str, Seen]) -> dict[str, Json]:
    """The comparison that follows; the sentence of a failure under "err"."""
    result: dict[str, Json] = {}
    wanted = Compare(spec.database, spec.contents, spec.into, spec.login)
    try:
        compare(wanted, CONTROLLER, bulk=starts, tell=quiet, result=result, seen=seen)
    except ChangeFailed as error:
        result["err"] = str(error)
    return result


@pytest.mark.parametrize("options", [(), ("--hex-blob",)])
def test_what_is_whole_is_not_dumped_again_afterwards(
    options: tuple[str, ...], bulk: Bulk, server: Server, shelf: FolderShelf
) -> None:
    """However the backup writes binary columns, tables seen while others load are settled before the comparison."""
    counting = Counting(bulk)
    spec, seen = loaded(bulk, counting, server, shelf, *options)
    assert {"a", "b"} <= set(counting.dumped)
    assert {"a", "b"} <= seen.keys()
    counting.dumped.clear()
    result = compared(spec, counting, seen)
    assert not {"a", "b"} & set(counting.dumped)
    assert (result["equal"], result["rows"], result["checked"], result["different"]) == (3, 71000, 3, [])


def test_what_was_written_to_since_is_looked_at_again(bulk: Bulk, server: Server, shelf: FolderShelf) -> None:
    """A row that goes away after its table was seen is missed, however early that was."""
    spec, seen = loaded(bulk, bulk, server, shelf)
    server.sql("DELETE FROM a WHERE id = 7", spec.into)
    wanted: Json = [{"table": "a", "what": "rows differ: 29999 instead of 30000"}]
    assert compared(spec, bulk, seen)["different"] == wanted


def test_what_was_seen_of_another_backup_settles_nothing(bulk: Bulk, server: Server, shelf: FolderShelf) -> None:
    """A table is settled by what was seen only if its rows are those that are compared with."""
    spec, seen = loaded(bulk, bulk, server, shelf)
    tables = tuple(replace(one, rows="0" * 64) if one.name == "b" else one for one in spec.contents.tables)
    other = replace(spec, contents=replace(spec.contents, tables=tables))
    wanted: Json = [{"table": "b", "what": "rows differ"}]
    assert compared(other, bulk, seen)["different"] == wanted


def test_a_table_that_no_longer_says_when_it_was_written_is_looked_at_again() -> None:
    """A server that has forgotten it (or whose table is gone) has not said that nothing was written."""
    one = Seen(found=None, server="10.11", way=0, written="1000")  # type: ignore[arg-type]
    seen = {"a": one, "b": one, "c": one, "d": one}
    rows = [("a", "1000", "1009"), ("b", "NULL", "1009"), ("c", "1001", "1009")]
    assert unwritten(seen, rows) == {"a": one}
