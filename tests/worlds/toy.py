"""A toy host behind the real session port: named places that hold a word, a dead-man timer, faults on demand.

It understands five words of command: set PLACE FROM TO, get PLACE, arm, disarm, timer. Enough for everything the
engine does, and it makes a hundred runs in the time a real host makes one.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from tests.worlds.memory import Clock, Journal, Life, Mortal, Pages

from remedy.actions import Action, params
from remedy.core.canon import Json, canonical
from remedy.core.errors import ConnectFailed, ConnectionLost, RemedyError
from remedy.core.ports import Reader, Tell
from remedy.core.values import (
    Change,
    Command,
    Context,
    Expect,
    Guard,
    Plan,
    Probe,
    Reply,
    Site,
    Target,
    Transfer,
    wanted,
)
from remedy.engine.job import Event, Job
from remedy.engine.outcome import Outcome
from remedy.engine.run import Engine

TARGET = Target("web01", "198.18.1.11")
SITE = Site()
#: What the timer leaves in the place "rules".
FALLEN = "fallback"
SECONDS = 30


@dataclass
class Toy:
    """The world: implements core.ports.Session. `places` is the host, everything else is fate."""

    clock: Clock = field(default_factory=Clock)
    places: dict[str, str] = field(default_factory=lambda: {"rules": "", "boot": "", "flows": "live"})
    sent: list[tuple[str, ...]] = field(default_factory=list)
    #: Streams that were begun, by their place.
    carried: list[str] = field(default_factory=list)
    armed_at: float | None = None
    #: For the next sends and streams, in order: an error raised "before" or "after" the effect, or after "half" of it;
    #: a refusal ("refuse"), which may have left half of the effect ("spoil").
    fates: deque[str] = field(default_factory=deque)
    #: No login succeeds until the clock has passed this many seconds.
    away_until: float = 0.0
    #: Places that answer nonsense, with the error they raise.
    broken: dict[str, RemedyError] = field(default_factory=dict)
    renewed: int = 0

    def tick(self) -> None:
        """What the host does by itself: its timer."""
        if self.armed_at is not None and self.clock.passed >= self.armed_at + SECONDS:
            self.armed_at = None
            if self.places["rules"]:
                self.places["rules"] = FALLEN

    def _reach(self) -> None:
        self.tick()
        if self.clock.passed < self.away_until:
            raise ConnectFailed("no answer", where="web01")

    def ask(self, probes: Sequence[Probe], *, at: str) -> tuple[Json, ...]:
        """As the port."""
        self._reach()
        if at in self.broken:
            raise self.broken[at]
        return tuple(self._answer(probe.command.argv) for probe in probes)

    def _answer(self, argv: tuple[str, ...]) -> Json:
        if argv == ("timer",):
            return "off" if self.armed_at is None else "armed"
        if argv[1] in self.broken:
            raise self.broken[argv[1]]
        if argv[0] == "cells":
            return [self.places[argv[1]]] * int(argv[2])
        return self.places[argv[1]]

    def ask_all(self, questions: Sequence[tuple[str, Sequence[Probe]]]) -> tuple[tuple[Json, ...] | Exception, ...]:
        """As the port."""
        out: list[tuple[Json, ...] | Exception] = []
        for at, probes in questions:
            try:
                out.append(self.ask(probes, at=at))
            except RemedyError as error:
                out.append(error)
        return tuple(out)

    def send(self, command: Command, *, at: str) -> Reply:
        """As the port."""
        self._reach()
        self.sent.append(command.argv)
        return self._fated(lambda: self._do(command.argv), command.argv[1] if len(command.argv) > 1 else "", at)

    def _fated(self, effect: Callable[[], Reply], place: str, at: str) -> Reply:
        fate = self.fates.popleft() if self.fates else ""
        if fate in {"half", "spoil"}:
            self.places[place] = "half"
        if fate in {"before", "half"}:
            raise ConnectionLost("the session broke", where=at)
        reply = Reply(1, err=b"no \x1b[2J way") if fate in {"refuse", "spoil"} else effect()
        if fate == "after":
            raise ConnectionLost("the session broke", where=at)
        return reply

    def _do(self, argv: tuple[str, ...]) -> Reply:
        if argv == ("arm",):
            self.armed_at = self.clock.passed if self.armed_at is None else self.armed_at
        elif argv == ("disarm",):
            if self.armed_at is None:
                return Reply(3, err=b"no timer of this run is ticking")
            self.armed_at = None
        else:
            _, place, start, end = argv
            if start not in {"*", self.places[place]}:
                return Reply(1, err=b"is already there")
            self.places[place] = end
        return Reply(0)

    def carry(self, transfer: Transfer, *, at: str, tell: Tell) -> Reply:
        """As the port: the spec names a place and what the stream puts there; told half way and at the end."""
        self._reach()
        place, content = json.loads(transfer.spec)
        self.carried.append(place)
        for done in (1, 2):
            tell(f"carrying to {place} on {at}", done, 2)

        def arrived() -> Reply:
            self.places[place] = content
            return Reply(0, canonical({"sha256": content}))

        return self._fated(arrived, place, at)

    def renew(self, at: str) -> None:
        """As the port."""
        self.renewed += bool(at)

    def snapshot(self) -> dict[str, str]:
        """Everything that outlives a run."""
        self.tick()
        return {**self.places, "timer": "off" if self.armed_at is None else "armed"}


def get(place: str) -> Probe:
    """What a place holds."""
    return Probe(Command(("get", place)), "files.state")


def change(place: str, start: str, end: str, *, essential: bool = True, undo: bool = True) -> Change:
    """From one word to another; fails when the place does not hold the first."""
    back = Command(("set", place, "*", start)) if undo else None
    do = Command(("set", place, start, end))
    before = wanted(start) if undo else ""
    return Change(f"set {place} to {end}", TARGET.name, do, back, get(place), before, wanted(end), essential=essential)


def timer() -> Guard:
    """The host's dead-man timer."""
    argv = (Command(("arm",)), Command(("disarm",)), Probe(Command(("timer",)), "deadman.state"))
    return Guard("unless confirmed", TARGET.name, SECONDS, *argv, get("rules"), wanted(FALLEN))


