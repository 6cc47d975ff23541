"""A staging host that is this machine: a session whose commands and streams are real, copies that are folders."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.worlds.mariadb import Server
from tests.worlds.memory import Journal, Killed, Life, Mortal, Pages

from remedy.actions import Action
from remedy.actions.prove import Prove
from remedy.backups import catalog
from remedy.backups.values import Backup, Copy, Database, Judgement, Keys
from remedy.core.errors import UnknownTarget
from remedy.core.ports import Session
from remedy.core.values import Context, Plan, Secret, Site, Target
from remedy.engine import replay
from remedy.engine.job import Job
from remedy.engine.outcome import Outcome
from remedy.engine.run import Engine
from remedy.probes import parse
from remedy.transports.bulk import Bulk
from remedy.transports.folders import FolderShelf
from remedy.transports.guard import CONTROLLER, Sessions
from remedy.transports.local import LocalConnection
from remedy.transports.transfers import Carrier
from remedy.transports.transfers.pipeline import read_backup

__all__ = ["World"]

TARGET = Target(CONTROLLER, "")


def unsealed(chunks: Iterable[bytes], _: Keys) -> tuple[str, bool, Iterator[bytes]]:
    """Nothing here is encrypted."""
    return "", False, iter(chunks)


def nobody(name: str) -> Target:
    """There is no other host."""
    raise UnknownTarget(f"no host {name}")


def reveal(secret: Secret) -> str:
    """A secret by its value."""
    return secret.value


class Watch:
    """The machine's clock."""

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(min(seconds, 0.2))


@dataclass
class World:
    """One machine: a live server, a folder with backups, a folder for isolated servers; an operator with a record."""

    place: Path
    live: Server
    pages: Pages = field(default_factory=Pages)
    lives: list[Life] = field(default_factory=list)

    @classmethod
    @contextlib.contextmanager
    def made(cls, *options: str) -> Iterator[World]:
        """A world with a live server that has nothing in it yet; everything is gone at the end."""
        place = Path(tempfile.mkdtemp(prefix="remedy-staging-"))
        place.chmod(0o711)
        (place / "copy").mkdir()
        world = cls(place, Server(place / "live", *options).start())
        try:
            yield world
        finally:
            world.bulk.close()
            world.live.close()
            for left in Path(world.base).glob("staging-*"):
                raise AssertionError(f"left behind: {left}")
            shutil.rmtree(place)

    def __post_init__(self) -> None:
        """Nothing is started yet."""
        here = LocalConnection(TARGET, resolve_secret=reveal, user="root")
        self.bulk = Bulk(nobody, reveal, local=TARGET)
        carry = Carrier(self.bulk, lambda _, copy: FolderShelf(copy, self.bulk), unsealed)
        self.session: Session = Sessions(lambda _: here, nobody, parse, local=here, carry=carry)
        self.shelf = FolderShelf(self.copy, self.bulk)

    @property
    def base(self) -> str:
        """Where isolated servers are made."""
        return str(self.place / "base")

    @property
    def copy(self) -> Copy:
        """The copy in which backups lie."""
        return Copy("near", host=CONTROLLER, path=str(self.place / "copy"))

    @property
    def database(self) -> Database:
        """The database "site" of the live server."""
        return Database(
            "site", "site", CONTROLLER, copies=(self.copy,), defaults_file=str(self.live.option_file), timezone="UTC"
        )

    def backups(self) -> dict[str, Backup]:
        """What lies in the copy, by name."""
        return {backup.name: backup for backup in catalog.backups(self.copy, self.shelf.list())}

    def judged(self, backup: Backup) -> Judgement:
        """What reading a backup says."""
        return read_backup(
            lambda _: self.shelf, self.database, backup, unsealed, lambda _: None, lambda _, __, ___: None
        )

    def prove(self, name: str, database: Database | None = None, judgement: Judgement | None = None) -> Prove:
        """The action that proves a backup of the copy."""
        backup = self.backups()[name]
        return Prove(
            database=database or self.database,
            copy=self.copy,
            backup=backup,
            judgement=judgement or self.judged(backup),
            folder=self.base,
        )

    def job(self, action: Action, run: str) -> Job:
        """The action on this machine."""
        return Job(action, TARGET, Site(), Context(run, "INC-1", "0" * 16))

    def plan(self, action: Action, run: str = "R1") -> Plan:
        """What it would do now."""
        return self.job(action, run).plan(self.session)

    def engine(self, ends_after: int | None = None) -> Engine:
        """A new process; those before it are gone."""
        for life in self.lives:
            life.dead = True
        self.lives.append(life := Life(ends_after))
        return Engine(Mortal(self.session, life), Journal(self.pages, life, time.time), Watch(), "ops@adm1")

    def act(self, action: Action, run: str = "R1", ends_after: int | None = None) -> Outcome:
        """Plan, approve and apply."""
        engine, job = self.engine(ends_after), self.job(action, run)
        plan = job.plan(self.session)
        return engine.apply(job, plan, engine.approve(plan, "ops"))

    def killed(self, action: Action, run: str, moment: int) -> Life:
        """Apply, and be killed after so many deeds; the life that this was."""
        with contextlib.suppress(Killed):
            self.act(action, run, moment)
        return self.lives[-1]

    def resume(self) -> list[Outcome]:
        """What `remedy resume` does."""
        engine = self.engine()
        return [replay.resume(engine, run) for run in list(replay.unfinished(engine.journal))]

    def left(self) -> list[str]:
        """What is there of isolated servers: folders, processes."""
        folders = [str(path) for path in Path(self.base).glob("staging-*")]
        processes = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if f"{self.base}/staging-" in line:
                    processes.append(line[:200])
        return folders + processes
