"""The cut-over on a real server: one moment, all or nothing, and the way back, also when it is cut short anywhere."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest
from tests.worlds.mariadb import Server, shell

from remedy.actions.recovery import staging, statements, swap
from remedy.backups.values import Database, Object
from remedy.core.values import Change, Command, Probe, Reply
from remedy.probes import database as asked
from remedy.probes import parse

RUN = "R0000001"
RIGHTS = "SET USER, READ_ONLY ADMIN"
TRIGGER = (
    "DELIMITER ;;\nCREATE TRIGGER noted AFTER INSERT ON notice FOR EACH ROW BEGIN "
    "INSERT INTO journal VALUES (NEW.id); END;;\nDELIMITER ;"
)


def made(kind: str, name: str, sql: str) -> Object:
    """A definition of root's."""
    return Object(kind, name, "", "root@localhost", sql.replace("CREATE", "CREATE DEFINER=root@localhost", 1))


OLD = (
    made("view", "last", "CREATE VIEW last AS SELECT * FROM newest;"),
    made("view", "newest", "CREATE VIEW newest AS SELECT id FROM notice;"),
    made("trigger", "noted", TRIGGER),
    made("event", "tick", "CREATE EVENT tick ON SCHEDULE EVERY 1 DAY DO SELECT 1;"),
)
NEW = (*OLD[:3], made("function", "three", "CREATE FUNCTION three() RETURNS INT RETURN 3;"))


