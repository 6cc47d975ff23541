"""Proofs of backups on this machine: a live server, isolated ones, real dumps, physical backups and binary logs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest
from tests.worlds.mariadb import Server
from tests.worlds.staging import World

from remedy import actions
from remedy.actions.prove import Prove
from remedy.actions.recovery import instance
from remedy.actions.recovery.instance import Instance
from remedy.actions.undo import Undo
from remedy.backups import binlog, containers, transfers
from remedy.backups.binlog import Search, Stretch, Until
from remedy.backups.transfers import Compare, Load, Staged
from remedy.backups.values import Contents, File, Judgement, Question, Table
from remedy.core.canon import Json, decode, encode
from remedy.core.errors import ConnectFailed, Refused, TargetUnfit, UsageError
from remedy.core.values import Plan, Probe
from remedy.engine import proof, replay
from remedy.engine.outcome import Outcome
from remedy.transports.guard import CONTROLLER

SITE: Final = """
CREATE DATABASE site CHARACTER SET utf8mb4; USE site;
CREATE USER app@'10.%'; GRANT ALL ON site.* TO app@'10.%';
CREATE TABLE customer (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(80) NOT NULL, UNIQUE (name));
CREATE TABLE orders (id INT PRIMARY KEY, customer INT, total DECIMAL(10, 2), twice INT AS (id * 2) VIRTUAL, body BLOB,
  CONSTRAINT o FOREIGN KEY (customer) REFERENCES customer (id));
CREATE TABLE visit (path VARCHAR(60), n INT);
INSERT INTO customer (name) SELECT CONCAT('王小明😀', seq) FROM seq_1_to_300;
INSERT INTO orders (id, customer, total, body) SELECT seq, 1 + seq % 300, seq / 7, REPEAT(CHAR(seq % 256), seq % 90)
  FROM seq_1_to_900;
INSERT INTO visit SELECT '/same', seq FROM seq_1_to_200;
CREATE DEFINER=app@'10.%' VIEW totals AS SELECT customer, SUM(total) AS total FROM orders GROUP BY customer;
CREATE VIEW above AS SELECT * FROM totals WHERE total > 100;
CREATE DEFINER=app@'10.%' TRIGGER stamp BEFORE INSERT ON visit FOR EACH ROW SET NEW.n = COALESCE(NEW.n, 1);
CREATE FUNCTION tax(x INT) RETURNS INT DETERMINISTIC RETURN x * 2;
CREATE EVENT nightly ON SCHEDULE EVERY 1 SECOND DO DELETE FROM site.visit;
"""
QUESTIONS: Final = (
    Question("SELECT COUNT(*) FROM orders", 900),
    Question("SELECT COUNT(*) FROM above"),
    Question("SELECT tax(4)", 8),
)


@dataclass(frozen=True)
class Backed:
    """A world whose database "site" was backed up in every way before it lost a table."""

    world: World
    before: str

    @property
    def logs(self) -> tuple[File, ...]:
        """The live server's binary logs, as they lie in the copy."""
        return tuple(file for file in self.world.shelf.list() if file.name.startswith("logs/"))


def rows(server: Server | str, schema: str = "site") -> str:
    """All rows and definitions of the tables, as one text."""
    option = server if isinstance(server, str) else str(server.option_file)
    argv = ("mariadb-dump", f"--defaults-file={option}", "--skip-comments", "--skip-triggers", "--hex-blob")
    made = (*argv, schema, "customer", "orders", "visit")
    return re.sub(r" AUTO_INCREMENT=\d+", "", subprocess.run(made, check=True, capture_output=True, text=True).stdout)


@pytest.fixture(scope="module")
def backed() -> Iterator[Backed]:
    """The world, made once; nothing of it is changed by a proof."""
    with World.made("--log-bin=bin", "--server-id=7", "--binlog-format=MIXED", "--innodb-log-file-size=8M") as world:
        world.live.sql(SITE)
        copy = Path(world.copy.path)
        (copy / "site-1.sql").write_bytes(world.live.dump("site", "--hex-blob", "--master-data=2", "--gtid"))
        argv = ("mariadb-backup", "--no-defaults", "--backup", f"--socket={world.live.socket}", "--user=root")
        subprocess.run((*argv, f"--target-dir={copy}/full"), check=True, capture_output=True)
        stream = subprocess.run((*argv, "--stream=mbstream"), check=True, capture_output=True).stdout
        (copy / "stream-1.xb").write_bytes(stream)
        world.live.sql(
            "USE site; UPDATE orders SET total = total + 1 WHERE id < 50; INSERT INTO visit VALUES ('/new', 5);"
        )
        before = rows(world.live)
        world.live.sql("USE site; DROP TABLE orders; INSERT INTO visit VALUES ('/after', 6); FLUSH BINARY LOGS")
        (copy / "logs").mkdir()
        for log in sorted((world.live.folder / "data").glob("bin.0*")):
            shutil.copy(log, copy / "logs")
        subprocess.run(("gzip", str(min((copy / "logs").iterdir()))), check=True)
        yield Backed(world, before)


