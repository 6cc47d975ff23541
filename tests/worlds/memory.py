"""A journal in memory, a clock that moves only by sleeping, and the death of the process at a chosen moment."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from remedy.core.canon import Json, canonical
from remedy.core.errors import HeldByOther
from remedy.core.ports import Session, Tell
from remedy.core.values import Command, Entry, Probe, Reply, Transfer

START = datetime(2026, 11, 20, 6, 0, 0, tzinfo=UTC).timestamp()


class Killed(BaseException):
    """The process ends here, as with SIGKILL: nothing below may catch it."""


@dataclass
class Clock:
    """Stands still but for `sleep`. `passed` are seconds since the start."""

    passed: float = 0.0

    def monotonic(self) -> float:
        """Seconds since the start."""
        return self.passed

    def now(self) -> float:
        """Seconds since 1970."""
        return START + self.passed

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.passed += seconds


@dataclass
class Life:
    """One process. `ends_after` is the number of its deeds (entries, changes, leases) after which it is killed."""

    ends_after: int | None = None
    deeds: int = 0
    dead: bool = False
    #: Which of the deeds were changes on a target.
    changes: list[int] = field(default_factory=list)

    def deed(self) -> None:
        """Something has just been done that outlives the process."""
        self.deeds += 1
        if self.deeds == self.ends_after:
            self.dead = True
        self.check()

    def check(self) -> None:
        """A dead process does nothing more."""
        if self.dead:
            raise Killed


@dataclass
class Pages:
    """What is on the disk of the record, whichever process wrote it."""

    entries: list[Entry] = field(default_factory=list)
    leases: dict[str, tuple[str, str, Life]] = field(default_factory=dict)


@dataclass
class Journal:
    """Implements core.ports.Journal over `pages`, for one process."""

    pages: Pages = field(default_factory=Pages)
    life: Life = field(default_factory=Life)
    now: Callable[[], float] = lambda: START

    def append(self, kind: str, body: Mapping[str, Json], *, incident: str, run: str = "", key: str = "") -> Entry:
        """As the port."""
        self.life.check()
        for entry in self.pages.entries:
            if key and entry.key == key:
                return entry
        seq = len(self.pages.entries) + 1
        text = canonical(dict(body)).decode()
        time = datetime.fromtimestamp(self.now(), UTC).isoformat()
        entry = Entry(seq, f"{seq:064x}", f"{seq - 1:064x}", time, kind, incident, run, key, text)
        self.pages.entries.append(entry)
        self.life.deed()
        return entry

    def entries(
        self, *, incident: str = "", run: str = "", kinds: Iterable[str] = (), after: int = 0
    ) -> Iterator[Entry]:
        """As the port."""
        self.life.check()
        wanted = tuple(kinds)
        for entry in tuple(self.pages.entries):
            said = (incident, entry.incident), (run, entry.run)
            right = all(wish in {"", found} for wish, found in said) and (not wanted or entry.kind in wanted)
            if entry.seq > after and right:
                yield entry

    def head(self) -> tuple[int, str]:
        """As the port."""
        return (self.pages.entries[-1].seq, self.pages.entries[-1].hash) if self.pages.entries else (0, "0" * 64)

    def hold(self, target: str, *, run: str, holder: str) -> None:
        """As the port: a lease of a dead process is taken over."""
        self.life.check()
        there = self.pages.leases.get(target)
        if there and not there[2].dead and there[0] != run:
            raise HeldByOther(f"{there[1]} holds {target}", where=target, hint="wait, or ask them")
        self.pages.leases[target] = (run, holder, self.life)
        self.life.deed()

    def let_go(self, target: str, *, run: str) -> None:
        """As the port."""
        self.life.check()
        if self.pages.leases.get(target, ("",))[0] == run:
            del self.pages.leases[target]

    def checkpoint(self) -> str:
        """As the port."""
        return f"{self.head()[0]}"

    def kinds(self, run: str) -> list[str]:
        """The kinds of a run's entries, in order."""
        return [entry.kind for entry in self.pages.entries if entry.run == run]

    def outcomes(self, run: str) -> list[str]:
        """The statuses of a run's outcomes, in order."""
        return [json.loads(e.body)["status"] for e in self.pages.entries if e.run == run and e.kind == "outcome"]


@dataclass
class Mortal:
    """A session of one process: ends with it. A change that was sent happens even when the process dies of it."""

    session: Session
    life: Life

    def ask(self, probes: Sequence[Probe], *, at: str) -> tuple[Json, ...]:
        """As the port."""
        self.life.check()
        return self.session.ask(probes, at=at)

    def ask_all(self, questions: Sequence[tuple[str, Sequence[Probe]]]) -> tuple[tuple[Json, ...] | Exception, ...]:
        """As the port."""
        self.life.check()
        return self.session.ask_all(questions)

    def send(self, command: Command, *, at: str) -> Reply:
        """As the port; the process may die before the reply is noted."""
        self.life.check()
        reply = self.session.send(command, at=at)
        self.life.changes.append(self.life.deeds + 1)
        self.life.deed()
        return reply

    def carry(self, transfer: Transfer, *, at: str, tell: Tell) -> Reply:
        """As the port; the process may die before the reply is noted."""
        self.life.check()
        reply = self.session.carry(transfer, at=at, tell=tell)
        self.life.changes.append(self.life.deeds + 1)
        self.life.deed()
        return reply

    def renew(self, at: str) -> None:
        """As the port."""
        self.life.check()
        self.session.renew(at)