class Scene:
    """A schema with old data live and new data staged."""

    def __init__(self, server: Server, schema: str = "site") -> None:
        """Build it anew."""
        self.server = server
        self.database = Database("site", schema, "db01", defaults_file=str(server.option_file))
        self.live = f"`{schema.replace('`', '``')}`"
        self.incoming = f"`{staging.schemas(schema)[0].replace('`', '``')}`"
        self.undo = f"`{staging.schemas(schema)[1].replace('`', '``')}`"
        server.sql("SET GLOBAL read_only=0")
        server.sql("".join(f"DROP DATABASE IF EXISTS {name};" for name in (self.live, self.incoming, self.undo)))
        tables = "CREATE TABLE notice (id INT PRIMARY KEY, title TEXT); CREATE TABLE journal (id INT);"
        server.sql(f"CREATE DATABASE {self.live}; USE {self.live}; {tables} INSERT INTO notice VALUES (1, '旧');")
        server.sql("\n".join(o.sql for o in reversed(OLD)), schema)
        made = self.send(staging.make(self.database, RUN, "utf8mb4").do)
        assert made.returncode == 0, made.stderr
        server.sql(f"USE {self.incoming}; {tables} INSERT INTO notice VALUES (2, '新');")
        self.send(staging.keep(self.database, RUN, OLD).do)
        self.change = self.cut_over(NEW)
        self.before = self.look()

    def cut_over(self, new: tuple[Object, ...]) -> Change:
        """The step, with these definitions to come."""
        fingerprint = self.server.sql(statements.fingerprint(self.database.schema))[0]
        return swap.forward(self.database, RUN, new, OLD, swap.Facts(fingerprint, str(self.server.conf), "0", RIGHTS))

    def send(self, command: Command | None) -> subprocess.CompletedProcess[bytes]:
        """Run it to its end."""
        assert command is not None
        return shell(command.argv, command.stdin)

    def start(self, command: Command) -> subprocess.Popen[bytes]:
        """Run it in a process group of its own."""
        pipe = subprocess.PIPE
        process = subprocess.Popen(command.argv, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
        assert process.stdin is not None
        process.stdin.write(command.stdin.encode())
        process.stdin.close()
        process.stdin = None
        return process

    def ask(self, probe: Probe | None) -> object:
        """The answer of a probe."""
        assert probe is not None
        done = self.send(probe.command)
        return parse(probe.parser, Reply(done.returncode, done.stdout, done.stderr))

    def look(self) -> dict[str, object]:
        """What an application sees: title, names, whether it may write."""
        sql = f"SELECT title FROM {self.live}.notice ORDER BY id LIMIT 1"
        names = self.ask(parse_names(self.database))
        return {
            "title": self.server.sql(sql)[0],
            "names": names,
            "read_only": self.server.sql("SELECT @@GLOBAL.read_only")[0],
            "accounts": self.server.sql("SELECT user FROM mysql.user WHERE user LIKE 'remedy\\_swap%'"),
            "held": sorted(path.name for path in self.server.conf.iterdir()),
        }


def parse_names(database: Database) -> Probe:
    """Everything in the live schema."""
    return asked.names(database.defaults_file, database.schema)


AFTER_NAMES = ["function three", "table journal", "table notice", "trigger noted", "view last", "view newest"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of these tests' own."""
    made = Server(tmp_path_factory.mktemp("mariadb") / "server", "--log-bin", "--server-id=1").start()
    yield made
    made.close()


def test_the_restored_data_is_live_and_the_old_data_is_kept(server: Server) -> None:
    """After the cut-over the new rows and definitions are live, the old rows and definitions kept, writes go on."""
    scene = Scene(server)
    done = scene.send(scene.change.do)
    assert done.returncode == 0, done.stderr
    after = scene.look()
    assert after == {"title": "新", "names": AFTER_NAMES, "read_only": "0", "accounts": [], "held": []}
    assert server.sql(f"SELECT title FROM {scene.undo}.notice") == ["旧"]
    kept = server.sql(f"SELECT kind, name FROM {scene.undo}.remedy__kept WHERE kind <> 'cut-over' ORDER BY name")
    assert kept == ["view\tlast", "view\tnewest", "trigger\tnoted", "event\ttick"]
    server.sql("INSERT INTO site.notice VALUES (9, 'x')")
    assert server.sql("SELECT id FROM site.journal") == ["9"], "the restored trigger works"
    assert scene.ask(scene.change.seen) == "done"


def test_undo_gives_the_old_data_back_and_keeps_the_new(server: Server) -> None:
    """Undo makes everything as it was before; what was written since stays in the staging schema, marked."""
    scene = Scene(server)
    assert scene.send(scene.change.do).returncode == 0
    server.sql("INSERT INTO site.notice VALUES (9, 'since'); CREATE TABLE site.made_since (id INT)")
    assert scene.send(scene.change.undo).returncode == 0
    assert scene.look() == scene.before
    assert server.sql("SELECT id FROM site__in.notice ORDER BY id") == ["2", "9"]
    assert server.sql("SHOW TABLES FROM site__in LIKE 'made_since'") == ["made_since"]
    assert scene.send(staging.make(scene.database, RUN, "utf8mb4").undo).returncode == 0
    assert server.sql("SELECT COUNT(*) FROM site__in.notice") == ["2"], "what was live is never dropped by an undo"
    assert server.sql("SELECT COUNT(*) FROM mysql.user WHERE user LIKE 'remedy%'") == ["0"]


@pytest.mark.parametrize("milliseconds", [5, 30, 50, 70, 90, 110, 130, 160, 200])
def test_a_killed_script_leaves_old_or_new_and_is_finished_by_the_next(server: Server, milliseconds: int) -> None:
    """Whenever the script is killed, an application that may write sees all of the old or all of the new data."""
    scene = Scene(server)
    process = scene.start(scene.change.do)
    time.sleep(milliseconds / 1000)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    now = scene.look()
    assert now["title"] in {"旧", "新"}
    if now["read_only"] == "0":
        assert now["names"] in (scene.before["names"], AFTER_NAMES), "nobody writes into half of it"
    state = scene.ask(scene.change.seen)
    assert state in {"absent", "halfway", "done"}
    if state != "done":
        again = scene.send(scene.change.do)
        assert again.returncode == 0, again.stderr
    assert scene.ask(scene.change.seen) == "done"
    assert (scene.look()["names"], scene.look()["read_only"]) == (AFTER_NAMES, "0")
    assert scene.send(scene.change.undo).returncode == 0
    assert {**scene.look(), "accounts": []} == {**scene.before, "accounts": []}


@pytest.mark.parametrize("milliseconds", [40, 60, 70, 80, 90, 100, 130])
def test_a_power_cut_in_the_middle_comes_back_whole_and_held(server: Server, milliseconds: int) -> None:
    """A server killed in the middle comes back with one whole set of tables, and holds writes until it is finished."""
    scene = Scene(server)
    process = scene.start(scene.change.do)
    time.sleep(milliseconds / 1000)
    server.kill()
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    server.start()
    now = scene.look()
    state = scene.ask(scene.change.seen)
    tables = {str(name).split()[-1] for name in list(now["names"]) if str(name).startswith("table")}  # type: ignore[call-overload]
    assert (now["title"], tables) in (("旧", {"notice", "journal"}), ("新", {"notice", "journal"}))
    if now["names"] not in (scene.before["names"], AFTER_NAMES):
        assert (state, now["read_only"]) == ("halfway", "1")
    if state != "done":
        again = scene.send(scene.change.do)
        assert again.returncode == 0, again.stderr
    final = scene.look()
    assert final == {"title": "新", "names": AFTER_NAMES, "read_only": "0", "accounts": [], "held": []}


def test_nothing_acknowledged_is_lost_under_writers(server: Server) -> None:
    """Every row that a writer was told is in, is in the old or in the new data, once."""
    scene = Scene(server)
    server.sql("CREATE TABLE site.work (id INT PRIMARY KEY); CREATE TABLE site__in.work (id INT PRIMARY KEY)")
    acknowledged: list[int] = []
    stop = threading.Event()

    def write(first: int) -> None:
        number = first
        while not stop.is_set() and number < first + 3000:
            if server.run(f"INSERT INTO site.work VALUES ({number})").returncode == 0:
                acknowledged.append(number)
            number += 1

    writers = [threading.Thread(target=write, args=(n * 10_000,)) for n in range(3)]
    for writer in writers:
        writer.start()
    time.sleep(0.3)
    done = scene.send(scene.change.do)
    time.sleep(0.3)
    stop.set()
    for writer in writers:
        writer.join()
    assert done.returncode == 0, done.stderr
    old = [int(line) for line in server.sql("SELECT id FROM site__undo.work")]
    new = [int(line) for line in server.sql("SELECT id FROM site.work")]
    assert old
    assert new
    assert sorted(old + new) == sorted(acknowledged)


def test_a_definition_that_cannot_be_made_moves_everything_back(server: Server) -> None:
    """A planted definition gets no rights beyond the schema; the cut-over is taken back and says which it was."""
    scene = Scene(server)
    grant = "GRANT ALL ON *.* TO evil@localhost IDENTIFIED BY 'x'; CREATE TABLE mysql.planted (i INT)"
    planted = made("procedure", "evil", f"DELIMITER ;;\nCREATE PROCEDURE evil() SELECT 1; {grant};;\nDELIMITER ;")
    broken = made("view", "broken", "CREATE VIEW broken AS SELECT nix FROM notice;")
    done = scene.send(scene.cut_over((*NEW, planted, broken)).do)
    assert done.returncode == 7
    assert "everything was moved back" in done.stderr.decode()
    assert "nix" in done.stderr.decode()
    assert scene.look() == scene.before
    assert server.sql("SELECT COUNT(*) FROM mysql.user WHERE user='evil'") == ["0"]
    assert server.sql("SHOW TABLES FROM mysql LIKE 'planted'") == []
    assert scene.ask(scene.change.seen) == "absent"


def test_changed_definitions_stop_it_before_anything_moves(server: Server) -> None:
    """A view made since the plan would be lost: nothing is moved, and it says why."""
    scene = Scene(server)
    server.sql("CREATE VIEW site.since AS SELECT 1")
    done = scene.send(scene.change.do)
    assert (done.returncode, b"changed since the plan" in done.stderr) == (5, True)
    assert scene.look()["title"] == "旧"


def test_a_long_transaction_does_not_stop_it(server: Server) -> None:
    """A session that holds a table in an open transaction is ended; what it had open rolls back."""
    scene = Scene(server)
    argv = ["mariadb", f"--defaults-extra-file={server.option_file}", "mysql"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as holder:
        assert holder.stdin is not None
        holder.stdin.write("BEGIN; INSERT INTO site.notice VALUES (77, 'open'); SELECT SLEEP(60);\n")
        holder.stdin.flush()
        while not server.sql("SELECT 1 FROM information_schema.innodb_trx"):
            time.sleep(0.2)  # the server renews this view every 0.1 s, if nobody asks
        begun = time.monotonic()
        done = scene.send(scene.change.do)
        assert done.returncode == 0, done.stderr
        assert time.monotonic() - begun < 5
        holder.kill()
    assert server.sql("SELECT COUNT(*) FROM site__undo.notice WHERE id=77") == ["0"]


def test_names_that_need_quoting(server: Server) -> None:
    """Backticks, hyphens, quotes and Chinese in a schema's name are only text."""
    scene = Scene(server, "we`ird-'数据\"_%")
    assert scene.send(scene.change.do).returncode == 0
    assert scene.look()["title"] == "新"
    assert scene.send(scene.change.undo).returncode == 0
    assert scene.look() == scene.before
