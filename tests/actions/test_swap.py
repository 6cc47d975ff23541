"""The cut-over on a real server: one moment, all or nothing, and the way back, also when it is cut short anywhere."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator

import pytest
from tests.worlds.cutover import AFTER, NEW, RUN, Scene, made
from tests.worlds.mariadb import Fatal, Server

from remedy.core.values import Command


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of these tests' own."""
    made = Server(tmp_path_factory.mktemp("mariadb") / "server", "--log-bin", "--server-id=1").start()
    yield made
    made.close()


@pytest.fixture(scope="module")
def fatal(tmp_path_factory: pytest.TempPathFactory) -> Fatal:
    """A client to die in."""
    return Fatal(tmp_path_factory.mktemp("fatal") / "bin")


#: What the client is given in one cut-over, in order, and how far it has come before each.
QUESTIONS = ["finished", "moved", "begun", "print", "theirs"]
HELD = ["account.sql", "freeze", "kill", "begin", "move", "move.sql"]
MOVED = ["drop", "drop.sql", "new", "count.new", "mark.sql", "thaw"]


def finished(scene: Scene) -> dict[str, object]:
    """What is to be seen when it is over."""
    new = scene.server.sql("SHOW CREATE VIEW site.last")[0]
    assert "> 0" in new
    return {**scene.before, "title": "新", "names": AFTER, "last": new}


def test_the_restored_data_is_live_and_the_old_data_is_kept(server: Server, fatal: Fatal) -> None:
    """After the cut-over the new rows and definitions are live, the old rows and definitions kept, writes go on."""
    scene = Scene(server)
    done = fatal.run(scene.change.do.argv, scene.change.do.stdin)
    assert done.returncode == 0, done.stderr
    calls = [call for call in dict.fromkeys(fatal.calls) if call != "null" and not call.startswith("pipe:")]
    assert calls == QUESTIONS + HELD + MOVED, "the moments below are all there are"
    assert scene.look() == finished(scene)
    assert server.sql("SELECT title FROM site__undo.notice") == ["旧"]
    kept = server.sql("SELECT kind, name FROM site__undo.remedy__kept WHERE kind <> 'cut-over' ORDER BY number")
    assert kept == ["view\tlast", "view\tnewest", "trigger\tnoted", "event\ttick"]
    server.sql("INSERT INTO site.notice VALUES (9, 'x')")
    assert server.sql("SELECT id FROM site.journal") == ["9"], "the restored trigger works"
    assert scene.ask(scene.change.seen) == "done"
    frozen = int(server.sql("SELECT definition FROM site__undo.remedy__kept WHERE kind='cut-over'")[0])
    assert 0 < frozen < 10_000


def test_undo_gives_the_old_data_back_and_keeps_the_new(server: Server) -> None:
    """Undo makes everything as it was before; what was written since stays in the staging schema, marked."""
    scene = Scene(server)
    assert scene.send(scene.change.do).returncode == 0
    server.sql("INSERT INTO site.notice VALUES (9, 'since'); CREATE TABLE site.made_since (id INT)")
    assert scene.send(scene.change.undo).returncode == 0
    assert scene.look() == scene.before
    assert scene.ask(scene.change.seen) == "absent"
    assert server.sql("SELECT id FROM site__in.notice ORDER BY id") == ["2", "9"]
    assert server.sql("SHOW TABLES FROM site__in LIKE 'made_since'") == ["made_since"]
    assert scene.send(scene.staged.undo).returncode == 0
    assert server.sql("SELECT COUNT(*) FROM site__in.notice") == ["2"], "what was live is never dropped by an undo"
    assert server.sql("SELECT COUNT(*) FROM mysql.user WHERE user LIKE 'remedy%'") == ["0"]


def whole(scene: Scene) -> None:
    """Fail unless an application that may write sees all of the old or all of the new data."""
    now = scene.look()
    assert now["title"] in {"旧", "新"}
    if scene.writable:
        names, title = (scene.before["names"], "旧") if now["title"] == "旧" else (AFTER, "新")
        assert (now["names"], now["title"]) == (names, title), "somebody writes into half of it"


