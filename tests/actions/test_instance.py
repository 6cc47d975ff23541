"""An isolated database server on a host: made, started, reached by nobody, removed by whom or by itself."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remedy.actions.recovery import inside, instance, prepared
from remedy.actions.recovery.instance import Instance, Programs
from remedy.backups.values import Question
from remedy.core.canon import Json
from remedy.core.errors import AnswerUnusable, UsageError
from remedy.core.values import Change, Command, Probe, Reply, wanted
from remedy.probes import instance as asked
from remedy.probes import parse

LIVE: Final = {
    "lower_case_table_names": "0",
    "innodb_page_size": "16384",
    "explicit_defaults_for_timestamp": "ON",
    "old_mode": "UTF8_IS_UTF8MB3",
    "character_set_server": "utf8mb4",
    "collation_server": "utf8mb4_general_ci",
    "schema_charset": "utf8mb4",
    "schema_collation": "utf8mb4_unicode_ci",
}
SCHEMA: Final = "we`ird 订单"


@dataclass
class Host:
    """This machine, with a shell of one kind."""

    base: Path
    shell: tuple[str, ...]

    def run(self, command: Command) -> subprocess.CompletedProcess[str]:
        """Run a command as the transport does."""
        argv = command.argv[1:] if command.argv[0] == "sh" else command.argv
        environment = {**os.environ, "LC_ALL": "C", "PATH": f"{os.environ['PATH']}:/usr/local/sbin:/usr/sbin:/sbin"}
        return subprocess.run(
            (*self.shell, *argv) if command.argv[0] == "sh" else argv,
            input=command.stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=environment,
        )

    def do(self, change: Change) -> None:
        """Carry a step out; it has to work."""
        done = self.run(change.do)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        if change.seen and change.undo:  # what is begun anew shows what comes of it later
            assert wanted(self.ask(change.seen)) == change.after

    def ask(self, probe: Probe) -> Json:
        """The answer to a question."""
        done = self.run(probe.command)
        return parse(probe.parser, Reply(done.returncode, done.stdout.encode(), done.stderr.encode()))

    def sql(self, option_file: str, text: str) -> subprocess.CompletedProcess[str]:
        """Ask the isolated server."""
        argv = ("mariadb", f"--defaults-file={option_file}", "-N", "-B")
        return subprocess.run(argv, input=text, capture_output=True, text=True, check=False)


SHELLS: Final = {"dash": ("dash",), "bash": ("bash",), "busybox": ("busybox", "sh")}


def of_shell(name: str) -> Iterator[Host]:
    """A host that is at its start, and has to be so again at the end."""
    base = Path(tempfile.mkdtemp(prefix="remedy-instance-"))
    base.chmod(0o711)
    host = Host(base / "below", SHELLS[name])
    yield host
    for folder in host.base.glob("staging-*"):
        host.run(instance.removal(Instance("db01", folder.name.removeprefix("staging-"), str(host.base))))
    assert list(host.base.glob("*")) == []
    shutil.rmtree(base)


@pytest.fixture(params=SHELLS)
def each(request: pytest.FixtureRequest) -> Iterator[Host]:
    """A host with each of the shells that hosts have."""
    yield from of_shell(request.param)


@pytest.fixture
def host() -> Iterator[Host]:
    """A host."""
    yield from of_shell("dash")


@dataclass
class Running:
    """A host on which an instance runs, with an empty schema."""

    host: Host
    one: Instance


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """An instance that tests share which only ask."""
    for host in of_shell("dash"):
        one = one_of(host)
        host.do(instance.make(one))
        host.do(instance.start(one, Programs(), LIVE))
        host.do(inside.schema(one, SCHEMA, LIVE, ()))
        yield Running(host, one)


def one_of(host: Host, run: str = "R1") -> Instance:
    """The instance of a run."""
    return Instance("db01", run, str(host.base))


def processes(one: Instance) -> list[int]:
    """Processes of a run: server and watchman."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = path.read_bytes()
            if any(f"{one.root}{end}".encode() in line for end in "/:"):
                found.append(int(path.parent.name))
    return found


def server_of(one: Instance) -> int:
    """The process of its server."""
    return int(Path(one.root, "run", "pid").read_text())