@pytest.fixture
def world(backed: Backed) -> Iterator[World]:
    """The world with an empty record; nothing is left of isolated servers at the end."""
    backed.world.pages.entries.clear()
    backed.world.pages.leases.clear()
    backed.world.lives.clear()
    yield backed.world
    assert backed.world.left() == []


def results(world: World, run: str = "R1") -> dict[str, Any]:
    """What the streams of a run came to."""
    return dict(proof.results(world.engine().journal, run))


def judged(world: World, action: Prove, outcome: Outcome) -> Judgement:
    """What follows from a proof."""
    return proof.judged(action.judgement, outcome, results(world), now=1, seconds=1)


def failing(outcome: Outcome) -> str:
    """What the steps that failed said."""
    return "; ".join(step.said for step in outcome.steps if not step.ok)


def test_plan(world: World) -> None:
    """Planning twice gives the same plan, which survives being written down, and touches nothing."""
    action = world.prove("site-1.sql", replace(world.database, questions=QUESTIONS))
    plan = world.plan(action)
    assert plan == world.plan(action)
    assert decode(Plan, json.loads(json.dumps(encode(plan)))) == plan
    assert actions.build(plan.action, plan.params) == action
    assert not Path(world.base).exists()
    assert plan.on_failure == "undo"
    said = "\n".join(plan.notes)
    assert re.search(r"disk: about 0\.\d GiB of [\d.]+ GiB", said)
    assert "time: about 1 min" in said
    assert "does not answer" not in said
    assert f"rm -rf {world.base}/staging-R1" in plan.card


def test_dump_is_proven(world: World) -> None:
    """A good dump loads, compares, answers the site's questions; nothing is left, and the live server knows nothing."""
    live = world.live.sql("SELECT @@gtid_binlog_pos")
    action = world.prove("site-1.sql", replace(world.database, questions=QUESTIONS))
    outcome = world.act(action)
    assert outcome.status == "verified", outcome.doubts
    assert judged(world, action, outcome).level == "proven"
    assert world.live.sql("SELECT @@gtid_binlog_pos") == live
    again = replace(action, judgement=replace(action.judgement, level="proven"))
    assert world.plan(again, "R2").is_noop


def test_live_server_is_dead(world: World) -> None:
    """The proof needs no live server: that its settings are not known is said."""
    option = world.live.folder / "nobody.cnf"
    option.write_text("[client]\nsocket=/nonexistent\n")
    action = world.prove("site-1.sql", replace(world.database, defaults_file=str(option)))
    assert any("does not answer" in note for note in world.plan(action).notes)
    assert world.act(action).status == "verified"


def test_what_was_loaded_differs(world: World) -> None:
    """A backup that gives other rows than it was judged to hold is not proven, and nothing is left."""
    action = world.prove("site-1.sql")
    first, *others = action.judgement.contents.tables
    tables = (replace(first, rows="0" * 64), *others)
    wrong = replace(action.judgement, contents=replace(action.judgement.contents, tables=tables))
    outcome = world.act(replace(action, judgement=wrong))
    assert outcome.status == "failed"
    assert "is not what was judged: customer" in failing(outcome)


def test_backup_replaced_after_it_was_judged(world: World) -> None:
    """A file that is no longer the one that was judged is not loaded for it."""
    path = Path(world.copy.path) / "other-1.sql"
    path.write_bytes((Path(world.copy.path) / "site-1.sql").read_bytes())
    action = world.prove("other-1.sql")
    path.write_bytes(path.read_bytes().replace(b"/same", b"/else"))
    outcome = world.act(replace(action, backup=world.backups()["other-1.sql"]))
    assert outcome.status == "failed"
    assert "is not the backup that was judged" in failing(outcome)
    path.unlink()