@pytest.mark.parametrize("call", ["moved", "freeze", "begin", "move.sql", "drop", "new", "mark.sql", "thaw"])
def test_a_killed_script_is_finished_by_the_next(server: Server, fatal: Fatal, call: str) -> None:
    """Killed before any call to the server nobody writes into half of it, and sent again it ends well."""
    scene = Scene(server)
    assert fatal.run(scene.change.do.argv, scene.change.do.stdin, call).returncode == -9
    whole(scene)
    assert scene.ask(scene.change.seen) == ("absent" if call == "moved" else "halfway")
    again = scene.send(scene.change.do)
    assert again.returncode == 0, again.stderr
    assert scene.ask(scene.change.seen) == "done"
    assert scene.look() == finished(scene)


@pytest.mark.parametrize("call", ["kill", "begin", "move.sql", "drop", "thaw"])
def test_a_killed_script_is_taken_back(server: Server, fatal: Fatal, call: str) -> None:
    """Killed before any call that changes something, the way back gives everything as it was."""
    scene = Scene(server)
    assert fatal.run(scene.change.do.argv, scene.change.do.stdin, call).returncode == -9
    back = scene.send(scene.change.undo)
    assert back.returncode == 0, back.stderr
    assert scene.look() == scene.before
    assert scene.ask(scene.change.seen) == "absent"
    assert scene.send(scene.staged.undo).returncode == 0
    was_live = server.sql("SHOW DATABASES LIKE 'site\\_\\_in'") != []
    assert was_live == (call in MOVED), "what never was live is dropped, anything else is kept"


@pytest.mark.parametrize("call", ["freeze", "move.sql", "drop", "mark.sql", "thaw"])
def test_a_killed_way_back(server: Server, fatal: Fatal, call: str) -> None:
    """The way back can be killed and sent again like the way there; what was live meanwhile is kept."""
    scene = Scene(server)
    assert scene.send(scene.change.do).returncode == 0
    server.sql("INSERT INTO site.notice VALUES (9, 'since')")
    assert scene.change.undo is not None
    assert fatal.run(scene.change.undo.argv, scene.change.undo.stdin, call).returncode == -9
    whole(scene)
    again = scene.send(scene.change.undo)
    assert again.returncode == 0, again.stderr
    assert scene.look() == scene.before
    assert scene.send(scene.staged.undo).returncode == 0
    assert server.sql("SELECT id FROM site__in.notice ORDER BY id") == ["2", "9"]


@pytest.mark.parametrize("call", ["begin", "move.sql", "drop", "new", "mark.sql"])
def test_a_power_cut_comes_back_whole_and_held(server: Server, fatal: Fatal, call: str) -> None:
    """A server killed inside the cut-over comes back with one whole set of tables, and holds writes until the end."""
    scene = Scene(server)
    fatal.run(scene.change.do.argv, scene.change.do.stdin, call, server)
    server.start()
    now = scene.look()
    assert {name for name in scene.names() if name.startswith("table")} == {"table notice", "table journal"}
    assert now["title"] == ("新" if call in MOVED else "旧")
    assert not scene.writable
    assert str(now["settings"]).endswith("OFF"), "no event runs either"
    assert scene.ask(scene.change.seen) == "halfway"
    again = scene.send(scene.change.do)
    assert again.returncode == 0, again.stderr
    assert scene.look() == finished(scene)