def until(holds: Callable[[], bool]) -> None:
    """Wait for something that has to come."""
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_made_started_stopped_removed(each: Host) -> None:
    """Every step works, works again, and is taken back; every question tells the state; nothing is left."""
    one = one_of(each)
    made, started = instance.make(one), instance.start(one, Programs(), LIVE)
    folder, server = asked.folder(one.run, one.base), asked.server(one.run, one.base)
    assert (each.ask(folder), each.ask(server)) == ("absent", "stopped")
    each.do(made)
    assert each.run(made.do).returncode, "a folder that is there is not taken"
    assert (each.ask(folder), each.ask(server)) == ("present", "stopped")
    each.do(started)
    first = server_of(one)
    each.do(started)
    assert server_of(one) != first, "begun anew"
    assert len(processes(one)) == 2
    each.do(inside.schema(one, SCHEMA, LIVE, ("app@%", "o`dd@10.%", "role@", "")))
    each.do(inside.schema(one, SCHEMA, LIVE, ()))
    each.do(inside.mark(one))
    assert each.ask(inside.compared(one)) == "done"
    each.do(inside.schema(one, "other", LIVE, ()))
    assert each.ask(inside.compared(one)) == "absent", "what is made anew was not compared"
    assert started.undo
    assert made.undo
    assert each.run(started.undo).returncode == 0
    assert (each.ask(folder), each.ask(server), processes(one)) == ("present", "stopped", [])
    each.do(started)
    assert each.sql(one.own, "SHOW DATABASES LIKE 'other'").stdout == "other\n", "its data is kept"
    assert each.run(made.undo).returncode == 0
    assert (each.ask(folder), each.ask(server), processes(one)) == ("absent", "stopped", [])
    assert each.run(made.undo).returncode == 0
    each.do(instance.remove(one))


