"""Questions and changes, kept apart; connections, kept together.

Decides who can send a change: `Hosts` asks and has no way to send; `Sessions` adds `send` and is made only for the
engine's apply; `read_only` is what a plan or a dry-run holds, and refuses loudly where a change is attempted.
Also decides that a connection is opened once per host and used for everything until it is renewed or breaks.
Leaves to others: opening (a Connector), reading answers (`parse`), which hosts there are (`lookup`).
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NoReturn, Self

from remedy.core.canon import Json
from remedy.core.errors import AnswerUnusable, ConnectFailed, ConnectionLost, Refused, RemedyError, TimedOut
from remedy.core.ports import Connection, Connector, Reader, Tell
from remedy.core.text import printable
from remedy.core.values import Command, Probe, Reply, Target, Transfer

#: The inventory name of the machine remedy runs on.
CONTROLLER: Final = "controller"
#: Hosts asked at the same time. A dead host holds its place until the connect time-out; live ones must find another.
PARALLEL: Final = 256


@dataclass(frozen=True, slots=True)
class Login:
    """Who we are on a host, for the record: user, address dialled, fingerprint of the accepted host key."""

    user: str
    peer: str
    host_key: str


@dataclass(slots=True)
class _Slot:
    """The place of one host's connection. The lock is held while opening, not while asking."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    connection: Connection | None = None
    failed: RemedyError | None = None