@dataclass(frozen=True, slots=True)
class Contain:
    """An action of the shape of an isolation: guarded rules, a step that leaves nothing, a lasting one."""

    name: ClassVar[str] = "isolate"
    on_failure: str = "keep"
    guarded: bool = True
    unproven: tuple[str, ...] = ()
    #: Where the word "steady" must be found by a fresh login, asked at that host.
    witness: str = ""

    def plan(self, target: Target, site: Site, context: Context, reader: Reader) -> Plan:  # noqa: ARG002 -- the port's
        """As the real one: what is there already is not done again."""
        rules, boot, flows = reader.ask([get("rules"), get("boot"), get("flows")], at=target.name)
        todo = [change("rules", "", "isolated")] if rules == "" else []
        todo += [change("flows", str(flows), "cut", essential=False, undo=False)] if todo else []
        keep = [change("boot", "", "hook", essential=False)] if boot == "" else []
        expects = [
            Expect("the rules are in place", target.name, get("rules"), wanted("isolated"), fresh=True),
            Expect("the hook is in place", target.name, get("boot"), wanted("hook")),
        ]
        if self.witness:
            expects.append(Expect("the witness agrees", self.witness, get("witness"), wanted("steady")))
        return Plan(
            action=self.name,
            target=target.name,
            run=context.run,
            incident=context.incident,
            anchor=context.anchor,
            params=params(self),
            changes=tuple(todo),
            keep=tuple(keep),
            expects=tuple(expects),
            guard=timer() if self.guarded and todo else None,
            on_failure=self.on_failure,
            unproven=self.unproven,
            facts=json.dumps({"weather": "fine"}, separators=(",", ":")),
        )


@dataclass
class Desk:
    """One operator's desk: the world, the record on disk, and processes that come and go."""

    toy: Toy = field(default_factory=Toy)
    pages: Pages = field(default_factory=Pages)
    lives: list[Life] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def engine(self, ends_after: int | None = None) -> Engine:
        """A new process over the same record and world; the ones before it are gone."""
        for life in self.lives:
            life.dead = True
        life = Life(ends_after)
        self.lives.append(life)
        journal = Journal(self.pages, life, self.toy.clock.now)
        return Engine(Mortal(self.toy, life), journal, self.toy.clock, "ops@adm1", self.events.append)

    def job(self, action: Action, run: str = "R1") -> Job:
        """The action on the toy host."""
        return Job(action, TARGET, SITE, Context(run, "INC-1", "0" * 16))

    def apply(self, action: Action, run: str = "R1", engine: Engine | None = None) -> Outcome:
        """Plan, approve and apply."""
        engine = engine or self.engine()
        job = self.job(action, run)
        plan = job.plan(engine.session)
        return engine.apply(job, plan, engine.approve(plan, "ops"))

    def journal(self) -> Journal:
        """The record as anybody can read it."""
        return Journal(self.pages)