SPOILT: Final[dict[str, tuple[Callable[[bytes], bytes], str]]] = {
    "a row twice": (lambda d: d.replace(b"(2,", b"(1,", 1), "ERROR 1062"),
    "a key of a column that is not there": (
        lambda d: d.replace(b"UNIQUE KEY `name` (`name`)", b"KEY (`gone`)"),
        "ERROR",
    ),
}


@pytest.mark.parametrize("how", SPOILT)
def test_dump_that_reads_well_and_does_not_load(world: World, how: str) -> None:
    """What looks whole and is refused by a server is found out, with the server's word for it and without its rows."""
    spoil, said = SPOILT[how]
    path = Path(world.copy.path) / "bad-1.sql"
    path.write_bytes(spoil((Path(world.copy.path) / "site-1.sql").read_bytes()))
    action = world.prove("bad-1.sql")
    assert action.judgement.level == "whole"
    outcome = world.act(action)
    assert said in failing(outcome)
    assert "王小明" not in failing(outcome)
    found = judged(world, action, outcome)
    assert (found.level, found.findings[-1].code, found.findings[-1].fatal) == ("whole", "proof", True)
    path.unlink()


def test_question_that_fails(world: World) -> None:
    """A backup whose data does not answer the site's own question is not proven."""
    question = Question("SELECT COUNT(*) FROM orders WHERE total IS NULL", 1)
    action = world.prove("site-1.sql", replace(world.database, questions=(question,)))
    outcome = world.act(action)
    assert failing(outcome) == "it gives 0, not at least 1"
    assert judged(world, action, outcome).level == "whole"


def test_killed_at_any_moment(world: World) -> None:
    """Killed right after any step, `resume` ends the proof well; nothing is left, whatever was there."""
    action = world.prove("site-1.sql", replace(world.database, questions=QUESTIONS[:1]))
    whole = world.act(action, "R0")
    assert whole.status == "verified", whole.doubts
    changes = world.lives[-1].changes
    assert len(changes) == len(world.plan(action).changes)
    # After the start, the load, the mark that it was compared, and the removal.
    for moment in (changes[1], changes[3], changes[5], changes[-1]):
        world.pages.entries.clear()
        world.pages.leases.clear()
        world.killed(action, "R1", moment)
        [outcome] = world.resume()
        assert outcome.status == "verified", (moment, outcome.doubts)
        assert world.left() == []


def test_undone_at_any_moment(world: World) -> None:
    """Killed after the start or the load, `undo` takes back what is there, which is then nothing."""
    action = world.prove("site-1.sql")
    world.act(action, "R0")
    for moment in (world.lives[0].changes[1], world.lives[0].changes[3]):
        world.pages.entries.clear()
        world.pages.leases.clear()
        world.killed(action, "R1", moment)
        assert world.left() != []
        plan = replay.read(world.engine().journal, "R1").plan
        assert world.act(Undo(plan), "U1").status == "verified"
        assert world.left() == []
        assert world.resume() == []


def test_expectation_fails_when_something_is_left(world: World) -> None:
    """What is left on the host after a proof would be seen."""
    plan = world.plan(world.prove("site-1.sql"))
    Path(world.base, "staging-R1").mkdir(parents=True)
    assert [v.held for v in world.engine().verify(plan)] == [False]
    Path(world.base, "staging-R1").rmdir()
    assert [v.held for v in world.engine().verify(plan)] == [True]


def names(contents: Contents) -> set[tuple[str, str, int]]:
    """Tables with digest and rows, without what depends on the dump's order."""
    return {(table.name, table.rows, table.count) for table in contents.tables}


@pytest.mark.parametrize("name", ["full", "stream-1.xb"])
def test_physical_backup_is_proven(world: World, name: str) -> None:
    """A physical backup is started and found to hold what the dump of the same moment holds."""
    action = world.prove(name, replace(world.database, questions=QUESTIONS))
    assert action.judgement.level == "whole"
    outcome = world.act(action)
    assert outcome.status == "verified", outcome.doubts
    found = judged(world, action, outcome)
    assert found.level == "proven"
    dumped = world.judged(world.backups()["site-1.sql"]).contents
    assert names(found.contents) == names(dumped)
    assert {(o.kind, o.name, o.digest) for o in found.contents.objects} == {
        (o.kind, o.name, o.digest) for o in dumped.objects
    }
    assert found.contents.facts.binlog == action.judgement.contents.facts.binlog


