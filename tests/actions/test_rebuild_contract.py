"""A rebuild on a host whose server really is dead: what was there is kept to the byte, and comes back to the byte."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.worlds.deadserver import DeadServer
from tests.worlds.memory import Killed

from remedy import actions
from remedy.actions.rebuild import Rebuild
from remedy.backups.manifest import Manifest, encoded
from remedy.backups.values import Copy, Database
from remedy.core.canon import decode, encode
from remedy.core.errors import Refused, TargetUnfit
from remedy.core.values import Command, Plan, Target
from remedy.transports.bulk import Bulk
from remedy.transports.folders import FolderShelf
from remedy.transports.guard import CONTROLLER
from remedy.transports.running import Running
from remedy.transports.transfers import Carrier

ASIDE = "data.remedy-R1"


@pytest.fixture
def dead(tmp_path: Path) -> Iterator[DeadServer]:
    """The host."""
    if os.geteuid():
        pytest.fail("these tests make namespaces: run them as root")
    made = DeadServer(tmp_path)
    yield made
    made.close()


def test_rebuilt_and_undone(dead: DeadServer) -> None:
    """Planning changes nothing; the server answers, empty; the damaged files are kept, and undo puts them back."""
    first, second = dead.plan(), dead.plan()
    assert first == second
    assert decode(Plan, json.loads(json.dumps(encode(first)))) == first
    assert actions.build(first.action, first.params) == dead.action
    assert (dead.beside(), dead.hashes(dead.data)) == (["data"], dead.damaged)

    outcome = dead.act()
    assert outcome.status == "verified", outcome.doubts
    assert dead.beside() == ["data", ASIDE]
    assert dead.hashes(dead.folder / ASIDE) == dead.damaged
    assert "site" not in dead.sql("SHOW DATABASES")
    with pytest.raises(Refused, match="the database server answers"):
        dead.plan("R2")
    assert dead.resume() == []

    engine = dead.engine()
    dead.service("stop")
    assert [v.expect.why for v in engine.verify(first) if not v.held] == ["the server answers"]
    (dead.folder / ASIDE).rename(dead.folder / "elsewhere")
    assert len([v for v in engine.verify(first) if not v.held]) == 2, "each expectation can fail"
    (dead.folder / "elsewhere").rename(dead.folder / ASIDE)
    dead.service("start")

    outcome = dead.undo()
    assert outcome.status == "verified", outcome.doubts
    assert dead.beside() == ["data", "data.undone-R1"]
    assert dead.hashes(dead.data) == dead.damaged
    assert not dead.answers


#: The lease, the plan and its approval; then intent, change and reply of each of the two steps.
@pytest.mark.parametrize("moment", [5, 8])
def test_killed_at_any_moment(dead: DeadServer, moment: int) -> None:
    """Killed around any step, `resume` ends with a server that answers; undone after that, all is as it was."""
    dead.killed(moment)
    whole = dead.folder / ASIDE if (dead.folder / ASIDE).exists() else dead.data
    assert dead.hashes(whole) == dead.damaged
    [outcome] = dead.resume()
    assert outcome.status == "verified", outcome.doubts
    assert dead.answers
    assert dead.undo().exit_code == 0
    assert dead.hashes(dead.data) == dead.damaged


@pytest.mark.parametrize("half", ["moved", "half made", "made"])
def test_broken_off_inside_a_step(dead: DeadServer, half: str) -> None:
    """Whatever a power cut has left between the two renames, `resume` goes on from there, and `undo` goes back."""
    dead.killed(4)
    dead.data.rename(dead.folder / ASIDE)
    if half != "moved":
        (dead.folder / "data.new-R1").mkdir()
        (dead.folder / "data.new-R1" / ("ibdata1" if half == "half made" else ".remedy-R1")).write_bytes(b"")
    if half == "made":
        assert dead.undo().exit_code == 0
        assert (dead.beside(), dead.hashes(dead.data)) == (["data"], dead.damaged)
        return
    [outcome] = dead.resume()
    assert outcome.status == "verified", outcome.doubts
    assert dead.hashes(dead.folder / ASIDE) == dead.damaged


def test_a_service_that_does_not_start(dead: DeadServer) -> None:
    """When the empty server does not start either, the damaged directory is kept, and undo puts it back."""
    (dead.folder / "no-start").touch()
    assert dead.act().status == "failed"
    assert dead.hashes(dead.folder / ASIDE) == dead.damaged
    assert dead.undo().exit_code == 0
    assert dead.hashes(dead.data) == dead.damaged


def test_a_server_that_is_alive_is_never_moved(dead: DeadServer) -> None:
    """A server that refuses the login is alive; one that its service does not know of keeps its directory."""
    (dead.data / "ibdata1").unlink()
    for log in dead.data.glob("ib_logfile*"):
        log.unlink()
    plan = dead.plan()
    dead.host.run("mariadbd --user=root --pid-file=$1/other >/dev/null 2>&1 </dev/null &", str(dead.folder))
    dead.service_answers()
    refusing = dead.folder / "wrong.cnf"
    refusing.write_text(f"[client]\nuser=nobody\npassword=wrong\nsocket={dead.folder}/s\n")
    wrong = replace(dead.action, database=replace(dead.action.database, defaults_file=str(refusing)))
    with pytest.raises(Refused, match="the database server answers"):
        dead.job(wrong, "R2").plan(dead.session)
    reply = dead.session.send(plan.changes[0].do, at="db01")
    assert reply.status == 1
    assert b"still works in" in reply.err
    assert dead.beside() == ["data"]


def test_unfit(dead: DeadServer) -> None:
    """A host without that service, or whose data directory is a mount, is refused with what to do."""
    dead.host.run("mv /etc/init.d/mariadb /etc/init.d/other")
    with pytest.raises(TargetUnfit, match="no service called mariadb") as caught:
        dead.plan()
    assert "--server-unit" in caught.value.hint
    dead.host.run("mv /etc/init.d/other /etc/init.d/mariadb; mount -t tmpfs tmpfs $1", str(dead.data))
    with pytest.raises(TargetUnfit, match="is a mount point"):
        dead.plan()


HASH = "*6BB4837EB74329105EE4568DDA7DC67ED2CA2AD9"
ACCOUNTS = (
    f"CREATE USER `app`@`localhost` IDENTIFIED BY PASSWORD '{HASH}'",
    "GRANT SELECT (`id`) ON `site`.`notice` TO `app`@`localhost`",
)


class Near:
    """Programs on this machine, from which the server of the host is reached by its socket too."""

    def __init__(self, bulk: Bulk) -> None:
        """Start them through `bulk`."""
        self.bulk = bulk

    def start(self, command: Command, *, at: str, short: bool = False) -> Running:
        """As the port."""
        assert at == "db01"
        return self.bulk.start(command, at=CONTROLLER, short=short)


#: As above; then the step that makes the accounts.
@pytest.mark.parametrize("moment", [10, 11])
def test_killed_while_accounts_are_made(tmp_path: Path, moment: int) -> None:
    """Killed around it, `resume` makes the accounts with rights and passwords, which are nowhere in the record."""
    local = Target(CONTROLLER, "127.0.0.1", user="root")
    with Bulk(lambda name: Target(name, ""), lambda secret: secret.value, local=local, user="root") as bulk:
        carrier = Carrier(
            Near(bulk), lambda _, copy: FolderShelf(copy, bulk), lambda chunks, _: ("", False, iter(chunks))
        )
        dead = DeadServer(tmp_path, carrier)
        try:
            (tmp_path / "root.cnf").write_text(f"[client]\nsocket={tmp_path}/s\n")
            copy = Copy("near", host=CONTROLLER, path=str(tmp_path / "copy"))
            (tmp_path / "copy").mkdir()
            manifest = Manifest("site", "site", "db01", "10.11", 1, "0" * 64, 1, accounts=ACCOUNTS)
            (tmp_path / "copy" / "now.manifest.json").write_bytes(encoded(manifest))
            site = Database("site", "site", "db01", (copy,), defaults_file=str(tmp_path / "root.cnf"))
            with contextlib.suppress(Killed):
                dead.act(Rebuild(site, accounts=ACCOUNTS, told="a manifest"), ends_after=moment)
            [outcome] = dead.resume()
            assert outcome.status == "verified", outcome.doubts
            shown = dead.sql("SHOW GRANTS FOR app@localhost")
            assert [line for line in shown if HASH in line]
            assert "GRANT SELECT (`id`) ON `site`.`notice` TO `app`@`localhost`" in shown
            assert dead.sql("SHOW DATABASES LIKE 'site'") == []
            record = "".join(str(entry) for entry in dead.pages.entries)
            assert "IDENTIFIED BY PASSWORD" in record
            assert HASH not in record
            assert dead.undo().exit_code == 0
            assert dead.hashes(dead.data) == dead.damaged
        finally:
            dead.close()
