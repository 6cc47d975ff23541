"""Claims about loading: everything arrives, nothing else does, and whatever goes wrong is said in one sentence."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remedy.backups.ports import Shelf
from remedy.backups.transfers import Load
from remedy.backups.values import File
from remedy.core.canon import Json
from remedy.core.errors import ChangeFailed, ConnectionLost, Interrupted, Refused, RemedyError, Unreachable
from remedy.core.ports import Tell
from remedy.core.values import Command
from remedy.transports.bulk import Bulk
from remedy.transports.folders import FolderShelf
from remedy.transports.guard import CONTROLLER
from remedy.transports.running import Running
from remedy.transports.transfers import clients
from remedy.transports.transfers.load import load

from .conftest import OBJECTS, SITE, Server, backup_of, database, judge, quiet, unsealed, wait_for

#: Many short statements instead of a few long ones, so that both clients get some.
SHORT = "--net-buffer-length=8192"


def planned(server: Server, shelf: FolderShelf, dump: bytes, schema: str, **options: Any) -> Load:  # noqa: ANN401
    """Load this dump of `schema` into a new empty schema, by an account that may touch nothing else."""
    site = database(server, schema, shelf.copy)
    backup = backup_of(shelf, "dump.sql.gz", gzip.compress(dump, 1))
    judged = judge(shelf, site, backup)
    into = server.schema()
    spec = Load(site, shelf.copy, backup, judged.sha256, judged.contents, into, server.login(into))
    return replace(spec, **options)


def carried(spec: Load, bulk: clients.Bulk, shelf: Shelf, tell: Tell = quiet) -> dict[str, Json]:
    """What came of it."""
    result: dict[str, Json] = {}
    load(spec, CONTROLLER, bulk=bulk, shelf=shelf, open_sealed=unsealed, tell=tell, result=result)
    return result


@pytest.mark.parametrize("number", [1, 2, 4])
def test_everything_arrives(number: int, bulk: Bulk, server: Server, shelf: FolderShelf) -> None:
    """Tables, keys, rows in order, generated columns, sequences: a dump of what was loaded is the dump it came from."""
    schema = server.schema(SITE + OBJECTS)
    dump = server.dump(schema, SHORT)
    spec = planned(server, shelf, dump, schema, clients=number)
    result = carried(spec, bulk, shelf)
    assert lines(server.dump(spec.into, SHORT, "--skip-triggers")) == lines(tables_of(server, schema))
    assert result["sha256"] == spec.sha256
    assert result["read"] == len(dump)
    assert result["tables"] == 8
    assert server.sql(
        "SELECT COUNT(*) FROM information_schema.triggers WHERE trigger_schema = DATABASE()", spec.into
    ) == [["0"]]


def tables_of(server: Server, schema: str) -> bytes:
    """A dump without views and triggers."""
    views = [f"--ignore-table={schema}.{name}" for name in ("totals", "above")]
    return server.dump(schema, SHORT, "--skip-triggers", *views)


def lines(dump: bytes) -> list[bytes]:
    """Without what differs each time."""
    return [line for line in dump.splitlines() if not line.startswith(b"-- ")]


def test_objects_come_with_it_into_an_isolated_instance(bulk: Bulk, server: Server, shelf: FolderShelf) -> None:
    """Asked to, views, triggers, routines and events are made after the rows, with their own definers."""
    schema = server.schema(SITE + OBJECTS)
    dump = server.dump(schema, SHORT, "--routines", "--events")
    spec = planned(server, shelf, dump, schema, objects=True)
    carried(spec, bulk, shelf)
    for table in ("views", "triggers", "routines", "events"):
        column = {"views": "table", "triggers": "trigger", "routines": "routine", "events": "event"}[table]
        asked = f"SELECT COUNT(*) FROM information_schema.{table} WHERE {column}_schema = DATABASE()"
        assert server.sql(asked, spec.into) == server.sql(asked, schema) != [["0"]]
    assert server.sql("SELECT tax(21)", spec.into) == [["42"]]


def test_a_schema_with_something_in_it_is_refused(bulk: Bulk, server: Server, shelf: FolderShelf) -> None:
    """Nothing is ever loaded over tables that are there."""
    schema = server.schema("CREATE TABLE t (a INT); INSERT INTO t VALUES (1)")
    spec = planned(server, shelf, server.dump(schema), schema)
    server.sql("CREATE TABLE t (a INT)", spec.into)
    with pytest.raises(Refused, match="is not empty: it has 1 tables"):
        carried(spec, bulk, shelf)
    assert server.sql("SELECT COUNT(*) FROM t", spec.into) == [["0"]]


def test_a_row_that_the_server_would_not_take_is_refused_first(bulk: Bulk, server: Server, shelf: FolderShelf) -> None:
    """The longest statement is held against max_allowed_packet before anything is sent."""
    schema = server.schema("CREATE TABLE t (a LONGBLOB); INSERT INTO t VALUES (REPEAT('x', 9000000))")
    spec = planned(server, shelf, server.dump(schema, "--max-allowed-packet=64M"), schema)
    old = server.sql("SELECT @@GLOBAL.max_allowed_packet")[0][0]
    server.sql("SET GLOBAL max_allowed_packet = 8388608")
    try:
        with pytest.raises(Refused, match=r"longest statement is 9000\d+ bytes.*max_allowed_packet=16777216"):
            carried(spec, bulk, shelf)
    finally:
        server.sql(f"SET GLOBAL max_allowed_packet = {old}")
    assert carried(spec, bulk, shelf)["tables"] == 1


def test_another_backup_than_the_judged_one_fails(bulk: Bulk, server: Server, shelf: FolderShelf) -> None:
    """A hash, or contents, other than those of the plan: it fails and says which."""
    schema = server.schema("CREATE TABLE t (a INT); INSERT INTO t VALUES (1)")
    spec = planned(server, shelf, server.dump(schema), schema)
    with pytest.raises(ChangeFailed, match="is not the backup that was judged"):
        carried(replace(spec, sha256="0" * 64), bulk, shelf)
    spec = planned(server, shelf, server.dump(schema), schema)
    tables = tuple(replace(table, rows="0" * 64) for table in spec.contents.tables)
    with pytest.raises(ChangeFailed, match="what was read is not what was judged: t"):
        carried(replace(spec, contents=replace(spec.contents, tables=tables)), bulk, shelf)


def test_a_file_cut_since_it_was_judged_fails(bulk: Bulk, server: Server, shelf: FolderShelf) -> None:
    """A backup that ends early on the way is no success, although every client carried out what it got."""
    schema = server.schema(SITE)
    spec = planned(server, shelf, server.dump(schema), schema)
    whole = (Path(shelf.copy.path) / "dump.sql.gz").read_bytes()
    backup = backup_of(shelf, "dump.sql.gz", whole[: len(whole) // 2])
    with pytest.raises(ChangeFailed, match=r"near: dump: cannot be read as it was judged.*try another copy"):
        carried(replace(spec, backup=backup), bulk, shelf)


def test_the_error_of_a_client_names_the_table(bulk: Bulk, server: Server, shelf: FolderShelf) -> None:
    """What the server refuses ends the load with table and reason, and no row of data in the sentence."""
    schema = server.schema("CREATE TABLE a (i INT PRIMARY KEY, t TEXT); INSERT INTO a VALUES (1,'secret'),(2,'b')")
    dump = server.dump(schema).replace(b"(2,'b')", b"(1,'b')")
    spec = planned(server, shelf, dump, schema)
    with pytest.raises(ChangeFailed, match=r"loading dump \(table a\): ERROR 1062") as failed:
        carried(spec, bulk, shelf)
    assert "secret" not in str(failed.value)


def test_a_full_disk_is_named(installed: Path, tmp_path: Path, bulk: Bulk, server: Server, shelf: FolderShelf) -> None:
    """When the server's tables are full the sentence says so and what to do."""
    from .conftest import _copied  # noqa: PLC0415 -- a server with a disk as small as its own

    schema = server.schema("CREATE TABLE t (a INT PRIMARY KEY, b LONGTEXT)")
    server.sql("INSERT INTO t SELECT seq, REPEAT(MD5(seq), 2000) FROM seq_1_to_400", schema)
    (tmp_path / "small").mkdir()
    small = _copied(
        installed,
        tmp_path / "small",
        "--innodb-file-per-table=0",
        "--innodb-data-file-path=ibdata1:12M:autoextend:max:18M",
    )
    try:
        spec = planned(small, shelf, server.dump(schema), schema)
        with pytest.raises(ChangeFailed, match=r"table t\): ERROR 1114.*full: make room"):
            carried(spec, bulk, shelf)
    finally:
        small.stop()


