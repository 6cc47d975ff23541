"""A session's bytes, both ways: carried, and kept as a transcript.

Decides what the transcript holds: every byte in the order it passed, secrets masked by value before they are kept.
Leaves to others: what the bytes mean (`screen`), and making evidence of the transcript.
"""

from __future__ import annotations

import tempfile
import time
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from remedy.transports.limits import MIB

if TYPE_CHECKING:
    import paramiko

__all__ = ["MASK", "Tape", "Transcript"]

MASK: Final = b"<secret>"
_CHUNK: Final = 64 * 1024
_IN_MEMORY: Final = MIB
_MOST: Final = 64 * MIB
_SHORTEST: Final = 4


class Transcript:
    """What was typed and what the device printed, in order.

    Kept in memory up to 1 MiB, then in an unnamed temporary file; past 64 MiB it says so and takes no more.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Empty; times are seconds since now."""
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 -- lives as long as this object
        weakref.finalize(self, self._file.close)
        self._clock = clock
        self._start = clock()
        self._secrets: tuple[bytes, ...] = ()
        #: The bytes that are in any of them: what ends in another is not the beginning of one.
        self._telling: frozenset[int] = frozenset()
        self._pending = b""
        self._size = 0
        #: Whether it was too long to be kept whole.
        self.truncated = False

    def hide(self, secret: bytes) -> None:
        """Mask this value from now on; shorter than four bytes it would hide half of every text."""
        if len(secret) >= _SHORTEST and secret not in self._secrets:
            self._secrets = tuple(sorted((*self._secrets, secret), key=len, reverse=True))
            self._telling |= frozenset(secret)

    def typed(self, data: bytes) -> None:
        """What we sent."""
        self._flush(whole=True)
        self._write(b">", self._masked(data))

    def printed(self, data: bytes) -> None:
        """What the device sent."""
        self._pending += data
        self._flush(whole=False)

    def _masked(self, data: bytes) -> bytes:
        for secret in self._secrets:
            data = data.replace(secret, MASK)
        return data

    def _flush(self, *, whole: bool) -> None:
        """Write what came in, but for an end that may be the beginning of a secret."""
        data = self._masked(self._pending)
        held = 0
        if not whole and data and data[-1] in self._telling:
            for secret in self._secrets:
                most = min(len(secret) - 1, len(data))
                held = max(held, next((n for n in range(most, 0, -1) if data.endswith(secret[:n])), 0))
        self._pending = data[len(data) - held :]
        if len(data) > held:
            self._write(b"<", data[: len(data) - held])

    def _write(self, direction: bytes, data: bytes) -> None:
        if self._size + len(data) > _MOST:
            self.truncated = True
            return
        self._size += len(data)
        head = b"%s %d %d\n" % (direction, round((self._clock() - self._start) * 1000), len(data))
        self._file.write(head + data + b"\n")

    def records(self) -> Iterator[tuple[float, str, bytes]]:
        """Seconds since the login, "<" for what the device printed or ">" for what was typed, and the bytes."""
        self._flush(whole=True)
        self._file.seek(0)
        while head := self._file.readline():
            direction, milliseconds, length = head.split()
            data = self._file.read(int(length))
            self._file.read(1)
            yield int(milliseconds) / 1000, direction.decode(), data
        self._file.seek(0, 2)


class Tape:
    """A terminal's channel that writes down what passes. Has the methods of a channel that netmiko uses."""

    def __init__(self, channel: paramiko.Channel, transcript: Transcript) -> None:
        """Take over an open shell's channel."""
        self.channel = channel
        self.transcript = transcript

    def read(self, seconds: float) -> bytes:
        """What came in, as soon as something does; b"" after so many seconds without. Raises EOFError at the end."""
        self.channel.settimeout(max(0.001, seconds))
        try:
            return self.recv(_CHUNK)
        except TimeoutError:
            return b""

    @property
    def ended(self) -> bool:
        """Whether the other end is gone, as far as we know; what it sent before may still be unread."""
        transport = self.channel.get_transport()
        return bool(self.channel.closed or self.channel.eof_received or not transport.is_active())

    def recv_ready(self) -> bool:
        """Whether something came in that was not read yet."""
        return self.channel.recv_ready()

    def recv(self, size: int) -> bytes:
        """Read up to `size` bytes. Raises EOFError at the end, TimeoutError."""
        data = self.channel.recv(size)
        if not data:
            raise EOFError("the device closed the session")
        self.transcript.printed(data)
        return data

    def sendall(self, data: bytes) -> None:
        """Send all of it. Raises OSError, TimeoutError."""
        self.transcript.typed(data)
        self.channel.sendall(data)

    def settimeout(self, seconds: float | None) -> None:
        """As Channel.settimeout."""
        self.channel.settimeout(seconds)

    def close(self) -> None:
        """Close the channel."""
        self.channel.close()
