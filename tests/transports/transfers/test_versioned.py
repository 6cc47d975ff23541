"""Claims about system-versioned tables: loaded and compared with their history, or without it and saying so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from remedy.backups.manifest import decoded
from remedy.backups.transfers import Compare, Load
from remedy.backups.values import Contents
from remedy.core.canon import Json
from remedy.core.errors import ChangeFailed
from remedy.transports.bulk import Bulk
from remedy.transports.folders import FolderShelf
from remedy.transports.guard import CONTROLLER
from remedy.transports.transfers.compare import compare
from remedy.transports.transfers.load import load

from .conftest import Server, backup_of, database, judge, quiet, unsealed
from .test_take import listed, taken

#: With hidden and with named columns of time, with binary ones, without rows that are still there.
VERSIONED = """
CREATE TABLE v (id INT PRIMARY KEY, t VARCHAR(20), b VARBINARY(9)) WITH SYSTEM VERSIONING;
INSERT INTO v VALUES (1, 'a', 0x00FF27), (2, 'b', 'x'), (3, 'c', NULL);
UPDATE v SET t = 'c' WHERE id = 1; DELETE FROM v WHERE id = 2;
CREATE TABLE w (id INT PRIMARY KEY, t VARCHAR(20), s TIMESTAMP(6) GENERATED ALWAYS AS ROW START,
  e TIMESTAMP(6) GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING;
INSERT INTO w (id, t) VALUES (1, 'a'), (2, 'b'); UPDATE w SET t = 'z' WHERE id = 1;
CREATE TABLE gone (id INT PRIMARY KEY, b BLOB) WITH SYSTEM VERSIONING;
INSERT INTO gone VALUES (1, 0x27); DELETE FROM gone;
CREATE TABLE plain (id INT PRIMARY KEY, b BLOB);
INSERT INTO plain VALUES (1, 0x00FF27);
"""


def loaded(
    server: Server, bulk: Bulk, shelf: FolderShelf, *options: str, content: str = VERSIONED
) -> tuple[str, Contents, dict[str, Any]]:
    """A dump of the tables, loaded into another schema: that, what the dump holds, and how it is read again."""
    schema = server.schema(content)
    site = database(server, schema, shelf.copy)
    backup = backup_of(shelf, "dump.sql", server.dump(schema, *options))
    judged = judge(shelf, site, backup)
    assert not [finding for finding in judged.findings if finding.fatal]
    into = server.schema()
    spec = Load(site, shelf.copy, backup, judged.sha256, judged.contents, into, server.login(into))
    load(spec, CONTROLLER, bulk=bulk, shelf=shelf, open_sealed=unsealed, tell=quiet, result={})
    return into, judged.contents, {"copy": shelf.copy, "backup": backup, "shelf": shelf, "database": site}


def compared(server: Server, bulk: Bulk, into: str, contents: Contents, **options: Any) -> dict[str, Json]:  # noqa: ANN401
    """The comparison; the sentence of a failure under "err"."""
    shelf: FolderShelf | None = options.pop("shelf", None)
    site = options.pop("database", None) or database(server, into)
    spec = Compare(site, contents, into, server.option_file, **options)
    result: dict[str, Json] = {}
    try:
        compare(spec, CONTROLLER, bulk=bulk, tell=quiet, result=result, shelf=shelf, open_sealed=unsealed)
    except ChangeFailed as error:
        result["err"] = str(error)
    return result


@pytest.mark.parametrize("hexadecimal", [(), ("--hex-blob",)])
@pytest.mark.parametrize("clients", [1, 2])
def test_with_their_history(
    hexadecimal: tuple[str, ...], clients: int, bulk: Bulk, server: Server, shelf: FolderShelf
) -> None:
    """A dump with history is loaded with it, and is the same however binary columns are written; the backup unread."""
    into, contents, _ = loaded(server, bulk, shelf, *hexadecimal, "--dump-history")
    result = compared(server, bulk, into, contents, clients=clients)
    assert "err" not in result
    assert (result["equal"], result["different"], result["notes"], result["rows"]) == (4, [], [], 4 + 3 + 1 + 1)
    assert server.sql("SELECT COUNT(*) FROM v FOR SYSTEM_TIME ALL", into) == [["4"]]


@pytest.mark.parametrize("hexadecimal", [(), ("--hex-blob",)])
def test_without_their_history(hexadecimal: tuple[str, ...], bulk: Bulk, server: Server, shelf: FolderShelf) -> None:
    """A dump without history is the same by its rows; that a table tells its times, which are new, is a note."""
    into, contents, again = loaded(server, bulk, shelf, *hexadecimal)
    result = compared(server, bulk, into, contents, **again)
    assert "err" not in result
    assert (result["equal"], result["different"]) == (4, [])
    assert result["notes"] == [{"table": "w", "what": "the same rows, in another order or written in another way"}]


#: One row of each table is made another one.
CHANGES = {
    "v": "UPDATE v SET t = 'C' WHERE id = 1",
    "w": "UPDATE w SET t = 'Z' WHERE id = 1",
    "gone": "INSERT INTO gone VALUES (7, 0x00)",
    "plain": "UPDATE plain SET b = 0x00FF28",
}


@pytest.mark.parametrize("history", [(), ("--dump-history",)])
@pytest.mark.parametrize("table", CHANGES)
def test_a_changed_row_is_named(
    history: tuple[str, ...], table: str, bulk: Bulk, server: Server, shelf: FolderShelf
) -> None:
    """Nothing else than the table that was changed is called different, with history and without."""
    into, contents, again = loaded(server, bulk, shelf, *history)
    server.sql(CHANGES[table], into)
    result = compared(server, bulk, into, contents, **again)
    assert f"{table}: rows differ" in str(result["err"])
    assert [one["table"] for one in result["different"]] == [table]  # type: ignore[index,union-attr,call-overload]


#: The history of a table, with other times.
SHIFTED = """
CREATE TEMPORARY TABLE k SELECT {columns}, {start} s, {end} + INTERVAL 1 SECOND e FROM {table} FOR SYSTEM_TIME ALL
 WHERE {end} < NOW(); DELETE HISTORY FROM {table}; SET system_versioning_insert_history = 1;
INSERT INTO {table} ({columns}, {start}, {end}) SELECT * FROM k"""


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("DELETE HISTORY FROM v", "v: rows differ: 2 instead of 4"),
        ("DELETE HISTORY FROM gone", "gone: rows differ: 0 instead of 1"),
        (SHIFTED.format(table="w", columns="id, t", start="s", end="e"), "w: rows differ"),
        (SHIFTED.format(table="v", columns="id, t, b", start="row_start", end="row_end"), "v: rows differ"),
    ],
)
def test_a_changed_history_is_named(change: str, named: str, bulk: Bulk, server: Server, shelf: FolderShelf) -> None:
    """History that is gone, or whose times are other ones, is a difference, also when rows are compared one by one."""
    into, contents, again = loaded(server, bulk, shelf, "--dump-history")
    server.sql(change, into)
    result = compared(server, bulk, into, contents, **again)
    assert named in str(result["err"])
    assert len(result["different"]) == 1  # type: ignore[arg-type]


def test_history_in_another_order(bulk: Bulk, server: Server, shelf: FolderShelf) -> None:
    """Rows with their history that lie in another order are the same rows, which the backup itself has to show."""
    content = (
        "CREATE TABLE m (a INT, b INT) ENGINE=MyISAM WITH SYSTEM VERSIONING; INSERT INTO m VALUES (1, 1), (2, 2);"
        "UPDATE m SET b = 3 WHERE a = 1"
    )
    into, contents, again = loaded(server, bulk, shelf, "--dump-history", content=content)
    server.sql("SET system_versioning_alter_history = KEEP; ALTER TABLE m ORDER BY b, a", into)
    result = compared(server, bulk, into, contents, **again)
    assert "err" not in result
    assert [one["table"] for one in result["notes"]] == ["m"]  # type: ignore[index,union-attr,call-overload]


def test_a_backup_taken_here_has_the_history(bulk: Bulk, server: Server, shelf: FolderShelf) -> None:
    """What `backup take` writes of a versioned table can be restored with its history, and verified afterwards."""
    schema = server.schema(VERSIONED)
    assert "err" not in taken(server, schema, bulk, shelf)
    site = database(server, schema, shelf.copy)
    backup = listed(shelf)
    judged = judge(shelf, site, backup)
    assert (judged.level, judged.findings) == ("whole", ())
    into = server.schema()
    spec = Load(site, shelf.copy, backup, judged.sha256, judged.contents, into, server.login(into))
    load(spec, CONTROLLER, bulk=bulk, shelf=shelf, open_sealed=unsealed, tell=quiet, result={})
    manifest = decoded((Path(shelf.copy.path) / "now.manifest.json").read_bytes())
    for where in (into, schema):
        assert compared(server, bulk, where, manifest.contents)["different"] == []
    every = "SELECT id, t, s, e FROM w FOR SYSTEM_TIME ALL ORDER BY id, s"
    assert server.sql(every, into) == server.sql(every, schema)
