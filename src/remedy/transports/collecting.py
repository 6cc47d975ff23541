"""A collection from one host: its steps in order, each in files of a bag, and the ledger of what became of each.

Decides what happens when a step goes wrong: the next one is tried, until the host is gone, its shell does not do what
it was asked, our disk is full, or we are asked to stop; every step that was planned has its line all the same. Also
decides the files of a bag:

    data/web01/prelude.sh                what every step began with
    data/web01/0030-processes.out        what the host answered: .out, .tar.zst or .bin.zst
    data/web01/0030-processes.err        what it complained of, the last 64 KiB
    data/web01/0030-processes.meta.json  what was asked, when, within which limits, and how it ended
    data/web01/ledger.json               every planned step and its end
    data/web01/continues.json            with --resume: the bag that it goes on from, and the steps which that has

Nothing is written on the host. All steps go over one SSH connection of the OpenSSH client, each as a session of its own
(RFC 4254, section 6), so that output, errors and exit status of each are apart and one that has to be broken off takes
no other along. Leaves to others: what is asked (`evidence.steps`), one stream (`capture`), sealing and recording.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from remedy.core.canon import Json, canonical, encode
from remedy.core.errors import ElevationFailed, RemedyError
from remedy.core.ports import Tell
from remedy.core.text import printable
from remedy.core.values import Command
from remedy.evidence import bag, clocks, ledger, resuming, steps
from remedy.evidence.hidden import Hidden
from remedy.evidence.ledger import End, Line
from remedy.evidence.resuming import Held
from remedy.evidence.steps import Step
from remedy.transports.bags.writing import Writing
from remedy.transports.bulk import Bulk
from remedy.transports.capture import TICK, Capture, Listener, Taken
from remedy.transports.guard import CONTROLLER
from remedy.transports.held import CONTINUES

#: Format of a step's meta.json and of ledger.json.
SCHEMA: Final = 1
#: After so many steps that the host's shell did not run, the others are not tried.
_MUTE: Final = 2
_FINDINGS: Final = {"hidden": Hidden}
_ENDS: Final = {
    "lost": "the host went away",
    "disk": "this machine's disk is full",
    "stopped": "it was interrupted",
    "shell": "the host's shell does not do what it is asked",
}


def reach(bulk: Bulk, host: str, *, root: bool) -> tuple[bool, str]:
    """Log in, and try whether we become root there if `root` asks for it; whether we do, and what sudo said if not.

    The connection stays open for the steps. Raises Unreachable, AnswerUnusable when no step could run.
    """
    try:
        with bulk.start(Command(("true",), root=root), at=host, short=True) as run:
            run.finish()
    except ElevationFailed as error:
        if not root:
            raise
        with bulk.start(Command(("true",), root=False), at=host, short=True) as run:
            run.finish()
        return False, error.message
    return root, ""


@dataclass(frozen=True, slots=True)
class Outside:
    """Who looks at the host from outside, a vantage or this machine; at which address and TCP ports."""

    vantage: str = CONTROLLER
    address: str = ""
    ports: tuple[int, ...] = (80, 443)


@dataclass(slots=True)
class Collecting:
    """One collection, run by one thread. `told` gets each line of the ledger as it is written, `tell` the bytes.

    `held` are parts of logs that another bag has: they are continued and not asked for again.
    """

    bulk: Bulk
    host: str
    bag: Writing
    root: bool
    stop: threading.Event
    tell: Tell
    told: Callable[[Line], None] = lambda _: None
    outside: Outside = field(default_factory=Outside)
    held: Mapping[str, tuple[Held, ...]] = field(default_factory=dict)
    now: Callable[[], float] = time.time
    random: Callable[[int], bytes] = os.urandom
    _lines: list[Line] = field(default_factory=list, init=False)
    _spoken: float = field(default=0.0, init=False)
    _before: int = field(default=0, init=False)
    _end: str = field(default="", init=False)

    def continues(self, bag_id: str, sha256: str, done: Iterable[str]) -> None:
        """Note in the bag which other one it goes on from: its id, its tag manifest's SHA-256, the steps it has."""
        body: dict[str, Json] = {"schema_version": SCHEMA, "bag": bag_id, "sha256": sha256}
        self._put(CONTINUES, canonical({**body, "done": [*sorted(done)]}) + b"\n")

    @property
    def lines(self) -> tuple[Line, ...]:
        """The ledger so far."""
        return tuple(self._lines)

    def run(self, planned: Sequence[Step]) -> tuple[Line, ...]:
        """Run the steps in order; a line for each, in the order planned. Raises nothing that a host can cause.

        Raises Partial when the disk does not even take the ledger: what came stays in the bag.
        """
        self._put("prelude.sh", steps.prelude().encode())
        mute = 0
        for step in planned:
            if self._end:
                self._note(ledger.not_begun(step, step.order, _ENDS[self._end]))
                continue
            line = self._step(step)
            mute = mute + 1 if line.cause == "shell" and step.at == "host" else 0
            gone = {"disk", "stopped"} if step.at == "outside" else {"lost", "disk", "stopped"}
            if line.cause in gone or mute >= _MUTE:
                self._end = line.cause
            self._note(line)
        body: dict[str, Json] = {"schema_version": SCHEMA, "target": self.host, "root": self.root}
        self._put("ledger.json", canonical({**body, "steps": [encode(line) for line in self._lines]}) + b"\n")
        return self.lines

    def _note(self, line: Line) -> None:
        self._lines.append(line)
        self.told(line)

    def _step(self, step: Step) -> Line:
        capture = Capture(self.bulk, self.host, self.bag, self.root, self.stop, self._progress(step), self.now)
        if held := self.held.get(step.name):
            return self._continued(step, held, capture)
        if step.expand:
            return self._each(step, capture)
        if step.at == "outside":
            return self._looked_at(step, capture)
        fence = self._fence()
        listeners: tuple[Listener, ...] = (_FINDINGS[step.check](fence),) if step.check else ()
        clock = _First() if step.order == 0 else None
        taken = capture.take(
            step, self._path(step, step.suffix), fence, step.places, (*listeners, *([clock] if clock else ()))
        )
        findings = [text for one in listeners if isinstance(one, Hidden) for text in one.findings()]
        if clock and (text := clocks.difference(clock.data, taken.began, taken.ended)):
            findings.append(text)
        return self._ended(step, (("", taken),), tuple(findings))

    def _looked_at(self, step: Step, capture: Capture) -> Line:
        """A step that somebody else is asked, about the host."""
        look = self.outside
        arguments = (look.address, *map(str, look.ports))
        elsewhere = replace(capture, host=look.vantage, root=False)
        taken = elsewhere.take(step, self._path(step, step.suffix), self._fence(), arguments)
        return self._ended(step, (("", taken),), (f"as seen from {look.vantage}",))

    def _each(self, step: Step, capture: Capture) -> Line:
        """A step that is run for each of the numbers it finds."""
        first, numbers = capture.numbers(step, self._fence())
        if first.end.status == 0 and not numbers:
            first.end = End(ledger.ABSENT, 0, root=self.root)
        taken = [("expand", first)]
        if first.end.status != 0:
            return self._ended(step, taken)
        for number in numbers[: steps.MOST_NUMBERS]:
            one = capture.take(step, self._path(step, f"-{number}{step.suffix}"), self._fence(), (number,))
            taken.append((number, one))
            if one.end.cause in {"lost", "disk", "stopped"}:
                break
        findings = [
            f"process {number} runs a program that was deleted, or that lies in memory" for number, _ in taken[1:]
        ]
        if len(numbers) > steps.MOST_NUMBERS:
            findings.append(
                f"{len(numbers) - steps.MOST_NUMBERS} more were not taken: the most is {steps.MOST_NUMBERS}"
            )
        return self._ended(step, taken, tuple(findings))

    def _ended(
        self,
        step: Step,
        taken: Sequence[tuple[str, Taken]],
        findings: tuple[str, ...] = (),
    ) -> Line:
        """Judge what came, and write what has to be written of it. Of several streams the worst one counts."""
        judged = [ledger.judged(step, one.end) for _, one in taken]
        state, cause, why = max(judged, key=lambda one: ledger.GRAVITY.index(one[0]))
        said = b"".join(one.end.errors for _, one in taken)
        line = Line(
            step.order,
            step.name,
            step.title,
            state,
            cause,
            why,
            sum(one.end.received for _, one in taken),
            sum(one.kept for _, one in taken),
            round(sum(one.ran for _, one in taken)),
            tuple(one.file for _, one in taken if one.file),
            findings,
        )
        self._before += line.received
        body: dict[str, Json] = {
            "schema_version": SCHEMA,
            "line": encode(line),
            "target": self.host,
            "limits": {"seconds": step.seconds, "idle": step.idle, "cap": step.cap},
            "streams": [_stream(name, one) for name, one in taken],
        }
        try:
            if said:
                self._put(f"{_number(step)}.err", said)
            self._put(f"{_number(step)}.meta.json", canonical(body) + b"\n")
        except RemedyError as error:
            return Line(step.order, step.name, step.title, "truncated", "disk", error.message, line.received, line.kept)
        return line

    def _continued(self, step: Step, held: tuple[Held, ...], capture: Capture) -> Line:
        """A tar of logs of which another bag has a part: what was added to those, then all the others."""
        fence = self._fence()
        asked, numbers = capture.numbers(resuming.asking(step, held), fence)
        if asked.end.status is None and asked.end.cause in _ENDS:
            return self._ended(step, (("asked", asked),))
        same = tuple(one for one in held if str(one.inode) in numbers)
        streams = [("asked", asked)]
        if same:
            more = capture.take(resuming.continuing(step, same), self._path(step, "-continued.bin.zst"), fence, ())
            streams.append(("continued", more))
        if streams[-1][1].end.cause not in _ENDS:
            rest = capture.take(resuming.without(step, same), self._path(step, step.suffix), fence, step.places)
            streams.append(("", rest))
        findings = [
            f"{len(same)} files are continued, of which the earlier bag has {sum(one.size for one in same)} bytes"
        ]
        if len(same) < len(held):
            findings.append(f"{len(held) - len(same)} files are not what the earlier bag has of them: taken as a whole")
        return self._ended(step, streams, tuple(findings))

    def _progress(self, step: Step) -> Callable[[int], None]:
        def progress(received: int) -> None:
            now = time.monotonic()
            if now - self._spoken >= TICK:
                self._spoken = now
                self.tell(step.name, self._before + received, 0)

        return progress

    def _fence(self) -> str:
        return self.random(16).hex()

    def _path(self, step: Step, rest: str) -> str:
        return f"data/{bag.name_of(self.host)}/{_number(step)}{rest}"

    def _put(self, name: str, data: bytes) -> None:
        self.bag.put(f"data/{bag.name_of(self.host)}/{name}", data)


class _First:
    """The first bytes of an output."""

    def __init__(self) -> None:
        self.data = b""

    def feed(self, data: bytes) -> None:
        if len(self.data) < 64:  # noqa: PLR2004 -- more than one number
            self.data += data[:64]


def _number(step: Step) -> str:
    return f"{step.order:04d}-{step.name}"


def _stream(name: str, taken: Taken) -> dict[str, Json]:
    end = taken.end
    return {
        "name": name,
        "run": taken.script,
        "arguments": [*taken.arguments],
        "fence": taken.fence,
        "root": end.root,
        "file": taken.file,
        "status": end.status,
        "cause": end.cause,
        "received": end.received,
        "kept": taken.kept,
        "packed": taken.packed,
        "sha256_received": taken.sha256,
        "errors": taken.errors,
        "said": printable(end.said, 500, one_line=True),
        "began": _utc(taken.began),
        "ended": _utc(taken.ended),
        "milliseconds": round(taken.ran * 1000),
    }


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