def flip(path: Path, at: int) -> None:
    """Change one bit."""
    data = bytearray(path.read_bytes())
    data[at] ^= 4
    path.write_bytes(data)


def test_physical_damage_that_prepare_accepts(world: World) -> None:
    """A flipped bit, a missing and a cut file, of which mariadb-backup says "completed OK!", are each found."""
    place = Path(world.copy.path) / "bad"
    shutil.copytree(Path(world.copy.path) / "full", place)
    subprocess.run(("mariadb-backup", "--prepare", f"--target-dir={place}"), check=True, capture_output=True)
    good = world.judged(world.backups()["bad"])
    flip(place / "site" / "orders.ibd", 16384 * 4 + 300)
    (place / "site" / "customer.ibd").unlink()
    os.truncate(place / "site" / "visit.ibd", 16384 * 3)
    backup = world.backups()["bad"]
    now = world.judged(backup)
    assert {f.code for f in now.findings} == {"missing", "page", "truncated", "unverifiable"}
    # As if reading had found nothing: the server started on it has to.
    action = replace(world.prove("bad", judgement=replace(good, sha256=now.sha256)), backup=backup)
    outcome = world.act(action)
    assert outcome.status == "failed"
    assert "3 of 3 tables are damaged" in failing(outcome)
    assert judged(world, action, outcome).findings[-1].code == "proof"
    shutil.rmtree(place)


def test_point_in_time(backed: Backed, world: World) -> None:
    """The dump and the binary logs to just before the loss give, row by row, what was there just before the loss."""
    kept = replace(world.prove("site-1.sql"), stretch=stretch(backed, "site-1.sql"), logs_copy=world.copy, keep=True)
    outcome = world.act(kept)
    assert outcome.status == "verified", outcome.doubts
    one = Instance(CONTROLLER, "R1", world.base)
    assert rows(one.own) == backed.before
    assert world.engine().session.send(instance.removal(one), at=CONTROLLER).status == 0


def test_point_in_time_from_a_physical_backup(backed: Backed, world: World) -> None:
    """So do a physical backup and the logs, killed after the logs were applied too: they are not applied twice."""
    action = replace(world.prove("full"), stretch=stretch(backed, "full"), logs_copy=world.copy, keep=True)
    applied = [n for n, change in enumerate(world.plan(action).changes) if "apply" in change.why]
    world.act(action, "R0")
    moment = world.lives[-1].changes[applied[0]]
    assert world.engine().session.send(instance.removal(Instance(CONTROLLER, "R0", world.base)), at=CONTROLLER)
    world.pages.entries.clear()
    world.killed(action, "R1", moment)
    [outcome] = world.resume()
    assert outcome.status == "verified", outcome.doubts
    one = Instance(CONTROLLER, "R1", world.base)
    assert rows(one.own) == backed.before
    assert world.engine().session.send(instance.removal(one), at=CONTROLLER).status == 0


def stretch(backed: Backed, name: str) -> Stretch:
    """The logs from a backup to just before the loss."""
    world = backed.world
    facts = world.judged(world.backups()[name]).contents.facts
    chain, findings = binlog.chain(backed.logs, facts)
    assert findings == ()
    search = Search(chain, facts, Until(statement=binlog.literal("DROP TABLE orders")), "site")
    for file in chain:
        search.begin(file)
        chunks = [Path(world.copy.path, file.name).read_bytes()]
        search.feed(b"".join(containers.opened(chunks)[2]))
        search.end()
    found = search.close()
    assert [f.code for f in found.findings] == []
    return found


def test_logs_begun_are_not_begun_again(backed: Backed, world: World) -> None:
    """Logs that were begun to be applied when everything broke off are refused, and the proof is given up."""
    action = replace(world.prove("site-1.sql"), stretch=stretch(backed, "site-1.sql"), logs_copy=world.copy)
    plan = world.plan(action)
    [at] = [n for n, change in enumerate(plan.changes) if "apply" in change.why]
    world.act(action, "R0")
    moment = world.lives[-1].changes[at - 1]
    world.pages.entries.clear()
    world.killed(action, "R1", moment)
    one = Instance(CONTROLLER, "R1", world.base)
    argv = ("mariadb", f"--defaults-file={one.own}", "-e", "CREATE DATABASE remedy__applying")
    subprocess.run(argv, check=True)
    [outcome] = world.resume()
    assert outcome.status == "failed"
    assert failing(outcome) == "the logs were begun to be applied before: begin anew"


