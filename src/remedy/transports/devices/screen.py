r"""Bytes of a terminal made text: what a line printed, as an administrator would have read it.

Decides what of the stream is text: line ends (CR LF, CR NUL LF, CR CR LF, LF CR), the pager's erasing, cursor moves.
Keeps the last line apart, since only it can be a prompt. Bounded whatever a device sends. Pure.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

from remedy.transports.devices.prompts import LONGEST, MORE

__all__ = ["Screen", "cleaned"]

_SPECIAL: Final = re.compile(r"[\0\x08\r\x1b]")
# What a device prints over its pager's mark: moves to the left, spaces, moves again. \0 marks where the pager stood.
_ERASED: Final = re.compile(
    "\0(?:\x08+ +\x08+|\x08+|\x1b\\[\\d*D +\x1b\\[\\d*D|\x1b\\[\\d*D|\x1b\\[[0-2]?K|\r +\r|\r(?!\n))*"
)
# VRP prints a space and takes it back.
_TAKEN_BACK: Final = re.compile(" \x1b\\[\\d+D")
_ESCAPES: Final = re.compile(
    "\x1b(?:\\[[0-9;?]*[ -/]*[@-~]|\\][^\x07\x1b]{0,1000}(?:\x07|\x1b\\\\)|[()][A-Z0-9]|[=>78DEHMc])"
)
_ENDS: Final = re.compile("\r*\n\r*|\r+")
_PARTIAL: Final = 64 * 1024


def cleaned(text: str) -> str:
    r"""Text as it stands on the screen: `\n` ends lines, what was erased is gone.

    >>> cleaned("a\r\x00\n---\x1b[1Db\r\n")
    'a\n---b\n'
    """
    if not _SPECIAL.search(text):
        return text
    text = _ERASED.sub("", text)
    text = _TAKEN_BACK.sub("", text)
    text = _ESCAPES.sub("", text)
    return _ENDS.sub("\n", text.replace("\x08", ""))


class Screen:
    """What was printed since a line was typed: kept lines up to `cap` characters, and the last, unfinished line."""

    def __init__(self, decoder: codecs.IncrementalDecoder, cap: int) -> None:
        """Start empty; the decoder lives as long as the session."""
        self._decoder = decoder
        self._cap = cap
        self._kept: list[str] = []
        self._size = 0
        self._partial = ""
        self._long = False
        #: Characters printed in all, kept or not.
        self.printed = 0
        #: Whether more was printed than is kept.
        self.truncated = False

    def feed(self, data: bytes) -> None:
        """Take what came in."""
        # A NUL is padding; from here on it marks where the pager's mark stood.
        text = self._decoder.decode(data).replace("\0", "")
        self.printed += len(text)
        end = text.rfind("\n")
        if end >= 0:
            self._keep(self._partial + text[: end + 1])
            self._partial, self._long = text[end + 1 :], False
        else:
            self._partial += text
        if len(self._partial) > _PARTIAL:
            self._keep(self._partial)
            self._partial, self._long = "", True

    def _keep(self, text: str) -> None:
        room = self._cap - self._size
        if len(text) > room:
            self.truncated = True
            text = text[: max(0, room)]
        if text:
            self._kept.append(text)
            self._size += len(text)

    @property
    def last(self) -> str:
        """The last line as long as it is unfinished, cleaned; "" when it is too long to be anything but text."""
        partial = self._partial
        if self._long or len(partial) > LONGEST:
            return ""
        return cleaned(partial).rpartition("\n")[2] if partial else ""

    def paged(self) -> bool:
        """Whether the device waits at its pager; its mark is taken off."""
        partial = self._partial
        if self._long or len(partial) > LONGEST or "ore" not in partial.lower():
            return False
        found = MORE.search(_ESCAPES.sub("", partial))
        if found is None:
            return False
        at = _ESCAPES.sub("", partial).rfind(found[0])
        self._partial = _ESCAPES.sub("", partial)[:at] + "\0"
        return True

    def finish_line(self) -> None:
        """What stands in the last line is text after all, or was answered: it is no longer looked at."""
        self._keep(self._partial)
        self._partial, self._long = "", True

    def recent(self, size: int = 4096) -> str:
        """The end of what was printed, cleaned, the last line included."""
        parts = [self._partial]
        length = len(self._partial)
        for part in reversed(self._kept):
            if length >= size:
                break
            parts.append(part[-size:])
            length += len(part)
        return cleaned("".join(reversed(parts)))

    def raw(self) -> str:
        """All that is kept, and the last line, not cleaned."""
        return "".join((*self._kept, self._partial))

    def text(self) -> str:
        """All finished lines, cleaned."""
        head = self._partial.rpartition("\r")[0] if "\r" in self._partial else ""
        return cleaned("".join(self._kept) + head)

    def cut(self, before: int) -> None:
        """Forget the first characters of `raw()`."""
        whole = self.raw()
        self._kept, self._size = [], 0
        rest = whole[before:]
        end = rest.rfind("\n")
        self._partial = rest[end + 1 :]
        self._keep(rest[: end + 1])