@contextmanager
def _endless(chunks: Iterator[bytes], first: int, then: threading.Event) -> Iterator[Iterator[bytes]]:
    """The chunks, but after `first` bytes the next comes only once `then` is set."""

    def slowly() -> Iterator[bytes]:
        passed = 0
        for chunk in chunks:
            for at in range(0, len(chunk), 1 << 16):
                yield chunk[at : at + (1 << 16)]
                passed += 1 << 16
                if passed > first:
                    then.wait(20)

    yield slowly()


class Slow(FolderShelf):
    """A copy that stops in the middle until it is told to go on."""

    go_on: threading.Event

    @contextmanager
    def read(self, file: File, *, start: int = 0, length: int = -1) -> Iterator[Iterator[bytes]]:
        """As the port."""
        with super().read(file, start=start, length=length) as chunks, _endless(chunks, 1 << 16, self.go_on) as slow:
            yield slow


def slow(shelf: FolderShelf, bulk: Bulk) -> Slow:
    """The copy, slow."""
    made = Slow(shelf.copy, bulk)
    made.list()
    made.go_on = threading.Event()
    return made


def test_a_server_that_is_killed_in_the_middle(bulk: Bulk, own_server: Server, shelf: FolderShelf) -> None:
    """The load ends at once, saying that the server went away; after its restart the same load works anew."""
    schema = own_server.schema(SITE)
    dump = own_server.dump(schema, SHORT)
    spec = planned(own_server, shelf, dump, schema)
    far = slow(shelf, bulk)

    def kill() -> None:
        wait_for(lambda: len(own_server.clients()) >= 2)
        own_server.stop(9)
        far.go_on.set()

    threading.Thread(target=kill, daemon=True).start()
    with pytest.raises(ChangeFailed, match=r"went away|is the database server running"):
        carried(spec, bulk, far)
    own_server.start()
    own_server.sql(f"DROP DATABASE {spec.into}; CREATE DATABASE {spec.into}")
    assert carried(spec, bulk, shelf)["tables"] == 8