def test_loaded_from_a_staged_server(world: World) -> None:
    """A server that was kept gives its rows to a loader; what comes is what its survey found, and compares as such."""
    action = replace(world.prove("full"), keep=True)
    outcome = world.act(action)
    assert outcome.status == "verified", outcome.doubts
    contents = judged(world, action, outcome).contents
    one = Instance(CONTROLLER, "R1", world.base)
    world.live.sql("CREATE DATABASE site__in CHARACTER SET utf8mb4")
    load = Load(
        database=world.database,
        copy=world.copy,
        backup=action.backup,
        sha256=action.judgement.sha256,
        contents=contents,
        into="site__in",
        login=str(world.live.option_file),
        staged=Staged(CONTROLLER, one.own, one.socket),
    )
    session = world.engine().session
    reply = session.carry(transfers.transfer(load), at=CONTROLLER, tell=quiet)
    assert reply.status == 0, reply.err
    compare = Compare(world.database, contents, "site__in", str(world.live.option_file))
    reply = session.carry(transfers.transfer(compare), at=CONTROLLER, tell=quiet)
    assert reply.status == 0, reply.err
    assert rows(world.live, "site__in") == rows(one.own)
    other = replace(load, contents=replace(contents, tables=contents.tables[1:]), into="site__in2")
    world.live.sql("CREATE DATABASE site__in2")
    refused = session.carry(transfers.transfer(other), at=CONTROLLER, tell=quiet)
    assert b"is not what was judged: customer" in refused.err
    world.live.sql("DROP DATABASE site__in; DROP DATABASE site__in2")
    assert session.send(instance.removal(one), at=CONTROLLER).status == 0


def quiet(_: str, __: int, ___: int) -> None:
    """Nobody is told."""


GOOD: Final[dict[str, Json]] = {
    "uid": "0",
    "server": "mariadbd  Ver 10.11.6-MariaDB",
    "backup": "mariadb-backup based on MariaDB server 10.11.6-MariaDB",
    "account": "mysql",
    "network": "own",
    "apparmor": "",
    "selinux": "",
    "free_kib": 50 << 20,
    "memory_kib": 4 << 20,
    "cpus": 2,
    "programs": [
        *("mariadbd", "mariadb-install-db", "mariadb", "mariadb-dump", "mariadb-backup", "mbstream", "setsid"),
        *("setpriv", "unshare", "tar"),
    ],
    "left": [],
}


@dataclass
class Host:
    """A staging host that answers so, and a live server that answers so or not."""

    found: dict[str, Json]
    live: dict[str, Json] | None

    def ask(self, probes: Sequence[Probe], *, at: str) -> tuple[Json, ...]:
        """Nobody asks this."""
        raise AssertionError((probes, at))

    def ask_all(self, questions: Sequence[tuple[str, Sequence[Probe]]]) -> tuple[tuple[Json, ...] | Exception, ...]:
        """As the port."""
        assert [at for at, _ in questions] == ["stage01", "db01"]
        return ((self.found,), (self.live,) if self.live is not None else ConnectFailed("no answer"))


def planned(
    world: World, said: dict[str, Json] | None = None, name: str = "site-1.sql", judgement: Judgement | None = None
) -> Plan:
    """The plan on a host that differs from a good one in what it says."""
    said = said or {}
    database = replace(world.database, host="db01", staging="stage01")
    action = world.prove(name, database, judgement)
    live: dict[str, Json] = {"lower_case_table_names": "1", "missing": []}
    host = Host({**GOOD, **said}, None if said.get("dead") else live)
    job = world.job(action, "R1")
    return action.plan(replace(job.target, name="stage01"), job.site, job.context, host)


