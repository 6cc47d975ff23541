"""Claims about comparing: what is the same is called the same, and every kind of difference is named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from remedy.backups.transfers import Compare
from remedy.backups.values import Contents
from remedy.core.canon import Json
from remedy.core.errors import AnswerUnusable, ChangeFailed, Interrupted
from remedy.core.ports import Tell
from remedy.transports.bulk import Bulk
from remedy.transports.folders import FolderShelf
from remedy.transports.guard import CONTROLLER
from remedy.transports.transfers.compare import checked, compare

from .conftest import OBJECTS, SITE, Server, backup_of, database, judge, quiet, unsealed


def contents_of(server: Server, shelf: FolderShelf, schema: str, *options: str) -> Contents:
    """What a dump of the schema holds."""
    dump = backup_of(shelf, f"{schema}.sql", server.dump(schema, *options))
    return judge(shelf, database(server, schema, shelf.copy), dump).contents


def carried(server: Server, bulk: Bulk, schema: str, contents: Contents, **options: Any) -> dict[str, Json]:  # noqa: ANN401
    """The comparison of `schema` with contents; the sentence of a failure under "err"."""
    tell: Tell = options.pop("tell", quiet)
    shelf: FolderShelf | None = options.pop("shelf", None)
    spec = Compare(database(server, schema), contents, schema, server.option_file, **options)
    result: dict[str, Json] = {}
    try:
        compare(spec, CONTROLLER, bulk=bulk, tell=tell, result=result, shelf=shelf, open_sealed=unsealed)
    except ChangeFailed as error:
        result["err"] = str(error)
    return result


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--hex-blob",),
        ("--skip-extended-insert",),
        ("--net-buffer-length=8192",),
        ("--complete-insert",),
        ("--skip-add-locks", "--skip-disable-keys"),
        ("--default-character-set=binary",),
        ("--skip-opt", "--create-options", "--quick"),
    ],
)
def test_the_same_is_the_same_however_it_was_dumped(
    options: tuple[str, ...], bulk: Bulk, server: Server, shelf: FolderShelf
) -> None:
    """Whatever options a dump was made with, the schema it came from is equal to it."""
    schema = server.schema(SITE)
    result = carried(server, bulk, schema, contents_of(server, shelf, schema, *options))
    assert "err" not in result
    assert (result["tables"], result["equal"], result["checked"], result["different"]) == (8, 8, 8, [])


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("UPDATE orders SET total = total + 0.01 WHERE id = 17", [{"table": "orders", "what": "rows differ"}]),
        ("DELETE FROM visit LIMIT 1", [{"table": "visit", "what": "rows differ: 4009 instead of 4010"}]),
        ("UPDATE customer SET name = '?' WHERE id = 3", [{"table": "customer", "what": "rows differ"}]),
        ("DROP TABLE nothing", [{"table": "nothing", "what": "it was not loaded"}]),
        ("CREATE TABLE more (a INT)", [{"table": "more", "what": "it is not in the backup"}]),
        ("ALTER TABLE nothing COMMENT 'x'", [{"table": "nothing", "what": "definition differs"}]),
        ("UPDATE file SET body = CONCAT(body, 0x00) WHERE id = 9", [{"table": "file", "what": "rows differ"}]),
    ],
)
def test_a_difference_is_named(
    change: str, named: list[dict[str, str]], bulk: Bulk, server: Server, shelf: FolderShelf
) -> None:
    """One changed row, one missing, a table too few or too many, another definition: the table and what of it."""
    schema = server.schema(SITE)
    contents = contents_of(server, shelf, schema)
    server.sql(change, schema)
    result = carried(server, bulk, schema, contents)
    assert result["different"] == named
    assert f"{named[0]['table']}: {named[0]['what']}" in str(result["err"])
    accepted = carried(server, bulk, schema, contents, accepted=(named[0]["table"],))
    assert "err" not in accepted
    assert accepted["different"] == named


@pytest.mark.parametrize("change", ["ALTER TABLE old ORDER BY a DESC", "ALTER TABLE visit ORDER BY n, path"])
def test_the_same_rows_in_another_order_are_noted_when_the_backup_is_at_hand(
    change: str, bulk: Bulk, server: Server, shelf: FolderShelf
) -> None:
    """Rows that lie in another order have another text: without the backup they differ, with it they are a note."""
    schema = server.schema(SITE.replace("5001 - seq", "seq"))
    site = database(server, schema, shelf.copy)
    backup = backup_of(shelf, f"{schema}.sql", server.dump(schema))
    contents = judge(shelf, site, backup).contents
    table = change.split()[2]
    server.sql(change, schema)
    assert f"{table}: rows differ" in str(carried(server, bulk, schema, contents)["err"])
    again = {"copy": shelf.copy, "backup": backup, "shelf": shelf}
    result = carried(server, bulk, schema, contents, **again)
    assert "err" not in result
    assert result["equal"] == 8
    assert result["notes"] == [
        {"table": table, "what": "the same rows, in another order or written in another way"},
    ]
    server.sql(f"UPDATE {table} SET {'t' if table == 'old' else 'path'} = 'x' LIMIT 1", schema)
    assert f"{table}: rows differ" in str(carried(server, bulk, schema, contents, **again)["err"])


def test_the_next_number_of_a_key_is_no_difference(bulk: Bulk, server: Server, shelf: FolderShelf) -> None:
    """AUTO_INCREMENT as it stands is not compared."""
    schema = server.schema(SITE)
    contents = contents_of(server, shelf, schema)
    server.sql("ALTER TABLE customer AUTO_INCREMENT = 99999", schema)
    assert "err" not in carried(server, bulk, schema, contents)


def test_another_servers_way_to_write_a_definition_is_noted(bulk: Bulk, server: Server, shelf: FolderShelf) -> None:
    """With a backup of another version a definition alone is a note, rows never are."""
    schema = server.schema(SITE)
    contents = contents_of(server, shelf, schema)
    older = replace(contents, facts=replace(contents.facts, server="5.7.44-log"))
    server.sql("ALTER TABLE nothing COMMENT 'x'", schema)
    result = carried(server, bulk, schema, older)
    assert "err" not in result
    assert [note["table"] for note in result["notes"]] == ["nothing"]  # type: ignore[index, union-attr, call-overload]
    server.sql("INSERT INTO nothing VALUES (1)", schema)
    assert "nothing: rows differ: 1 instead of 0" in str(carried(server, bulk, schema, older)["err"])


def test_objects_are_compared_when_asked(bulk: Bulk, server: Server, shelf: FolderShelf) -> None:
    """Views, triggers, routines and events: equal, changed, gone."""
    schema = server.schema(SITE + OBJECTS)
    contents = contents_of(server, shelf, schema, "--routines", "--events")
    assert "err" not in carried(server, bulk, schema, contents, objects=True)
    server.sql("ALTER VIEW above AS SELECT * FROM totals WHERE total > 101; DROP FUNCTION tax", schema)
    result = carried(server, bulk, schema, contents, objects=True)
    assert result["different"] == [
        {"table": "function tax", "what": "it was not loaded"},
        {"table": "view above", "what": "definition differs"},
    ]
    assert "err" not in carried(server, bulk, schema, contents)


def test_a_damaged_table_is_found(bulk: Bulk, own_server: Server, shelf: FolderShelf) -> None:
    """CHECK TABLE's complaint fails the comparison although the rows read equal."""
    schema = own_server.schema("CREATE TABLE t (a INT PRIMARY KEY, b INT, KEY (b)) ENGINE=MyISAM")
    own_server.sql("INSERT INTO t SELECT seq, 1000 - seq FROM seq_1_to_1000", schema)
    contents = contents_of(own_server, shelf, schema)
    own_server.sql("FLUSH TABLES")
    index = own_server.folder / "data" / schema / "t.MYI"
    data = bytearray(index.read_bytes())
    data[3000:3040] = bytes(40)
    index.write_bytes(bytes(data))
    result = carried(own_server, bulk, schema, contents)
    assert result["equal"] == 1
    assert "t: CHECK TABLE says: " in str(result["err"])