def test_ctrl_c_in_the_middle_leaves_nothing_running(bulk: Bulk, server: Server, shelf: FolderShelf) -> None:
    """What `tell` raises comes out at once, even while no byte moves; no client stays connected."""
    schema = server.schema(SITE)
    spec = planned(server, shelf, server.dump(schema, SHORT), schema)
    far = slow(shelf, bulk)
    told: list[str] = []

    def tell(what: str, _: int, __: int) -> None:
        told.append(what)
        if len(server.clients()) >= 2 and len(told) > 3:
            raise Interrupted("Ctrl-C")

    begun = time.monotonic()
    with pytest.raises(Interrupted):
        carried(spec, bulk, far, tell)
    far.go_on.set()
    assert time.monotonic() - begun < 15
    wait_for(lambda: not server.clients())


class Broken(FolderShelf):
    """A copy whose connection breaks."""

    @contextmanager
    def read(self, file: File, *, start: int = 0, length: int = -1) -> Iterator[Iterator[bytes]]:
        """As the port."""
        with super().read(file, start=start, length=length) as chunks:
            yield self._broken(chunks)

    def _broken(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            yield chunk[: len(chunk) // 2]
            raise ConnectionLost("the session broke", where="store02")


def test_a_copy_that_breaks_off_ends_it(bulk: Bulk, server: Server, shelf: FolderShelf) -> None:
    """The way to the copy breaks: that is raised, and no client stays."""
    schema = server.schema(SITE)
    spec = planned(server, shelf, server.dump(schema), schema)
    with pytest.raises(Unreachable, match="store02"):
        carried(spec, bulk, Broken(shelf.copy, bulk))
    wait_for(lambda: not server.clients())


class Contended:
    """Starts programs, but the first `number` clients that load end as a deadlock's victim does."""

    def __init__(self, bulk: Bulk, number: int) -> None:
        """Through `bulk`."""
        self.bulk, self.left, self.started = bulk, number, 0

    def start(self, command: Command, *, at: str, short: bool = False) -> Running:
        """As transports.bulk."""
        if short:
            return self.bulk.start(command, at=at, short=short)
        self.started += 1
        self.left -= 1
        if self.left < 0:
            return self.bulk.start(command, at=at)
        script = 'head -c 100000 >/dev/null; echo "ERROR 1213 (40001) at line 3: Deadlock found" >&2; exit 1'
        return self.bulk.start(Command(("sh", "-c", script)), at=at)


def test_clients_in_each_others_way_are_followed_by_one(bulk: Bulk, server: Server, shelf: FolderShelf) -> None:
    """After a deadlock the schema is emptied and everything loaded once more by a single client; not a third time."""
    schema = server.schema(SITE)
    spec = planned(server, shelf, server.dump(schema, SHORT), schema)
    contended = Contended(bulk, 1)
    result = carried(spec, contended, shelf)
    assert contended.started == 3
    assert result["tables"] == 8
    assert server.sql("SELECT COUNT(*) FROM orders", spec.into) == [["6000"]]
    spec = planned(server, shelf, server.dump(schema, SHORT), schema)
    with pytest.raises(ChangeFailed, match=r"ERROR 1213.*Deadlock"):
        carried(spec, Contended(bulk, 99), shelf)


def test_a_planted_dump_does_nothing_outside(bulk: Bulk, server: Server, shelf: FolderShelf, tmp_path: Path) -> None:
    r"""USE, DROP DATABASE, GRANT, LOAD DATA, `\!` and SET GLOBAL in a dump change nothing but the staging schema."""
    schema = server.schema("CREATE TABLE t (a INT PRIMARY KEY); INSERT INTO t VALUES (1)")
    victim = server.schema("CREATE TABLE t (a INT PRIMARY KEY); INSERT INTO t VALUES (7)")
    mark = tmp_path / "mark"
    evil = (
        f"\\! touch {mark}\nsystem touch {mark}\nUSE {victim};\nDROP TABLE t;\nDROP DATABASE {victim};\n"
        f"GRANT ALL ON *.* TO evil@localhost IDENTIFIED BY 'x';\nSET GLOBAL max_connections = 5;\n"
        f"LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE t;\nINSERT INTO `{victim}`.`t` VALUES (8);\n"
    ).encode()
    dump = server.dump(schema)
    at = dump.index(b"LOCK TABLES `t`")
    spec = planned(server, shelf, dump[:at] + evil + dump[at:], schema)
    before = server.sql("SELECT @@GLOBAL.max_connections")
    try:
        carried(spec, bulk, shelf)
    except RemedyError as error:
        assert "ERROR" in str(error) or "judged" in str(error)  # noqa: PT017 -- refusing is as good as ignoring
    assert not mark.exists()
    assert server.sql("SELECT a FROM t", victim) == [["7"]]
    assert server.sql("SELECT COUNT(*) FROM mysql.user WHERE user = 'evil'") == [["0"]]
    assert server.sql("SELECT @@GLOBAL.max_connections") == before


def test_progress_is_of_stored_bytes(bulk: Bulk, server: Server, shelf: FolderShelf) -> None:
    """`tell` hears of loading in bytes of the file, rising to its size, then of the end."""
    schema = server.schema(SITE)
    spec = planned(server, shelf, server.dump(schema), schema)
    told: list[tuple[str, int, int]] = []
    carried(spec, bulk, shelf, lambda *news: told.append(news))
    loading = [done for what, done, total in told if what == "load" and total == spec.backup.size]
    assert loading == sorted(loading)
    assert told[-1][0] == "finish loading"


def test_a_table_that_asks_a_sequence(bulk: Bulk, own_server: Server, shelf: FolderShelf) -> None:
    """Beside the live data it is refused with both names; into an isolated server, under its own name, it is loaded."""
    schema = own_server.schema(
        "CREATE SEQUENCE number; CREATE TABLE ticket (id INT PRIMARY KEY DEFAULT nextval(number), t TEXT);"
        "INSERT INTO ticket (t) VALUES ('a'), ('b')"
    )
    spec = planned(own_server, shelf, own_server.dump(schema), schema)
    with pytest.raises(ChangeFailed, match=rf"table ticket takes a default from the sequence {schema}\.number"):
        carried(spec, bulk, shelf)
    assert own_server.clients(patience=5) == []
    own_server.sql(f"DROP DATABASE {schema}; CREATE DATABASE {schema}")
    carried(replace(spec, into=schema, login=own_server.option_file), bulk, shelf)
    assert own_server.sql("INSERT INTO ticket (t) VALUES ('c'); SELECT COUNT(*), MAX(id) > 2 FROM ticket", schema) == [
        ["3", "1"]
    ]