@pytest.mark.parametrize(
    ("said", "error", "hint"),
    [
        ({"free_kib": 100}, "has 0.0 GiB free, proving this backup takes about 0.8 GiB", "make room"),
        ({"memory_kib": 100 << 10}, "only 100 MiB of memory", "another staging host"),
        ({"apparmor": "/usr/sbin/mariadbd (enforce)"}, "AppArmor confines", "/etc/apparmor.d/local"),
        ({"uid": "1000"}, "is made by root", "ansible_become"),
        ({"account": ""}, "no account mysql", "mariadb-server"),
        ({"programs": [], "server": ""}, "lacks a database server (mariadbd or mysqld), a client", "apt-get"),
        ({"programs": ["mariadbd", "mariadb", "mariadb-dump", "setsid"]}, "lacks mariadb-install-db", "apt-get"),
    ],
)
def test_hosts_that_cannot_prove(world: World, said: dict[str, Json], error: str, hint: str) -> None:
    """What a staging host lacks is said before anything is done, with the way out."""
    with pytest.raises(TargetUnfit, match=re.escape(error)) as caught:
        planned(world, said)
    assert hint in caught.value.hint
    assert caught.value.where == "stage01"


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"backup": "mariadb-backup based on MariaDB server 11.4.2-MariaDB"}, "this host has 11.4"),
        ({"programs": [p for p in GOOD["programs"] if p != "mariadb-backup"]}, "mariadb-backup is not installed"),  # type: ignore[union-attr]
    ],
)
def test_hosts_that_cannot_prove_files(world: World, said: dict[str, Json], error: str) -> None:
    """Files of a server are read by its own series alone."""
    with pytest.raises(TargetUnfit, match=re.escape(error)):
        planned(world, said, "full")


def test_what_is_told(world: World) -> None:
    """What the operator has to know of the host and of the versions is in the notes."""
    facts = replace(world.judged(world.backups()["site-1.sql"]).contents.facts, server="11.8.1-MariaDB")
    judgement = world.judged(world.backups()["site-1.sql"])
    newer = replace(judgement, contents=replace(judgement.contents, facts=facts))
    said = "\n".join(planned(world, {"network": "", "left": ["staging-R9"], "dead": True}, judgement=newer).notes)
    assert "made from a newer server (11.8.1-MariaDB)" in said
    assert "no network namespace" in said
    assert "staging-R9" in said
    assert "the live server on db01 does not answer" in said
    assert "no question of the site's own" in said
    mysql = replace(judgement, contents=replace(judgement.contents, facts=replace(facts, server="8.0.36")))
    assert "of another brand (8.0.36)" in "\n".join(planned(world, judgement=mysql).notes)


def test_settings_of_the_live_server_are_taken(world: World) -> None:
    """What decides how tables are made is as on the live server, on a host that has mysqld alone too."""
    words = " ".join(word for change in planned(world).changes for word in change.do.argv)
    assert "--loose-lower-case-table-names=1" in words
    programs: Json = ["mysqld", "mysql", "mysqldump", "setsid"]
    plan = planned(world, {"programs": programs, "server": "mysqld  Ver 8.0.36 for Linux on x86_64"})
    start = next(change for change in plan.changes if change.why.startswith("start"))
    assert start.do.argv[7:9] == ("mysqld", "")
    assert "--initialize-insecure" in start.do.argv[2]


def test_what_is_not_tried(world: World) -> None:
    """A backup that is not known to be whole is not proven, nor is one on another host than is meant for it."""
    judgement = replace(world.judged(world.backups()["site-1.sql"]), level="readable")
    with pytest.raises(Refused, match="only readable"):
        world.plan(world.prove("site-1.sql", judgement=judgement))
    with pytest.raises(UsageError, match="are proven on stage01, not on controller"):
        world.plan(world.prove("site-1.sql", replace(world.database, staging="stage01")))
    with pytest.raises(UsageError, match="none are named"):
        world.plan(replace(world.prove("site-1.sql"), stretch=Stretch()))


def test_space_by_numbers(world: World) -> None:
    """Space is demanded for three times the text of a dump, and for a physical backup somewhat more than its files."""
    dump = replace(world.judged(world.backups()["site-1.sql"]), read=10 << 30)
    with pytest.raises(TargetUnfit, match=re.escape("takes about 30.8 GiB")):
        planned(world, {"free_kib": 30 << 20}, judgement=dump)
    assert planned(world, {"free_kib": 31 << 20}, judgement=dump).changes
    files = replace(world.judged(world.backups()["full"]), read=10 << 30)
    with pytest.raises(TargetUnfit, match=re.escape("takes about 13.8 GiB")):
        planned(world, {"free_kib": 13 << 20}, "full", files)


def test_table_is_kept_whole() -> None:
    """Digests survive being kept in a plan."""
    table = Table("订单", "a" * 64, "b" * 64, 5, 10)
    assert decode(Table, encode(table)) == table
