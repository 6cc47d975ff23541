"""Binary logs of a real server: what is in them, where to stop, what is missing; and a database recovered by them."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.worlds.mariadb import Server

from remedy.backups import binlog, events
from remedy.backups.binlog import Search, Stretch, Until
from remedy.backups.events import Log
from remedy.backups.ports import Damaged
from remedy.backups.values import Facts, File

#: Lines that pass for mariadb-binlog's own comments; then statements of every way in which a change is logged.
WORK: Final = r"""
SET NAMES utf8mb4; USE site;
INSERT INTO orders (name) VALUES ('王'), ('x\n# at 900\n#261120 10:00:00 server id 7  end_log_pos 999 CRC32 0x0');
SET SESSION binlog_format = ROW;
INSERT INTO orders (name) VALUES ('row 1'), ('row 2');
UPDATE orders SET name = CONCAT(name, '!') WHERE id > 2;
BEGIN; INSERT INTO orders (name) VALUES ('in a transaction'); DELETE FROM orders WHERE id = 1; COMMIT;
BEGIN; INSERT INTO orders (name) VALUES ('given up'); ROLLBACK;
SET SESSION binlog_format = MIXED;
BEGIN; INSERT INTO orders (name) VALUES ('t2'); UPDATE orders SET name = 'q' WHERE id = 2; COMMIT;
INSERT INTO orders (name) VALUES (UUID()); INSERT INTO rated (who) VALUES (CURRENT_USER());
CALL bill('王小明'); UPDATE site.orders SET name = UPPER(name) WHERE id = 3;
CREATE TABLE later (id INT PRIMARY KEY, v VARCHAR(600)); INSERT INTO later VALUES (1, REPEAT('long', 100)), (2, RAND());
FLUSH BINARY LOGS;
ALTER TABLE later ADD COLUMN n INT AS (id * 2) VIRTUAL; INSERT INTO later (id, v) VALUES (3, 'after the flush');
"""
LOSS: Final = "USE site; DROP TABLE orders; INSERT INTO later (id, v) VALUES (9, 'after the loss');"
TABLES: Final = ("orders", "rated", "later", "log")


@dataclass
class Lost:
    """A server that lost a table: its dump, where its binary log stood in it, its logs, and what was there before."""

    server: Server
    logs: Path
    dump: bytes
    facts: Facts
    before: dict[str, list[str]]

    @property
    def files(self) -> tuple[File, ...]:
        """The logs as a copy would list them."""
        found = sorted(self.logs.glob("mariadb-bin.0*"))
        return tuple(File(path.name, path.stat().st_size, int(path.stat().st_ctime)) for path in found)

    def search(self, until: Until, files: tuple[File, ...] | None = None, size: int = 1 << 20) -> Stretch:
        """Read the logs that follow on the backup."""
        chain, _ = binlog.chain(self.files if files is None else files, self.facts)
        search = Search(chain, self.facts, until, "site")
        for file in chain:
            search.begin(file)
            data = (self.logs / file.name).read_bytes()
            for start in range(0, len(data), size):
                search.feed(data[start : start + size])
            search.end()
        return search.close()

    def damage(self) -> str:
        """What is wrong with the logs, "" for nothing."""
        try:
            findings = self.search(Until()).findings
        except Damaged as error:
            return error.code
        return findings[0].code if findings else ""


def rows(server: Server) -> dict[str, list[str]]:
    """All rows of the tables, and how the tables are defined."""
    there = set(server.sql("SHOW TABLES FROM site"))
    found: dict[str, list[str]] = {}
    for name in TABLES:
        if name in there:
            found[name] = server.sql(f"SELECT * FROM site.{name} ORDER BY 1; SHOW CREATE TABLE site.{name}")
    return found


@pytest.fixture(scope="module", params=["ROW", "MIXED"])
def lost(request: pytest.FixtureRequest) -> Iterator[Lost]:
    """A server that logs in one of two formats, compressing what is long, and what it lost."""
    place = Path(tempfile.mkdtemp(prefix="remedy-binlog-"))
    options = (f"--log-bin={place}/mariadb-bin", "--server-id=7", f"--binlog-format={request.param}")
    server = Server(place / "server", *options, "--log-bin-compress=ON", "--log-bin-compress-min-len=80").start()
    try:
        server.sql(
            "CREATE DATABASE site CHARACTER SET utf8mb4; USE site;"
            "CREATE TABLE orders (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(200));"
            "CREATE TABLE rated (id INT PRIMARY KEY AUTO_INCREMENT, who VARCHAR(99));"
            "CREATE TABLE log (id INT PRIMARY KEY AUTO_INCREMENT, what VARCHAR(200));"
            "CREATE TRIGGER t AFTER INSERT ON orders FOR EACH ROW INSERT INTO site.log (what) VALUES (NEW.name);"
            "CREATE PROCEDURE bill(who VARCHAR(99)) INSERT INTO site.orders (name) VALUES (CONCAT('bill for ', who));"
        )
        dump = server.dump("site", "--master-data=2", "--gtid")
        place_of = re.search(rb"MASTER_LOG_FILE='([^']+)', MASTER_LOG_POS=(\d+)", dump)
        gtid = re.search(rb"gtid_slave_pos='([^']+)'", dump)
        assert place_of
        assert gtid
        facts = Facts(binlog=f"{place_of[1].decode()}:{place_of[2].decode()}", gtid=gtid[1].decode())
        server.sql(WORK)
        before = rows(server)
        server.sql(LOSS)
        yield Lost(server, place, dump, facts, before)
    finally:
        server.close()
        shutil.rmtree(place)


def recovered(lost: Lost, stretch: Stretch, rewrite: str = "") -> dict[str, list[str]]:
    """What is in the database after the dump and the logs of a stretch were applied to an empty server."""
    place = Path(tempfile.mkdtemp(prefix="remedy-binlog-"))
    server = Server(place / "server").start()
    try:
        name = rewrite or "site"
        server.sql(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        server.sql(lost.dump.decode(), f"--database={name}")
        paths = [str(lost.logs / file.name) for file, _ in binlog.logs(stretch)]
        argv = binlog.command("mariadb-binlog", stretch, "site", paths, rewrite)
        said = subprocess.run(argv, check=True, capture_output=True)
        client = ("mariadb", f"--defaults-extra-file={server.option_file}", "--sandbox", "--binary-mode", "--batch")
        subprocess.run(client, input=said.stdout, check=True, capture_output=True)
        if rewrite:
            server.sql(f"CREATE DATABASE site; {move(server, rewrite)}")
        return rows(server)
    finally:
        server.close()
        shutil.rmtree(place)


def move(server: Server, name: str) -> str:
    """Statements that bring all tables back under the name they came from."""
    server.sql(f"DROP TRIGGER {name}.t")
    return "".join(f"RENAME TABLE {name}.{table} TO site.{table};" for table in server.sql(f"SHOW TABLES FROM {name}"))


def test_recovered_to_just_before_the_loss(lost: Lost) -> None:
    """Dump, changes of every kind, a table dropped: every row and definition is as it was just before."""
    stretch = lost.search(Until(statement=binlog.literal("drop  table orders;")))
    assert stretch.findings == ()
    assert [hit.text for hit in stretch.hits] == ["DROP TABLE `orders` /* generated by server */"]
    assert [file.name for file in stretch.files] == ["mariadb-bin.000001", "mariadb-bin.000002"]
    assert recovered(lost, stretch) == lost.before


def test_applied_to_the_end_it_is_lost_again(lost: Lost) -> None:
    """Without a place to stop the loss is applied too, and what came after it."""
    stretch = lost.search(Until())
    assert (stretch.stop, len(stretch.files)) == (0, 2)
    assert recovered(lost, stretch) == rows(lost.server)


def test_another_name_takes_rows_alone(lost: Lost) -> None:
    """Rewritten to another database, row events are right and statements that name their database are not."""
    stretch = lost.search(Until(statement="DROP TABLE"))
    try:
        same = recovered(lost, stretch, rewrite="site__in") == lost.before
    except (subprocess.CalledProcessError, AssertionError):
        same = False
    assert same == (lost.server.sql("SELECT @@global.binlog_format") == ["ROW"] and not named_statements(lost))


def named_statements(lost: Lost) -> bool:
    """Whether a change is in the logs as a statement that names the database."""
    return any(re.search(r"\bsite\.", text) for _, text in statements(lost))


def statements(lost: Lost) -> Iterator[tuple[str, str]]:
    """Database and text of every statement that is in the logs as such."""
    for file in lost.files:
        log = Log()
        for event in log.feed((lost.logs / file.name).read_bytes()):
            if event.kind in {events.QUERY, events.QUERY_COMPRESSED}:
                yield log.query(event)


def test_events_are_those_of_mariadb_binlog(lost: Lost) -> None:
    """Every event begins and ends where mariadb-binlog says, whatever lines its statements hold."""
    for file in lost.files:
        shown = subprocess.run(
            ("mariadb-binlog", "--no-defaults", "--base64-output=decode-rows", str(lost.logs / file.name)),
            check=True,
            capture_output=True,
        ).stdout
        log = Log()
        found = list(log.feed((lost.logs / file.name).read_bytes()))
        assert [e.at for e in found] == [4, *(e.end for e in found[:-1])]
        lines = re.findall(rb"^#\d{6} +[\d:]{7,8} server id 7  end_log_pos (\d+) CRC32", shown, re.MULTILINE)
        assert {event.end for event in found} == {int(line) for line in lines}
        assert not log.cut


def test_time(lost: Lost) -> None:
    """A moment stops before the first transaction that began then or later."""
    everything = lost.search(Until())
    assert lost.search(Until(at=everything.last + 1)).stop == 0
    assert lost.search(Until(at=everything.last + 1)).transactions == everything.transactions
    none = lost.search(Until(at=1))
    assert (none.transactions, none.stop) == (0, none.start)


def test_place(lost: Lost) -> None:
    """A place that begins a transaction is where it stops; any other is not found."""
    hit = lost.search(Until(statement="DROP TABLE")).hits[0]
    there = lost.search(Until(place=f"{hit.file}:{hit.position}"))
    assert (there.files[-1].name, there.stop) == (hit.file, hit.position)
    assert [f.code for f in lost.search(Until(place=f"{hit.file}:{hit.position + 1}")).findings] == ["not-found"]


def test_several_hits_are_all_told(lost: Lost) -> None:
    """A statement that is there several times is told each time, with its place; the first is where it stops."""
    found = lost.search(Until(statement="INSERT INTO later"))
    assert len(found.hits) == 3
    assert (found.files[-1].name, found.stop) == (found.hits[0].file, found.hits[0].position)


def test_rows_are_found_without_their_statement(lost: Lost) -> None:
    """Row events that no statement goes with are found by what they do to which table."""
    found = lost.search(Until(statement="DELETE FROM `site`.`orders`"))
    assert [hit.text for hit in found.hits] == ["DELETE FROM `site`.`orders`"]


def test_small_chunks(lost: Lost) -> None:
    """Where the bytes are cut changes nothing."""
    until = Until(statement="DROP TABLE")
    assert lost.search(until, size=7) == lost.search(until)


def test_gap(lost: Lost) -> None:
    """A log that is missing at the beginning ends it; one in the middle ends it there."""
    first, *others = lost.files
    chain, [finding] = binlog.chain(others, lost.facts)
    assert (chain, finding.code, finding.fatal) == ((), "gap", True)
    assert finding.text == "mariadb-bin.000001, which the backup goes on from, is no longer there"
    far = File("logs/mariadb-bin.000009.gz", 1, 0)
    chain, [finding] = binlog.chain([far, first, *others], lost.facts)
    assert [binlog.bare(file) for file in chain] == ["mariadb-bin.000001", "mariadb-bin.000002"]
    assert (finding.code, finding.fatal) == ("gap", False)
    assert "mariadb-bin.000003 is missing: what mariadb-bin.000009 and later hold" in finding.text


def test_log_that_does_not_go_on(lost: Lost, tmp_path: Path) -> None:
    """A log whose own account of what came before is another is no continuation, whatever it is called."""
    shutil.copy(lost.logs / "mariadb-bin.000001", tmp_path / "mariadb-bin.000001")
    shutil.copy(lost.logs / "mariadb-bin.000001", tmp_path / "mariadb-bin.000002")
    other = Lost(lost.server, tmp_path, b"", lost.facts, {})
    assert "gap" in [f.code for f in other.search(Until()).findings]


def test_log_of_another_server(lost: Lost) -> None:
    """A position that no event begins at, or where the log stands at another transaction, is another server's."""
    name, _, position = lost.facts.binlog.partition(":")
    wrong = Lost(lost.server, lost.logs, b"", Facts(binlog=f"{name}:{int(position) + 1}"), {})
    assert [f.code for f in wrong.search(Until()).findings] == ["start"]
    wrong = Lost(lost.server, lost.logs, b"", Facts(binlog=lost.facts.binlog, gtid="0-7-2"), {})
    assert "the backup does at 0-7-2" in wrong.search(Until()).findings[0].text
    wrong = Lost(lost.server, lost.logs, b"", Facts(binlog=f"{name}:99999999"), {})
    assert "start" in [f.code for f in wrong.search(Until()).findings]


