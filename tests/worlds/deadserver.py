"""A host of its own whose database server has died: its /etc, /run and processes are private, its data is real.

Decides how a service is started and stopped without touching this machine's: an init script in the host's own overlay
of /etc. The product's own scripts run there by nsenter(1), as `tests.worlds.real` runs those of an isolation.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.worlds.memory import Journal, Killed, Life, Mortal, Pages
from tests.worlds.namespaces import Host
from tests.worlds.staging import Watch

from remedy.actions import Action
from remedy.actions.rebuild import Rebuild
from remedy.actions.undo import Undo
from remedy.backups.values import Database
from remedy.core.ports import Tell
from remedy.core.values import Command, Context, Plan, Reply, Site, Target, Transfer
from remedy.engine import replay
from remedy.engine.job import Job
from remedy.engine.outcome import Outcome
from remedy.engine.run import Engine
from remedy.probes import parse
from remedy.transports.guard import Sessions
from remedy.transports.limits import Limits
from remedy.transports.replies import Replies
from remedy.transports.script import build

__all__ = ["DeadServer"]

TARGET: Final = Target("db01", "198.18.2.21")
_INIT_SCRIPT: Final = r"""#!/bin/sh
pid=$(cat {folder}/pid 2>/dev/null)
case $1 in
  start) [ ! -e {folder}/no-start ] || exit 1
    mariadbd --user=root >> {folder}/log 2>&1 < /dev/null & ;;
  stop) [ -z "$pid" ] || kill "$pid" 2>/dev/null
    n=0; while [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null && [ $n -lt 100 ]; do sleep 0.1; n=$((n + 1)); done ;;
  status) [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null ;;
esac
"""
_OPTIONS: Final = """
[mysqld]
datadir={folder}/data
socket={folder}/s
pid-file={folder}/pid
skip-networking
innodb-buffer-pool-size=32M
[client]
socket={folder}/s
"""


class _Channel:
    """Runs commands in the host. Implements core.ports.Connection."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def run(self, commands: Sequence[Command]) -> tuple[Reply, ...]:
        """As the port."""
        nonce = os.urandom(16).hex()
        done = subprocess.run(
            self._host.enter("sh"), input=build(commands, nonce, None), capture_output=True, timeout=90, check=False
        )
        replies = Replies(len(commands), nonce, Limits(), "db01")
        replies.feed_out(done.stdout)
        replies.feed_err(done.stderr)
        return replies.result()

    def close(self) -> None:
        """Nothing stays open."""


@dataclass
class DeadServer:
    """The host, below `folder`; an operator with a record. `carry` carries streams, as `Sessions` wants it."""

    folder: Path
    carry: Callable[[Transfer, str, Tell], Reply] | None = None
    pages: Pages = field(default_factory=Pages)
    lives: list[Life] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make a server with some data, and spoil it."""
        self.host = Host("db01")
        self.data = self.folder / "data"
        values = {"folder": str(self.folder)}
        configure = 'rm -rf /etc/mysql /etc/my.cnf; mkdir /etc/mysql; printf %s "$1" > /etc/mysql/my.cnf'
        self.host.run(configure, _OPTIONS.format(**values))
        serve = 'printf %s "$1" > /etc/init.d/mariadb; chmod 755 /etc/init.d/mariadb'
        self.host.run(serve, _INIT_SCRIPT.format(**values))
        self.host.run('mariadb-install-db --user=root --datadir="$1" --skip-test-db', str(self.data))
        self.service("start")
        self.sql("CREATE DATABASE site; CREATE TABLE site.notice (id INT); INSERT INTO site.notice VALUES (1)")
        self.service("stop")
        (self.data / "ibdata1").write_bytes(b"\x00spoilt\n" * 1000)
        self.session = Sessions(lambda _: _Channel(self.host), lambda name: Target(name, ""), parse, carry=self.carry)
        self.damaged = self.hashes(self.data)

    def service(self, what: str) -> None:
        """Start it and wait until it answers, or stop it."""
        self.host.run("/etc/init.d/mariadb $1", what)
        if what == "start":
            self.service_answers()

    def service_answers(self) -> None:
        """Wait until the server answers."""
        until = time.monotonic() + 30
        while not self.answers:
            assert time.monotonic() < until, (self.folder / "log").read_text()[-2000:]
            time.sleep(0.05)

    def sql(self, sql: str) -> list[str]:
        """Ask as root."""
        return self.host.run('mariadb -N -B -e "$1"', sql).splitlines()

    @property
    def answers(self) -> bool:
        """Whether the server does."""
        try:
            return self.sql("SELECT 1") == ["1"]
        except RuntimeError:
            return False

    def hashes(self, folder: Path) -> dict[str, str]:
        """Every file of a directory, by its content."""
        found = sorted(path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}

    def beside(self) -> list[str]:
        """What lies beside the data directory, and it."""
        return sorted(path.name for path in self.folder.iterdir() if path.is_dir())

    @property
    def action(self) -> Rebuild:
        """The action."""
        return Rebuild(Database("site", "site", "db01"))

    def engine(self, ends_after: int | None = None) -> Engine:
        """A new process; those before it are gone."""
        for life in self.lives:
            life.dead = True
        self.lives.append(life := Life(ends_after))
        return Engine(Mortal(self.session, life), Journal(self.pages, life, time.time), Watch(), "ops@adm1")

    def job(self, action: Action, run: str) -> Job:
        """The action on the host."""
        return Job(action, TARGET, Site(), Context(run, "INC-1", "0" * 16))

    def plan(self, run: str = "R1") -> Plan:
        """What a rebuild would do now."""
        return self.job(self.action, run).plan(self.session)

    def act(self, action: Action | None = None, run: str = "R1", ends_after: int | None = None) -> Outcome:
        """Plan, approve and apply."""
        engine, job = self.engine(ends_after), self.job(action or self.action, run)
        plan = job.plan(self.session)
        return engine.apply(job, plan, engine.approve(plan, "ops"))

    def killed(self, moment: int) -> Life:
        """Rebuild, and be killed after so many deeds."""
        with contextlib.suppress(Killed):
            self.act(ends_after=moment)
        return self.lives[-1]

    def resume(self) -> list[Outcome]:
        """What `remedy resume` does."""
        engine = self.engine()
        return [replay.resume(engine, run) for run in list(replay.unfinished(engine.journal))]

    def undo(self, name: str = "U1") -> Outcome:
        """What `remedy undo` does."""
        return self.act(Undo(replay.read(self.engine().journal, "R1").plan), name)

    def close(self) -> None:
        """End the host and all in it."""
        self.host.close()