def test_a_server_that_dies_and_ctrl_c(bulk: Bulk, own_server: Server, shelf: FolderShelf) -> None:
    """Both end it at once, with a sentence or with what `tell` raised; no client stays."""
    schema = own_server.schema(SITE)
    contents = contents_of(own_server, shelf, schema)

    def interrupt(*_: object) -> None:
        raise Interrupted("Ctrl-C")

    with pytest.raises(Interrupted):
        carried(own_server, bulk, schema, contents, tell=interrupt)
    assert own_server.clients(patience=5) == []
    own_server.stop(9)
    assert "is the database server running?" in str(carried(own_server, bulk, schema, contents)["err"])
    own_server.start()


OK = ("s.a", "check", "status", "OK")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([OK, ("s.b", "check", "status", "OK")], ["", ""]),
        ([OK, ("s.b", "check", "note", "The storage engine for the table doesn't support check")], ["", ""]),
        ([OK, ("s.b", "check", "error", "Corrupt"), ("s.b", "check", "status", "OK")], ["", "error: Corrupt"]),
        ([OK, ("s.b", "check", "warning", "x"), ("s.b", "check", "error", "y")], ["", "warning: x"]),
        ([OK, ("s.b", "check", "status", "Table is already up to date")], ["", "status: Table is already up to date"]),
        ([OK, ("s.b", "check", "Error", "\x1b[2J")], ["", "Error: \\x1b[2J"]),
    ],
)
def test_what_check_table_says(rows: list[tuple[str, ...]], said: list[str]) -> None:
    """Anything but OK is a complaint, the first of each table, safe to show."""
    assert checked(rows, 2) == said


@pytest.mark.parametrize("rows", [[], [OK], [OK, ("s.b",)], [OK, OK, ("s.b", "", "", ""), ("s.c", "", "", "")]])
def test_an_answer_for_other_tables_is_none(rows: list[tuple[str, ...]]) -> None:
    """One answer for each table asked, or none counts."""
    with pytest.raises(AnswerUnusable):
        checked(rows, 2)