def test_newest_log_cut(lost: Lost, tmp_path: Path) -> None:
    """The newest log may end anywhere: what is complete in it is applied, and nothing of a transaction that is not."""
    shutil.copy(lost.logs / "mariadb-bin.000001", tmp_path)
    data = (lost.logs / "mariadb-bin.000002").read_bytes()
    whole = lost.search(Until())
    for size in range(len(data) - 1, 300, -13):
        (tmp_path / "mariadb-bin.000002").write_bytes(data[:size])
        other = Lost(lost.server, tmp_path, lost.dump, lost.facts, {})
        found = other.search(Until())
        assert found.transactions <= whole.transactions
        assert {f.code for f in found.findings} <= {"cut"}
        assert not any(f.fatal for f in found.findings)
        assert found.stop <= size
        paths = [str(tmp_path / file.name) for file in found.files]
        subprocess.run(binlog.command("mariadb-binlog", found, "site", paths), check=True, capture_output=True)


def test_flipped_bit(lost: Lost, tmp_path: Path) -> None:
    """A bit that changed anywhere in a log is found by the checksum of its event, or makes it no log."""
    data = bytearray((lost.logs / "mariadb-bin.000002").read_bytes())
    shutil.copy(lost.logs / "mariadb-bin.000001", tmp_path)
    for at in range(0, len(data), 29):
        if at == 4 + 17:
            continue  # whether the file is in use belongs to no checksum
        data[at] ^= 0x10
        (tmp_path / "mariadb-bin.000002").write_bytes(data)
        other = Lost(lost.server, tmp_path, b"", lost.facts, {})
        assert other.damage() in {"corrupt", "cut", "encrypted"}, at
        data[at] ^= 0x10