class Hosts:
    """Asks hosts read-only questions. Implements core.ports.Reader. May be shared by threads.

    A connection is opened when a host is first asked and kept; one that has died since is opened again, once.
    """

    def __init__(
        self,
        connect: Connector,
        lookup: Callable[[str], Target],
        parse: Callable[[str, Reply], Json],
        *,
        local: Connection | None = None,
        parallel: int = PARALLEL,
        carry: Callable[[Transfer, str, Tell], Reply] | None = None,
    ) -> None:
        """`lookup` gives a host's Target or raises UnknownTarget; `parse(Probe.parser, reply)` reads one answer.

        `local` runs what is asked of "controller"; without it that name is looked up like any other. `carry` carries
        streams for `Sessions`.
        """
        self._carry = carry
        self._connect = connect
        self._lookup = lookup
        self._parse = parse
        self._local = local
        self._parallel = parallel
        self._slots: dict[str, _Slot] = {}
        self._lock = threading.Lock()

    def ask(self, probes: Sequence[Probe], *, at: str) -> tuple[Json, ...]:
        """Answer the probes on host `at` in one round trip, parsed, in order.

        Raises Unreachable without a session, AnswerUnusable when a reply cannot be understood, UnknownTarget.
        """
        if not probes:
            return ()
        commands = [probe.command for probe in probes]
        connection, kept = self._take(at)
        try:
            replies = self._run(connection, commands, at)
        except (ConnectionLost, ConnectFailed):
            if not kept:
                raise
            # The kept connection had died; asking twice does no harm.
            replies = self._run(self._take(at)[0], commands, at)
        return tuple(self._read(probe, reply, at) for probe, reply in zip(probes, replies, strict=True))

    def ask_all(self, questions: Sequence[tuple[str, Sequence[Probe]]]) -> tuple[tuple[Json, ...] | Exception, ...]:
        """`ask` on several hosts at once. A host that cannot answer yields its exception in place of answers."""
        answers: list[tuple[Json, ...] | Exception] = [AnswerUnusable("not asked")] * len(questions)
        waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
        for index in range(len(questions)):
            waiting.put(index)

        def work() -> None:
            while True:
                try:
                    index = waiting.get_nowait()
                except queue.Empty:
                    return
                at, probes = questions[index]
                try:
                    answers[index] = self.ask(probes, at=at)
                except Exception as error:  # noqa: BLE001 -- handed to the caller in place of the answer
                    answers[index] = error

        if len(questions) == 1:
            work()
            return tuple(answers)
        # Daemons: Ctrl-C ends the wait for them, and the process is not held up by a silent host.
        threads = [threading.Thread(target=work, daemon=True) for _ in range(min(self._parallel, len(questions)))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return tuple(answers)

    def warm(self, names: Sequence[str]) -> None:
        """Begin to connect to hosts that will be asked soon; returns at once.

        A host that cannot be reached says so when it is asked, without being dialled a second time.
        """
        for name in names:
            threading.Thread(target=self._warm, args=(name,), daemon=True).start()

    def _warm(self, at: str) -> None:
        with self._lock:
            slot = self._slots.setdefault(at, _Slot())
        with slot.lock:
            if slot.connection is None:
                try:
                    slot.connection = self._open(at)
                except RemedyError as error:
                    slot.failed = error

    def login(self, at: str) -> Login | None:
        """Who we are on a host, when a connection to it is open."""
        with self._lock:
            slot = self._slots.get(at)
        connection = slot.connection if slot else None
        if connection is None:
            return None
        return Login(*(str(getattr(connection, name, "")) for name in ("user", "peer", "host_key")))

    def close(self) -> None:
        """Close all connections; never raises. They open again when needed."""
        with self._lock:
            slots = list(self._slots.values())
            self._slots.clear()
        for slot in slots:
            with slot.lock:
                if slot.connection is not None:
                    slot.connection.close()
                    slot.connection = None

    def __enter__(self) -> Self:
        """Close at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close all connections."""
        self.close()

    def _take(self, at: str) -> tuple[Connection, bool]:
        """The connection to a host, and whether it was open before."""
        with self._lock:
            slot = self._slots.setdefault(at, _Slot())
        with slot.lock:
            if slot.connection is not None:
                return slot.connection, True
            failed, slot.failed = slot.failed, None
            if failed is not None:
                raise failed
            slot.connection = self._open(at)
            return slot.connection, False

    def _open(self, at: str) -> Connection:
        return self._local if self._local and at == CONTROLLER else self._connect(self._lookup(at))

    def _run(self, connection: Connection, commands: Sequence[Command], at: str) -> tuple[Reply, ...]:
        try:
            return connection.run(commands)
        except (ConnectionLost, ConnectFailed, TimedOut):
            self._drop(at, connection)
            raise

    def _drop(self, at: str, connection: Connection | None = None) -> None:
        """Close a host's connection (or only the given one, if it still is the host's) and forget it."""
        with self._lock:
            slot = self._slots.setdefault(at, _Slot())
        with slot.lock:
            if slot.connection is not None and (connection is None or connection is slot.connection):
                slot.connection.close()
                slot.connection = None

    def _read(self, probe: Probe, reply: Reply, at: str) -> Json:
        try:
            return self._parse(probe.parser, reply)
        except RemedyError as error:
            if not error.where:
                error.where = at
            raise
        except Exception as error:  # what a target says must not end the run for the others
            said = printable(reply.out or reply.err, 200, one_line=True)
            asked = printable(" ".join(probe.command.argv), 80, one_line=True)
            raise AnswerUnusable(
                f"{probe.parser} cannot read the answer of {asked} (status {reply.status}): {said}",
                where=at,
            ) from error


class Sessions(Hosts):
    """`Hosts` that can also change things. Implements core.ports.Session; made for the engine alone."""

    def send(self, command: Command, *, at: str) -> Reply:
        """Run a changing command on host `at`, once. Raises Unreachable; any status is returned.

        After ConnectionLost or TimedOut it is unknown whether the command took effect: it is never sent again here.
        """
        connection, kept = self._take(at)
        try:
            return self._run(connection, (command,), at)[0]
        except ConnectFailed:
            if not kept:
                raise
            # The kept connection was dead before anything was sent over it.
            return self._run(self._take(at)[0], (command,), at)[0]

    def carry(self, transfer: Transfer, *, at: str, tell: Tell) -> Reply:
        """As core.ports.Session."""
        if self._carry is None:
            raise Refused("nothing here can carry a stream", where=at, hint="this is a defect; nothing was sent")
        return self._carry(transfer, at, tell)

    def renew(self, at: str) -> None:
        """Forget the open connection to `at`, so that the next question needs a new login."""
        self._drop(at)


class ReadOnly:
    """A reader and nothing else. Changing through it is refused, never silently skipped."""

    def __init__(self, reader: Reader) -> None:
        """Ask through `reader`."""
        self._reader = reader

    def ask(self, probes: Sequence[Probe], *, at: str) -> tuple[Json, ...]:
        """As core.ports.Reader."""
        return self._reader.ask(probes, at=at)

    def ask_all(self, questions: Sequence[tuple[str, Sequence[Probe]]]) -> tuple[tuple[Json, ...] | Exception, ...]:
        """As core.ports.Reader."""
        return self._reader.ask_all(questions)

    def send(self, command: Command, *, at: str) -> NoReturn:
        """Raise Refused, always."""
        raise Refused(
            f"a change was attempted where only questions are allowed: {printable(command.argv[0], 80, one_line=True)}",
            where=at,
            hint="this is a defect in the action; nothing was sent",
        )


def read_only(reader: Reader) -> ReadOnly:
    """What a plan or a dry-run may hold of `reader`."""
    return ReadOnly(reader)