def test_nothing_acknowledged_is_lost_under_writers(server: Server) -> None:
    """Every row that a writer was told is in, even one that read_only does not stop, is in the old or the new data."""
    scene = Scene(server)
    server.sql("CREATE TABLE site.work (id INT PRIMARY KEY); CREATE TABLE site__in.work (id INT PRIMARY KEY)")
    acknowledged: list[int] = []
    stop, busy = threading.Event(), threading.Semaphore(0)

    def write(first: int) -> None:
        number = first
        while not stop.is_set() and number < first + 3000:
            if server.run(f"INSERT INTO site.work VALUES ({number})").returncode == 0:
                acknowledged.append(number)
                busy.release()
            number += 1

    writers = [threading.Thread(target=write, args=(n * 10_000,)) for n in range(3)]
    for writer in writers:
        writer.start()
    for _ in range(12):
        assert busy.acquire(timeout=30)
    done = scene.send(scene.change.do)
    while busy.acquire(blocking=False):
        pass
    for _ in range(12):
        assert busy.acquire(timeout=30)
    stop.set()
    for writer in writers:
        writer.join()
    assert done.returncode == 0, done.stderr
    old = [int(line) for line in server.sql("SELECT id FROM site__undo.work")]
    new = [int(line) for line in server.sql("SELECT id FROM site.work")]
    assert old
    assert new
    assert sorted(old + new) == sorted(acknowledged)


def test_changed_definitions_stop_it_before_anything_moves(server: Server) -> None:
    """A view made since the plan would be lost: nothing is moved, and it says why."""
    scene = Scene(server)
    server.sql("CREATE VIEW site.since AS SELECT 1")
    done = scene.send(scene.change.do)
    assert (done.returncode, b"changed since the plan" in done.stderr) == (5, True)
    server.sql("DROP VIEW site.since")
    assert scene.look() == scene.before


def test_a_server_that_somebody_made_read_only_stays_so(server: Server) -> None:
    """Writes that somebody else holds are not let go: nothing is moved, and it says why."""
    scene = Scene(server)
    server.sql("SET GLOBAL read_only=1")
    done = scene.send(scene.change.do)
    assert (done.returncode, b"somebody else has made the server read-only" in done.stderr) == (5, True)
    assert not scene.writable
    assert scene.ask(scene.change.seen) == "absent"