def test_statement_under_another_database(lost: Lost) -> None:
    """A change made while another database was in use is applied as rows, and is told of when it is a statement."""
    lost.server.sql("CREATE DATABASE IF NOT EXISTS far; USE far; INSERT INTO site.later (id, v) VALUES (77, 'far')")
    codes = [f.code for f in lost.search(Until()).findings]
    logged_as_rows = not any(database == "far" and "INSERT" in text for database, text in statements(lost))
    assert codes == ([] if logged_as_rows else ["elsewhere"])
    lost.server.sql("DELETE FROM site.later WHERE id = 77")


def test_no_position() -> None:
    """A backup that does not say where the log stood cannot be gone on from."""
    assert [f.code for f in binlog.chain((), Facts())[1]] == ["no-position"]
    assert [f.code for f in binlog.chain((), Facts(binlog="strange:1"))[1]] == ["no-position"]


def made(kind: int, body: bytes, at: int = 4, time: int = 1000) -> bytes:
    """An event as a server writes it."""
    length = 19 + len(body) + 4
    head = time.to_bytes(4, "little") + bytes((kind,)) + (7).to_bytes(4, "little") + length.to_bytes(4, "little")
    data = head + (at + length).to_bytes(4, "little") + b"\0\0" + body
    return data + zlib.crc32(data).to_bytes(4, "little")


