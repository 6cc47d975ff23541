"""A device's keyboard and what it makes appear: text typed in the device's encoding, bytes read as they come.

Decides encoding, the Enter key, and what a broken session is called. Leaves to others: what the bytes mean.
"""

from __future__ import annotations

import codecs
import time
from collections.abc import Callable
from typing import Final

from remedy.core.errors import ConnectionLost
from remedy.core.text import printable
from remedy.transports.devices.screen import Screen
from remedy.transports.devices.tape import Tape

__all__ = ["Keyboard", "shown"]

_SENDING: Final = 30.0


class Keyboard:
    """Typing on a tape. One thread at a time."""

    def __init__(
        self,
        tape: Tape,
        *,
        encoding: str,
        newline: str,
        where: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is typed yet. `newline` is what the Enter key sends, `where` the device's name for messages."""
        self.tape = tape
        self.encoding = encoding
        self.where = where
        self.clock = clock
        self._newline = newline.encode()
        self._decoder = codecs.getincrementaldecoder(encoding)("backslashreplace")

    def sayable(self, line: str) -> bytes | None:
        """The line in the device's encoding; None when it cannot be said there."""
        try:
            return line.encode(self.encoding)
        except UnicodeEncodeError:
            return None

    def screen(self, cap: int) -> Screen:
        """An empty screen for what comes next; of it, `cap` characters are kept."""
        return Screen(self._decoder, cap)

    @property
    def has_more(self) -> bool:
        """Whether something came in that was not read yet."""
        return self.tape.recv_ready()

    def enter(self, text: str = "") -> None:
        """Type text and Enter. Raises ConnectionLost."""
        self.press(text.encode(self.encoding, "replace") + self._newline)

    def press(self, data: bytes) -> None:
        """Send these bytes. Raises ConnectionLost."""
        try:
            self.tape.settimeout(_SENDING)
            self.tape.sendall(data)
        except (EOFError, OSError) as error:
            raise self._broken(error) from error

    def hear(self, seconds: float) -> bytes:
        """What came in, as soon as something does; b"" after so many seconds without. Raises ConnectionLost."""
        try:
            return self.tape.read(seconds)
        except (EOFError, OSError) as error:
            raise self._broken(error) from error

    def _broken(self, error: Exception) -> ConnectionLost:
        return ConnectionLost(
            f"the session broke: {printable(str(error) or type(error).__name__, 200, one_line=True)}",
            where=self.where,
            hint="whether the line took effect is unknown",
        )


def shown(text: str) -> str:
    """A device's words on one line, for a message."""
    return printable(" ".join(text.split()), 300, one_line=True)
