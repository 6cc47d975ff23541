"""Claims about taking a backup: what is taken can be restored, and what is not whole is nowhere."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from remedy.backups.manifest import decoded
from remedy.backups.transfers import Load, Take
from remedy.backups.values import Backup, Copy, Database, File
from remedy.core.canon import Json
from remedy.core.errors import ChangeFailed, ConnectionLost, Interrupted, RemedyError
from remedy.core.ports import Tell
from remedy.core.values import Command
from remedy.transports.bulk import Bulk
from remedy.transports.folders import FolderShelf
from remedy.transports.guard import CONTROLLER
from remedy.transports.transfers import clients
from remedy.transports.transfers.load import load
from remedy.transports.transfers.take import take

from .conftest import OBJECTS, SITE, Server, database, folder, judge, quiet, unsealed, wait_for

NOW = 1_795_154_400
#: More than all queues and pipes hold, also when compressed.
LARGE = """
CREATE TABLE t (a INT PRIMARY KEY, b TEXT);
INSERT INTO t SELECT seq, HEX(RANDOM_BYTES(1000)) FROM seq_1_to_24000;
"""


def taken(
    server: Server, schema: str, bulk: clients.Bulk, *stores: FolderShelf, tell: Tell = quiet, name: str = "now"
) -> dict[str, Json]:
    """What came of a backup; the sentence of a failure under "err"."""
    copies = {store.copy.name: store for store in stores}
    spec = Take(database(server, schema), tuple(store.copy for store in stores), name, "a test")
    result: dict[str, Json] = {}

    def opened(_: Database, copy: Copy) -> FolderShelf:
        return copies[copy.name]

    try:
        take(spec, CONTROLLER, bulk=bulk, stores=opened, tell=tell, result=result, now=lambda: NOW + 0.7)
    except Interrupted:
        raise
    except RemedyError as error:
        result["err"] = str(error)
    return result


def within(store: FolderShelf) -> list[str]:
    """All that lies in a copy, unfinished files too."""
    return sorted(path.name for path in Path(store.copy.path).iterdir())


def listed(store: FolderShelf, name: str = "now") -> Backup:
    """A backup with what lies beside it."""
    files = {file.name: file for file in store.list()}
    beside = (files[f"{name}.sql.zst.sha256"], files[f"{name}.manifest.json"])
    return Backup(name, store.copy.name, "dump", (files[f"{name}.sql.zst"],), *beside)


@pytest.fixture
def far(bulk: Bulk, tmp_path: Path) -> FolderShelf:
    """Another copy."""
    return folder(bulk, tmp_path / "far")


def test_what_is_taken_is_whole_in_every_copy(bulk: Bulk, server: Server, shelf: FolderShelf, far: FolderShelf) -> None:
    """Read back, each copy's backup is whole and checked, its time and its contents are those of the manifest."""
    schema = server.schema(SITE + OBJECTS)
    result = taken(server, schema, bulk, shelf, far)
    assert "err" not in result
    assert result["copies"] == {"near": "verified", "far": "verified"}
    assert (result["tables"], result["time"]) == (8, NOW)
    for store in (shelf, far):
        found = judge(store, database(server, schema, store.copy), listed(store))
        assert (found.level, found.findings, found.container) == ("whole", (), "zst")
        assert (found.sha256, found.size, found.read) == (result["sha256"], result["size"], result["read"])
        manifest = decoded((Path(store.copy.path) / "now.manifest.json").read_bytes())
        assert found.contents.facts.time == manifest.time == NOW
        assert manifest.contents.tables == found.contents.tables
        assert manifest.binlog.startswith("bin.0")
        assert (manifest.database, manifest.schema, manifest.host) == ("site", schema, CONTROLLER)
        assert {item.kind for item in manifest.contents.objects} >= {
            "view",
            "trigger",
            "procedure",
            "function",
            "event",
        }
        assert all(not item.sql for item in manifest.contents.objects)


def test_what_is_taken_can_be_loaded(bulk: Bulk, server: Server, shelf: FolderShelf) -> None:
    """A backup taken here loads into an empty schema and is then the same."""
    schema = server.schema(SITE)
    taken(server, schema, bulk, shelf)
    site, backup = database(server, schema, shelf.copy), listed(shelf)
    judged = judge(shelf, site, backup)
    into = server.schema()
    spec = Load(site, shelf.copy, backup, judged.sha256, judged.contents, into, server.login(into))
    load(spec, CONTROLLER, bulk=bulk, shelf=shelf, open_sealed=unsealed, tell=quiet, result={})
    for table in ("visit", "customer"):  # FLOAT is lossy in dumps
        asked = f"CHECKSUM TABLE {table}"
        assert server.sql(asked, into)[0][1] == server.sql(asked, schema)[0][1]


def test_a_broken_view_is_named_and_nothing_is_written(bulk: Bulk, server: Server, shelf: FolderShelf) -> None:
    """A view whose table is gone ends the dump half-way: it is named, and no copy has a file."""
    schema = server.schema(SITE + OBJECTS)
    server.sql("CREATE VIEW aaa AS SELECT * FROM nothing; DROP TABLE nothing", schema)
    result = taken(server, schema, bulk, shelf)
    assert "aaa cannot be opened" in str(result["err"])
    assert within(shelf) == []