def test_reached_by_nobody(running: Running) -> None:
    """It has no port and a network of its own, runs no events, and SQL in it reads and writes no file of the host."""
    host, one = running.host, running.one
    server = server_of(one)
    assert Path(f"/proc/{server}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()
    assert Path(f"/proc/{server}/oom_score_adj").read_text() == "1000\n"
    assert "mysql" in Path(f"/proc/{server}").owner()
    values = (
        "@@skip_networking, @@log_bin, @@event_scheduler, @@have_symlink, @@local_infile, @@performance_schema, "
        "@@lower_case_table_names, @@explicit_defaults_for_timestamp"
    )
    answer = host.sql(one.own, f"SELECT {values}")
    assert answer.stdout.split() == ["1", "0", "OFF", "DISABLED", "0", "0", "0", "1"]
    for path in ("data", "run", "tmp", "none"):
        assert Path(one.root, path).stat().st_mode & 0o777 == 0o700
    for path in (one.own, one.login):
        status = Path(path).stat()
        assert (status.st_mode & 0o777, status.st_uid) == (0o600, 0)
    assert Path(one.root).stat().st_uid == 0, "the server's account cannot put anything beside its data"
    assert not Path(one.root, "run", "init.sql").exists()
    written = host.base / "written"
    for sql in (f"SELECT 1 INTO OUTFILE '{written}'", f"SELECT 1 INTO OUTFILE '{one.root}/login.cnf.2'"):
        assert "ERROR 1290" in host.sql(one.own, sql).stderr
    assert host.sql(one.own, "SELECT LOAD_FILE('/etc/passwd')").stdout == "NULL\n"
    host.sql(one.own, f"CREATE DATABASE x; CREATE TABLE x.t (a INT) DATA DIRECTORY='{host.base}'")
    assert list(host.base.glob("x*")) == []


def test_loading_account_fills_the_schema_alone(running: Running) -> None:
    """Who loads a dump that an intruder planted can change nothing but the schema."""
    host, one = running.host, running.one
    assert host.sql(one.login, "USE `we``ird 订单`; CREATE TABLE s (a INT); INSERT INTO s VALUES (1)").returncode == 0
    charset = host.sql(
        one.own, "SELECT default_collation_name FROM information_schema.schemata WHERE schema_name LIKE 'we%'"
    )
    assert charset.stdout == "utf8mb4_unicode_ci\n"
    for sql in (
        "SET GLOBAL general_log_file='/tmp/x'",
        "CREATE DATABASE other",
        "SELECT * FROM mysql.global_priv",
        "GRANT ALL ON *.* TO x@y",
        "INSTALL SONAME 'ha_connect'",
        "DROP DATABASE mysql",
    ):
        assert host.sql(one.login, sql).returncode, sql


def test_goes_away_by_itself(host: Host) -> None:
    """When its time is over it ends and leaves nothing, though nobody is there."""
    one = one_of(host)
    host.do(instance.make(one))
    host.do(instance.start(one, Programs(), LIVE))
    assert host.run(instance.start(one, Programs(), LIVE, 1).do).returncode in {0, 1}
    until(lambda: not Path(one.root).exists() and not processes(one))


def test_temporary_files_of_others(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that starts empties its folder for temporary files: that is never the one other servers use."""
    shared = host.base.parent / "shared"
    shared.mkdir(mode=0o777)
    shared.chmod(0o1777)
    theirs = shared / "#sql-temptable-1-1-1.MAI"
    theirs.write_bytes(b"in use")
    shutil.chown(theirs, "mysql")
    monkeypatch.setenv("TMPDIR", str(shared))
    one = one_of(host)
    host.do(instance.make(one))
    host.do(instance.start(one, Programs(), LIVE))
    assert theirs.read_bytes() == b"in use"


def test_survives_its_session(running: Running) -> None:
    """The server and its watchman belong to no session of whoever started them."""
    for process in processes(running.one):
        stat = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        assert int(stat[3]) != os.getsid(0)
        assert int(stat[4]) == 0, "no terminal"


def test_card(host: Host) -> None:
    """What the card says, typed on the console, leaves nothing."""
    one = one_of(host)
    host.do(instance.make(one))
    host.do(instance.start(one, Programs(), LIVE))
    typed = "\n".join(instance.card(one))
    subprocess.run(("bash", "-e"), input=typed, text=True, check=True, timeout=30)
    until(lambda: not processes(one))
    assert not Path(one.root).exists()


def test_others_are_left_alone(host: Host) -> None:
    """Removing a run ends what is its own, not a run whose name begins alike."""
    one, other = one_of(host, "R1"), one_of(host, "R10")
    for each in (one, other):
        host.do(instance.make(each))
        host.do(instance.start(each, Programs(), LIVE))
    host.do(instance.remove(one))
    assert host.ask(asked.server(other.run, other.base)) == "running"
    assert (Path(one.root).exists(), Path(other.root).exists()) == (False, True)


def test_interrupted_start_is_begun_anew(host: Host) -> None:
    """Killed before it was whole, a data directory is made anew; a server that hangs is ended first."""
    one = one_of(host)
    host.do(instance.make(one))
    host.do(instance.start(one, Programs(), LIVE))
    Path(one.root, "data.complete").unlink()
    Path(one.root, "data", "ibdata1").write_bytes(b"half")
    os.kill(server_of(one), signal.SIGSTOP)
    host.do(instance.start(one, Programs(), LIVE))


@pytest.mark.parametrize(
    ("programs", "live", "said"),
    [
        (Programs(server="no-such-server"), LIVE, "it ended instead of starting"),
        (Programs(install="false"), LIVE, "its system tables cannot be made"),
        (Programs(account="no-such-account"), LIVE, "there is no account no-such-account"),
        (Programs(), {**LIVE, "collation_server": "no_such"}, "Unknown collation: 'no_such'"),
    ],
)
def test_start_that_fails(host: Host, programs: Programs, live: dict[str, str], said: str) -> None:
    """A start that fails says why, and leaves no process; its folder goes with the step before."""
    one = one_of(host)
    made = instance.make(one)
    host.do(made)
    done = host.run(instance.start(one, programs, live).do)
    assert done.returncode == 1
    assert said in done.stderr
    assert processes(one) == []
    assert made.undo
    assert host.run(made.undo).returncode == 0


def test_questions_of_the_site(running: Running) -> None:
    """A question passes with a large enough whole number alone; a failing one says why, without any rows."""
    host, one = running.host, running.one

    def ask(sql: str, at_least: int = 1) -> tuple[int, str]:
        done = host.run(inside.ask(one, SCHEMA, Question(sql, at_least)).do)
        return done.returncode, done.stderr.strip()

    host.sql(one.own, "USE `we``ird 订单`; CREATE OR REPLACE TABLE t (a INT PRIMARY KEY, secret TEXT)")
    host.sql(one.own, "INSERT INTO `we``ird 订单`.t VALUES (1, 's3cret')")
    assert ask("SELECT COUNT(*) FROM t;") == (0, "")
    assert ask("SELECT COUNT(*) FROM t", 2) == (1, "it gives 1, not at least 2")
    assert ask("SELECT secret FROM t") == (1, "it does not give one whole number")
    assert ask("SELECT a FROM t UNION ALL SELECT 2") == (1, "it does not give one whole number")
    assert ask("SELECT a FROM t WHERE a > 5") == (1, "it does not give one whole number")
    status, said = ask("INSERT INTO t VALUES (2, 's3cret'), (1, 's3cret')")
    assert status == 1
    assert said.startswith("ERROR 1062")
    assert "s3cret" not in said


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ("ln -s /etc/passwd site/x", "something that is no file: fetched/site/x"),
        ("mkfifo site/x", "something that is no file: fetched/site/x"),
        ("touch site/t.isl", "lies outside of the data directory: fetched/site/t.isl"),
        ("touch site/t.ibd.qp", "made with --compress"),
        (":", "mariadb-backup cannot prepare it"),
    ],
)
def test_files_that_are_not_started_on(host: Host, spoil: str, said: str) -> None:
    """Links, pipes, tables that lie elsewhere and packed files of a backup end its preparation."""
    one = one_of(host)
    host.do(instance.make(one))
    Path(one.fetched, "site").mkdir(parents=True)
    subprocess.run(("sh", "-ec", spoil), cwd=one.fetched, check=True)
    done = host.run(prepared.prepare(one, Programs()).do)
    assert done.returncode == 1
    assert said in done.stderr
    assert not Path(one.root, "data.complete").exists()


def test_settings_of_a_backup_are_not_obeyed(host: Host) -> None:
    """Of the options that a backup brings only those that describe its files reach a program."""
    one = one_of(host)
    host.do(instance.make(one))
    Path(one.fetched).mkdir()
    Path(one.fetched, "backup-my.cnf").write_text(
        "[mysqld]\ninnodb_data_home_dir=/var/lib/mysql\nplugin_load_add=evil\ninnodb_page_size=16384\n"
        "innodb_data_file_path=ibdata1:12M:autoextend\ninnodb_data_file_path=/etc/x:12M\n!include /etc/shadow\n"
        "innodb_undo_tablespaces=0\ninnodb_undo_directory=/\n[client]\ninit-command=x\n"
    )
    host.run(prepared.prepare(one, Programs()).do)
    kept = Path(one.data, "backup-my.cnf").read_text().splitlines()
    assert kept == [
        "[mysqld]",
        "innodb_page_size=16384",
        "innodb_data_file_path=ibdata1:12M:autoextend",
        "innodb_undo_tablespaces=0",
    ]


@pytest.mark.parametrize(
    "base", ["relative", "/", "/a/../b", "/a//b", "/a b", "/a;b", "/a\nb", "/a/", f"/{'a' * 100}", ""]
)
def test_folders_that_are_refused(base: str) -> None:
    """Only a plain absolute path can stand in scripts and option files."""
    with pytest.raises(UsageError):
        Instance("db01", "R1", base)


@given(st.text(max_size=40))
def test_any_folder_is_plain_or_refused(base: str) -> None:
    """No character that a shell or an option file reads in its own way gets through; a socket's path stays short."""
    with contextlib.suppress(UsageError):
        one = Instance("db01", "R" * 20, base)
        assert all(c.isascii() and (c.isalnum() or c in "/._-") for c in one.root)
        assert len(one.socket) <= 107


@given(st.dictionaries(st.sampled_from([*asked.SETTINGS, "datadir"]), st.text(max_size=30)))
def test_settings_that_reach_an_argument_vector(said: dict[str, str]) -> None:
    """Whatever the live server claims to be set to, nothing but what such a setting looks like becomes an option."""
    text = "".join(f"{name}\t{value}\n" for name, value in said.items()).encode("utf-8", "replace")
    found = asked.parse_live(Reply(0, text))
    assert isinstance(found, dict)
    live = {name: str(value) for name, value in found.items() if name != "missing"}
    assert set(live) <= set(asked.SETTINGS)
    for option in instance.options(live):
        assert option.startswith("--")
        assert "/" not in option
        assert not option.startswith("--loose-datadir")


def test_live_server_that_is_dead() -> None:
    """A live server that does not answer is an answer: null."""
    assert asked.parse_live(Reply(1, b"", b"ERROR 2002 (HY000): Can't connect")) is None


def test_host_is_read() -> None:
    """Programs, versions, memory and free space of a host are read; nonsense is refused."""
    text = (
        b"uid=0\nprogram.mariadbd=yes\nserver=mariadbd  Ver 10.11.6-MariaDB\naccount=mysql\nnetwork=own\n"
        b"free_kib=36489390\nmemory_kib=16221234\ncpus=2\napparmor=/usr/sbin/mysqld (enforce)\n"
        b"left=staging-R0\nother=x\n"
    )
    found = asked.parse_host(Reply(0, text))
    assert isinstance(found, dict)
    assert (found["free_kib"], found["cpus"], found["left"]) == (36489390, 2, ["staging-R0"])
    assert (found["programs"], found["selinux"]) == (["mariadbd"], "")
    for broken in (b"", b"uid=0\n", b"free_kib=5\n", b"uid=0\nfree_kib=-5\n"):
        with pytest.raises(AnswerUnusable):
            asked.parse_host(Reply(0, broken))
    with pytest.raises(AnswerUnusable):
        asked.parse_host(Reply(1, text))


@given(st.binary(max_size=200))
def test_hostile_answers(data: bytes) -> None:
    """Whatever a host answers, it is understood or refused."""
    for parser in asked.PARSERS.values():
        with contextlib.suppress(AnswerUnusable):
            parser(Reply(0, data))


def test_this_host(each: Host) -> None:
    """Asked with any shell, this machine says that it can run an isolated server."""
    found = each.ask(asked.host(str(each.base / "not" / "there" / "yet")))
    assert isinstance(found, dict)
    assert found["account"] == "mysql"
    programs = found["programs"]
    assert isinstance(programs, list)
    assert {"mariadbd", "mariadb-install-db", "mariadb-backup", "mbstream"} <= set(map(str, programs))
    assert "10." in str(found["server"])
