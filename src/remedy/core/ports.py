"""The ports: what the engine and the actions may ask of the outside world.

Decides the narrow waist between decisions (below) and I/O (above). A `Reader` cannot change anything;
`Session` adds `send` and is held by the engine alone; a `Journal` writes ahead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from remedy.core.canon import Json
from remedy.core.values import Command, Entry, Probe, Reply, Target, Transfer

#: Told of a long stream as it goes: what is being done, how many bytes so far, of how many (0: unknown).
Tell = Callable[[str, int, int], None]


class Reader(Protocol):
    """Asks read-only questions. All that an action's `plan` may touch."""

    def ask(self, probes: Sequence[Probe], *, at: str) -> tuple[Json, ...]:
        """Answer the probes on host `at`, in order, in one round trip; parsed.

        Raises Unreachable when there is no session, AnswerUnusable when a reply cannot be understood.
        """
        ...

    def ask_all(self, questions: Sequence[tuple[str, Sequence[Probe]]]) -> tuple[tuple[Json, ...] | Exception, ...]:
        """`ask` on several hosts at once, in parallel; a host that cannot answer yields its RemedyError."""
        ...


class Session(Reader, Protocol):
    """A reader that can also change things. Held by the engine alone."""

    def send(self, command: Command, *, at: str) -> Reply:
        """Run a changing command on host `at`. Raises Unreachable; a non-zero status is returned, not raised."""
        ...

    def carry(self, transfer: Transfer, *, at: str, tell: Tell) -> Reply:
        """Carry a stream, with host `at` at one of its ends; `out` is the canonical JSON of what came of it.

        `tell` hears of phases and bytes, and may raise to stop it. A refused stream is a non-zero status with the
        reason in `err`, never half a success. Raises Unreachable.
        """
        ...

    def renew(self, at: str) -> None:
        """Forget the open connection to `at`, so that the next question needs a new login."""
        ...


class Connection(Protocol):
    """One open, authenticated way to run commands on one target. Made by a transport."""

    def run(self, commands: Sequence[Command]) -> tuple[Reply, ...]:
        """Run the commands in order, each whatever the one before returned, in one round trip.

        Standard output, standard error and status of each are kept apart and capped (`Reply.truncated`).
        Raises ConnectionLost, TimedOut or ElevationFailed.
        """
        ...

    def close(self) -> None:
        """Close; never raises."""
        ...


class Connector(Protocol):
    """Opens connections. Returning means: host key checked, authenticated, ready to run."""

    def __call__(self, target: Target) -> Connection:
        """Connect. Raises Unreachable (ConnectFailed, AuthenticationFailed, HostKeyError)."""
        ...


class Journal(Protocol):
    """The write-ahead incident record. Returning from `append` means: on disk."""

    def append(self, kind: str, body: Mapping[str, Json], *, incident: str, run: str = "", key: str = "") -> Entry:
        """Append one entry. The same non-empty `key` twice returns the entry already there.

        Raises RecordUnavailable when it cannot be written, RecordBroken when the chain is damaged.
        """
        ...

    def entries(
        self, *, incident: str = "", run: str = "", kinds: Iterable[str] = (), after: int = 0
    ) -> Iterator[Entry]:
        """Entries in order, filtered by whatever is given."""
        ...

    def head(self) -> tuple[int, str]:
        """Sequence number and hash of the newest entry; (0, sixty-four zeros) when empty."""
        ...

    def hold(self, target: str, *, run: str, holder: str) -> None:
        """Take the target for a run, until `let_go` or until the holding process is gone.

        Raises HeldByOther saying who holds it since when.
        """
        ...

    def let_go(self, target: str, *, run: str) -> None:
        """Give the target back."""
        ...

    def checkpoint(self) -> str:
        """Sign the present head; returns the signed checkpoint's text, also appended to the checkpoint log."""
        ...
