"""How long and how much a target may take.

Decides the defaults, and when waiting for a batch of commands ends. Leaves to others: the waiting itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from remedy.core.errors import TimedOut
from remedy.core.text import printable
from remedy.core.values import Command

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one connection. Times in seconds, sizes in bytes.

    `connect` is for the TCP connection, `banner` for the SSH server's first line, `login` for key exchange and
    authentication together. `idle` bounds the silence of a login shell, and of the network: unacknowledged data
    for so long ends the connection. `keepalive` is the interval of probes on a quiet connection. `stream` is kept
    per command and stream, `total` accepted per batch, and `sessions` is how many batches run at once on one
    connection (OpenSSH allows 10 by default).
    """

    connect: float = 5.0
    banner: float = 10.0
    login: float = 20.0
    idle: float = 30.0
    keepalive: int = 10
    stream: int = 4 * MIB
    total: int = 64 * MIB
    sessions: int = 8


class Patience:
    """Says how much longer to wait for a batch.

    Each command has its own `seconds`, counted from the end of the one before; the shell's start and end have
    `idle` each. So the whole is bounded by the sum, and a silent shell by `idle`.
    """

    def __init__(self, commands: Sequence[Command], limits: Limits, clock: Callable[[], float], where: str) -> None:
        """Start waiting now; `clock` is monotonic."""
        self._commands = commands
        self._idle = limits.idle
        self._clock = clock
        self._where = where
        self._running = -1
        self._since = clock()

    def left(self, running: int) -> float:
        """Seconds left for what is running: -1 the shell's start, n command n, len(commands) the shell's end.

        Raises TimedOut when none are.
        """
        now = self._clock()
        if running != self._running:
            self._running, self._since = running, now
        inside = 0 <= running < len(self._commands)
        allowed = float(self._commands[running].seconds) if inside else self._idle
        left = allowed - (now - self._since)
        if left > 0:
            return left
        if inside:
            name = printable(self._commands[running].argv[0], 80, one_line=True)
            raise TimedOut(
                f"{name} (command {running + 1} of {len(self._commands)}) ran longer than its {allowed:g} s",
                where=self._where,
                hint="it may still be running on the target",
            )
        raise TimedOut(
            f"the login shell sent nothing for {allowed:g} s",
            where=self._where,
            hint="see whether the user's shell start-up files wait for something",
        )