FIRST: Final = made(15, b"\4\0" + b"10.11.6-MariaDB-log".ljust(50, b"\0") + bytes(4) + b"\x13" + bytes(10) + b"\1")


@pytest.mark.parametrize(("kind", "code"), [(26, "incident"), (17, "load-data")])
def test_what_cannot_be_applied(kind: int, code: str) -> None:
    """A log that says itself that changes are missing, or holds LOAD DATA as statements, is told of."""
    file = File("mariadb-bin.000001", 1, 0)
    search = Search((file,), Facts(binlog="mariadb-bin.000001:4"), Until(), "site")
    search.begin(file)
    search.feed(b"\xfebin" + FIRST + made(kind, b"\1\0", 4 + len(FIRST)))
    search.end()
    assert [(f.code, f.fatal) for f in search.close().findings] == [(code, True)]


def test_encrypted() -> None:
    """A log that its server encrypts is refused by that name."""
    with pytest.raises(Damaged) as caught:
        list(Log().feed(b"\xfebin" + FIRST + made(164, bytes(17), 4 + len(FIRST))))
    assert caught.value.code == "encrypted"


@given(st.binary(max_size=300), st.booleans())
def test_hostile_bytes_end_well(data: bytes, whole: bool) -> None:  # noqa: FBT001 -- a parameter
    """Whatever a log holds, it is read, or refused as damaged."""
    file = File("mariadb-bin.000001", 1, 0)
    search = Search((file,), Facts(binlog="mariadb-bin.000001:4"), Until(statement="x"), "site")
    search.begin(file)
    with contextlib.suppress(Damaged):
        search.feed(b"\xfebin" + FIRST + (made(data[0], data[1:], 4 + len(FIRST)) if whole and data else data))
        search.end()
        assert search.close().start == 4


@given(st.text(max_size=60))
def test_literal_finds_itself(text: str) -> None:
    """A statement as somebody remembers it is found, with any white space between its words."""
    words = text.rstrip("; \t\r\n").split()
    assert re.search(binlog.literal(text), "  ".join(words), re.IGNORECASE)
