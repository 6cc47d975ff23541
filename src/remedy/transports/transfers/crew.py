"""Sessions of the native client that load one schema together, each fed by a thread of its own.

Decides how much may wait for each, and what counts as carried out: a session has answered a mark after all it was sent,
said no ERROR, and ended with status 0. The first failure of one is the failure of all, named by the table whose text
stood at the line that the client names. Leaves to others: what is sent to whom.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
from bisect import bisect_right
from collections.abc import Callable, Collection
from typing import Final, Self

from remedy.core.errors import ChangeFailed, RemedyError, Unreachable
from remedy.core.text import printable
from remedy.transports.transfers.clients import ERROR, Bulk, Login, Running, client, complaint
from remedy.transports.transfers.flow import Flow, Stopped, in_thread, wait

#: Bytes that may wait for all clients together, and for each: at least some statements, or it would run dry.
_QUEUES: Final = 16 << 20
_QUEUE: Final = (2 << 20, 8 << 20)
#: Bytes kept of what a client answers.
_TAIL: Final = 64 << 10


class Session:
    """One client, fed by a thread of its own from a queue of `limit` bytes.

    Its queue shares `condition` with those of others. After the end of everything `failure` is None, or says why not.
    """

    def __init__(
        self, running: Running, login: Login, condition: threading.Condition, doing: str, limit: int = _QUEUE[1]
    ) -> None:
        """Begin to feed `running`; `doing` begins the sentence that a failure becomes."""
        self.flow: Flow[tuple[bytes, str]] = Flow(limit, condition)
        self.failure: RemedyError | None = None
        self.ended = False
        self.sent = 0
        self.answers = b""
        self._running = running
        self.where = login.at
        self._doing = doing
        self._mark = secrets.token_hex(16).encode()
        self._reached: dict[bytes, Callable[[], None]] = {}
        self._line = 1
        self._begins: list[int] = [1]
        self._names: list[str] = ["the beginning"]
        self._listener = in_thread(self._listen, "answers")
        self._writer = in_thread(self._feed, "feed")

    def put(self, sql: bytes, name: str = "", tick: Callable[[], None] | None = None) -> None:
        """Queue statements that belong to table `name`. Raises Stopped once the client has ended."""
        self.flow.put((sql, name), len(sql), tick)

    def mark(self, reached: Callable[[], None], tick: Callable[[], None] | None = None) -> None:
        """Call `reached`, in another thread, when all that was put so far is carried out. Raises Stopped as `put`."""
        mark = b"%s %d" % (self._mark, len(self._reached))
        self._reached[mark] = reached
        self.put(b"SELECT '%s';\n" % mark, "", tick)

    def wait(self, tick: Callable[[], None]) -> None:
        """Until the client has ended."""
        with self.flow.condition:
            while not self.ended:
                wait(self.flow.condition, tick)

    def kill(self) -> None:
        """End it now."""
        self.flow.stop()
        self._running.kill()
        self._writer.join(10)

    def _feed(self) -> None:
        try:
            with self._running:
                self._send()
                self._listener.join()
                status, said = self._running.finish()
            if status or ERROR.search(said) or self.answers.rsplit(b"\n", 2)[-2:] != [self._mark, b""]:
                self.failure = complaint(status, said, where=self.where, doing=self._doing, table=self._at)
        except RemedyError as error:
            self.failure = error
        except Exception as error:  # noqa: BLE001 -- a thread has nobody else to tell
            self.failure = ChangeFailed(f"{self._doing}: {type(error).__name__}", where=self.where)
        finally:
            self.flow.stop()
            with self.flow.condition:
                self.ended = True
                self.flow.condition.notify_all()

    def _send(self) -> None:
        """Everything, then the mark. When it reads no more, its end says why."""
        with contextlib.suppress(OSError, RemedyError):
            for sql, name in self.flow:
                self._note(sql, name)
                self._running.write(sql)
                if not sql.endswith(b"\n"):
                    self._running.write(b"\n")
                self.sent += len(sql)
            if not self.flow.stopped:
                self._running.write(b"SELECT '%s';\n" % self._mark)
        self.flow.stop()
        self._running.close_input()

    def _listen(self) -> None:
        """Take what it answers, so that it never waits for us; the end is kept, for the mark."""
        begun = b""
        try:
            while chunk := self._running.read(1 << 16):
                with self.flow.condition:
                    self.answers = (self.answers + chunk)[-_TAIL:]
                    self.flow.condition.notify_all()
                *lines, begun = (begun + chunk).split(b"\n")
                begun = begun[-_TAIL:]
                for line in lines:
                    if reached := self._reached.get(line):
                        reached()
        except (OSError, RemedyError):
            pass  # the end of the client says why

    def _note(self, sql: bytes, name: str) -> None:
        """Remember at which line the text of a table begins, to name it when the client names a line."""
        if name != self._names[-1]:
            self._begins.append(self._line)
            self._names.append(name)
        self._line += sql.count(b"\n") + (not sql.endswith(b"\n"))

    def _at(self, line: int) -> str:
        return printable(self._names[bisect_right(self._begins, line) - 1], 100, one_line=True)


class Crew:
    """Several sessions that load one schema together."""

    def __init__(
        self, bulk: Bulk, login: Login, schema: str, number: int, *, charset: str, doing: str, tick: Callable[[], None]
    ) -> None:
        """Start `number` sessions. Raises Unreachable; use as a context manager, which leaves none behind."""
        self.sessions: list[Session] = []
        self._tick = tick
        self._condition = threading.Condition()
        limit = min(max(_QUEUES // max(1, number), _QUEUE[0]), _QUEUE[1])
        try:
            for _ in range(number):
                running = bulk.start(client(login, schema, charset), at=login.at)
                self.sessions.append(Session(running, login, self._condition, doing, limit))
        except BaseException:
            self.kill()
            raise

    def __enter__(self) -> Self:
        """Nothing is left behind at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """End what still runs."""
        self.kill()

    @property
    def sent(self) -> int:
        """Bytes that the clients have taken."""
        return sum(session.sent for session in self.sessions)

    def put(self, session: Session, sql: bytes, name: str = "") -> None:
        """Queue for one session. Raises the failure of the first client that has one."""
        try:
            session.put(sql, name, self._tick)
        except Stopped:
            session.wait(self._tick)
            self.check()
            raise ChangeFailed("a client ended before its time", where=session.where) from None

    def mark(self, sessions: Collection[Session], reached: Callable[[], None]) -> None:
        """Call `reached`, in another thread, once these sessions have carried out all that was put so far."""
        left = len(sessions)

        def one() -> None:
            nonlocal left
            with self._condition:
                left -= 1
                last = not left
            if last:
                reached()

        for session in sessions:
            with contextlib.suppress(Stopped):  # the next that is put says why
                session.mark(one, self._tick)

    def everyone(self, sql: bytes, name: str = "") -> None:
        """Queue for every session."""
        for session in self.sessions:
            self.put(session, sql, name)

    def least_loaded(self, size: int) -> Session:
        """The session with the least before it, once there is one with room for `size` more."""
        with self._condition:
            while True:
                least = min(self.sessions, key=lambda session: session.flow.waiting)
                if least.flow.room(size) or any(session.flow.stopped for session in self.sessions):
                    return least
                wait(self._condition, self._tick)

    def finish(self) -> None:
        """Nothing more comes: wait until every client has proven that it carried out all. Raises what one says."""
        for session in self.sessions:
            session.flow.close()
        for session in self.sessions:
            session.wait(self._tick_or_raise)
        self.check()

    def check(self) -> None:
        """Raise the failure of a client that has one: what a server said rather than that a way broke."""
        if failures := [session.failure for session in self.sessions if session.failure]:
            raise min(failures, key=lambda failure: isinstance(failure, Unreachable))

    def kill(self) -> None:
        """End all that still runs."""
        for session in self.sessions:
            if not session.ended:
                session.kill()

    def _tick_or_raise(self) -> None:
        self.check()
        self._tick()