def test_a_view_without_its_definer_is_no_hindrance(bulk: Bulk, server: Server, shelf: FolderShelf) -> None:
    """A view of an account that is gone does not end the dump, as it would with LOCK TABLES."""
    schema = server.schema(SITE)
    server.sql("CREATE DEFINER=gone@'%' VIEW ghost AS SELECT * FROM orders", schema)
    assert taken(server, schema, bulk, shelf)["copies"] == {"near": "verified"}


def test_a_server_that_is_killed_leaves_nothing(bulk: Bulk, own_server: Server, shelf: FolderShelf) -> None:
    """Killed in the middle of the dump: the failure says so, and no copy has a file."""
    schema = own_server.schema(LARGE)

    class Killing(FolderShelf):
        """Kills the server once data has come."""

        def write(self, name: str, chunks: Iterable[bytes]) -> File:
            """As the port."""

            def passed() -> Iterator[bytes]:
                for chunk in chunks:
                    own_server.stop(9)
                    yield chunk

            return super().write(name, passed())

    result = taken(own_server, schema, bulk, Killing(shelf.copy, bulk))
    assert "Lost connection" in str(result["err"]) or "gone away" in str(result["err"])
    assert within(shelf) == []
    own_server.start()


def test_a_table_missing_from_the_dump_is_noticed(bulk: Bulk, server: Server, shelf: FolderShelf) -> None:
    """A dump that ends well without one of the tables is no backup."""
    schema = server.schema(SITE)

    class Forgetful:
        """Starts programs; a dump leaves out a table, as one by a limited account would."""

        def start(self, command: Command, *, at: str, short: bool = False) -> clients.Running:
            """As transports.bulk."""
            if "--single-transaction" in command.argv:
                at_options = command.argv.index("--single-transaction")
                argv = (*command.argv[:at_options], f"--ignore-table={schema}.orders", *command.argv[at_options:])
                command = replace(command, argv=argv)
            return bulk.start(command, at=at, short=short)

    result = taken(server, schema, Forgetful(), shelf)
    assert "1 tables or views are not in the dump: orders" in str(result["err"])
    assert within(shelf) == []


def test_fewer_than_all_copies_is_a_failure_that_says_which(
    bulk: Bulk, server: Server, shelf: FolderShelf, far: FolderShelf
) -> None:
    """One copy that breaks, one that is full: the others have it, the status says where it is."""

    class Breaking(FolderShelf):
        """Its connection breaks."""

        def write(self, name: str, chunks: Iterable[bytes]) -> File:
            """As the port."""
            next(iter(chunks))
            raise ConnectionLost(f"no way to store {name}", where="store02")

    schema = server.schema(SITE)
    result = taken(server, schema, bulk, shelf, Breaking(far.copy, bulk))
    assert result["copies"] == {"near": "verified", "far": "failed: store02: no way to store now.sql.zst"}
    assert "is verified in near alone: far failed" in str(result["err"])
    assert within(far) == []
    again = taken(server, schema, bulk, Breaking(far.copy, bulk), name="again")
    # Whether the dump had already ended when the copy broke decides in which words.
    assert "no copy takes the backup" in str(again["err"]) or "is in no copy" in str(again["err"])


def test_ctrl_c_leaves_no_file_and_no_client(bulk: Bulk, server: Server, shelf: FolderShelf) -> None:
    """What `tell` raises in the middle of a dump comes out, and nothing of the backup is anywhere."""
    schema = server.schema(LARGE)
    before = threading.active_count()

    def tell(what: str, done: int, _: int) -> None:
        if what == "dump" and done:
            raise Interrupted("Ctrl-C")

    with pytest.raises(Interrupted):
        taken(server, schema, bulk, shelf, tell=tell)
    assert within(shelf) == []
    wait_for(lambda: not server.clients())
    wait_for(lambda: threading.active_count() <= before)


def test_a_dump_that_does_not_begin_is_said(bulk: Bulk, server: Server, shelf: FolderShelf) -> None:
    """mariadb-dump's own words when it cannot even start, though its status alone would tell."""
    schema = server.schema(SITE)

    class Mistaken:
        """Starts programs; a dump gets an option that there is not."""

        def start(self, command: Command, *, at: str, short: bool = False) -> clients.Running:
            """As transports.bulk."""
            argv = tuple("--no-such-option" if word == "--hex-blob" else word for word in command.argv)
            return bulk.start(replace(command, argv=argv), at=at, short=short)

    result = taken(server, schema, Mistaken(), shelf)
    assert "mariadb-dump: unknown option '--no-such-option'" in str(result["err"])
    assert within(shelf) == []


def test_a_schema_that_is_not_there_is_said(bulk: Bulk, server: Server, shelf: FolderShelf) -> None:
    """Asking fails before anything is opened."""
    result = taken(server, "no_such_schema", bulk, shelf)
    assert "ERROR 1049" in str(result["err"])
    assert within(shelf) == []


@pytest.mark.parametrize("name", ["", "../x", "a/b", "-x", ".hidden", "x\n", "a" * 300])
def test_a_name_that_is_none_is_refused(name: str, bulk: Bulk, server: Server, shelf: FolderShelf) -> None:
    """The name of a backup is a plain file name."""
    with pytest.raises(ChangeFailed, match="cannot be called"):
        take(
            Take(database(server, "web"), (shelf.copy,), name),
            CONTROLLER,
            bulk=bulk,
            stores=lambda _, __: shelf,
            tell=quiet,
            result={},
        )