HOLDERS = {
    "an open transaction": "BEGIN; INSERT INTO site.notice VALUES (77, 'open'); SELECT SLEEP(60);",
    "a backup tool's global lock": "FLUSH TABLES WITH READ LOCK; SELECT SLEEP(60);",
    "a table lock of a session elsewhere": "LOCK TABLES site.notice WRITE; SELECT SLEEP(60);",
    "a reader": "SELECT SLEEP(60) FROM site.notice;",
    "a backup in its last stage": "BACKUP STAGE START; BACKUP STAGE BLOCK_COMMIT; SELECT SLEEP(60);",
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_what_is_in_the_way_is_ended(server: Server, holder: str) -> None:
    """Neither an open transaction nor a lock that others hold stops it, or keeps writes held for long."""
    scene = Scene(server)
    argv = ["mariadb", f"--defaults-extra-file={server.option_file}", "mysql"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as session:
        assert session.stdin is not None
        session.stdin.write(HOLDERS[holder] + "\n")
        session.stdin.flush()
        asleep = "SELECT 1 FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP%' AND state = 'User sleep'"
        until = time.monotonic() + 20
        while not server.sql(asleep) and time.monotonic() < until:
            time.sleep(0.2)  # the server renews its view of transactions every 0.1 s, if nobody asks
        done = scene.send(scene.change.do)
        session.kill()
    assert done.returncode == 0, done.stderr
    assert scene.look() == finished(scene)
    frozen = int(server.sql("SELECT definition FROM site__undo.remedy__kept WHERE kind='cut-over'")[0])
    assert frozen < 10_000
    assert server.sql("SELECT COUNT(*) FROM site__undo.notice WHERE id=77") == ["0"], "rolled back"


def test_names_that_need_quoting(server: Server) -> None:
    """Backticks, hyphens, quotes, backslashes and Chinese in a schema's name are only text."""
    scene = Scene(server, "we`ird-'数据\"_%\\x")
    assert scene.send(scene.change.do).returncode == 0
    assert scene.look()["title"] == "新"
    assert scene.send(scene.change.undo).returncode == 0
    assert scene.look() == scene.before


def test_a_schema_whose_name_differs_by_case(server: Server) -> None:
    """A schema `SITE` beside `site` is somebody else's: nothing of it is moved, dropped or counted."""
    server.sql("DROP DATABASE IF EXISTS SITE; CREATE DATABASE SITE; USE SITE; CREATE TABLE other (i INT)")
    server.sql(
        "CREATE VIEW SITE.v AS SELECT 1; CREATE TRIGGER SITE.t BEFORE INSERT ON SITE.other FOR EACH ROW SET @x=1"
    )
    scene = Scene(server)
    done = scene.send(scene.change.do)
    assert done.returncode == 0, done.stderr
    assert scene.look() == finished(scene)
    assert scene.send(scene.change.undo).returncode == 0
    assert scene.look() == scene.before
    assert server.sql("SHOW FULL TABLES FROM SITE") == ["other\tBASE TABLE", "v\tVIEW"]
    server.sql("DROP DATABASE SITE")


def test_two_at_once(server: Server) -> None:
    """A script that is sent while an earlier one is still at work waits for it, and then finds the work done."""
    scene = Scene(server)
    processes = [scene.start(scene.change.do) for _ in range(3)]
    for process in processes:
        process.communicate()
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert scene.look() == finished(scene)
    assert len(server.sql("SELECT 1 FROM site__undo.remedy__kept WHERE kind='cut-over'")) == 1


@pytest.mark.parametrize("part", [0.1, 0.999])
def test_half_of_the_script_does_nothing(server: Server, part: float) -> None:
    """When not all of its texts arrive, nothing is held and nothing is moved."""
    scene = Scene(server)
    whole = scene.change.do
    done = scene.send(Command(whole.argv, whole.stdin[: int(len(whole.stdin) * part)]))
    assert (done.returncode, b"did not arrive" in done.stderr) == (3, True)
    assert scene.look() == scene.before
    assert scene.ask(scene.change.seen) == "absent"


def test_a_schema_that_was_not_there(server: Server) -> None:
    """Where there was no live schema one is made; the way back, or a failure, leaves none."""
    scene = Scene(server, old=())
    server.sql("DROP DATABASE site")
    absent = scene.cut_over(NEW, exists=False)
    assert scene.send(absent.do).returncode == 0
    assert scene.names() == AFTER
    assert scene.send(absent.undo).returncode == 0
    assert server.sql("SHOW DATABASES LIKE 'site'") == []
    scene = Scene(server, old=())
    server.sql("DROP DATABASE site")
    wrong = scene.cut_over((made("view", "broken", "CREATE VIEW broken AS SELECT nix;"),), exists=False)
    assert scene.send(wrong.do).returncode == 7
    assert server.sql("SHOW DATABASES LIKE 'site'") == []
    assert server.sql("SELECT COUNT(*) FROM site__in.notice") == ["1"]


def test_events_run_again_afterwards(server: Server, fatal: Fatal) -> None:
    """The event scheduler stands still for the moment, and goes on afterwards as the server was set."""
    scene = Scene(server)
    server.sql("SET GLOBAL event_scheduler=ON")
    scene.before = scene.look()
    change = scene.cut_over(NEW, scheduler=True)
    fatal.run(change.do.argv, change.do.stdin, "mark.sql")
    assert server.sql("SELECT @@GLOBAL.event_scheduler") == ["OFF"]
    assert scene.send(change.do).returncode == 0
    assert scene.look() == finished(scene)
    assert str(scene.before["settings"]).endswith("ON")
    server.sql("SET GLOBAL event_scheduler=OFF")


def test_without_a_folder_for_option_files(server: Server, fatal: Fatal) -> None:
    """Where no file can hold a restarted server, a script that was killed is still found at work, and ended."""
    scene = Scene(server)
    change = scene.cut_over(NEW, option_folder="")
    assert fatal.run(change.do.argv, change.do.stdin, "begin").returncode == -9
    assert (scene.look()["held"], scene.writable) == ([], False)
    assert scene.ask(change.seen) == "halfway"
    assert scene.send(change.undo).returncode == 0
    assert scene.look() == scene.before
    assert RUN.startswith("Cut")
