r"""The answer to a script, taken apart.

Decides which bytes belong to which command, how much of them is kept, and what a missing or forged mark means.
No I/O: bytes are fed in as they arrive, in pieces of any size. Leaves to others: the script (`script`), waiting.

A mark stands alone on each of the two streams, wherever the output before it happened to end:

    Welcome to web01\n                                       shell greeting, ignored
    5f1c… s 0 0\n
    {"nftables": []}5f1c… e 0 0\n                            command 0 ended with status 0
    5f1c… e 1 1\n                                            command 1 printed nothing, status 1
    5f1c… d 0 0\n

Kinds: `s` the shell runs, `h` how sudo is called (status 1: with a password), `u` a group runs as root,
`e` end of a command, `x` sudo refused, `d` done. Without the nonce, 128 random bits, nothing can pass for a mark.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from remedy.core.errors import AnswerUnusable, ConnectionLost, ElevationFailed, RemedyError
from remedy.core.text import printable
from remedy.core.values import Reply
from remedy.transports.limits import Limits

_MARK: Final = re.compile(rb" ([shuexd]) (\d{1,6}) (\d{1,3})\n")
_LONGEST: Final = len(b" e 999999 255\n")
_GREETING: Final = 1024

_REFUSALS: Final = (
    (b"not in the sudoers", "the login user may not use sudo: allow it in /etc/sudoers.d, or log in as root"),
    (b"not allowed to", "the login user's sudo rights do not cover /bin/sh"),
    (b"must have a tty", "remove `requiretty` for this user: Defaults:USER !requiretty"),
    (b"terminal is required", "give the sudo password in the inventory, or allow the user sudo without one"),
    (b"password is required", "give the sudo password in the inventory, or allow the user sudo without one"),
    (b"incorrect password", "the sudo password in the inventory is wrong; it was tried once"),
    (b"try again", "the sudo password in the inventory is wrong; it was tried once"),
    (b"not found", "install sudo on the target, or log in as root"),
    (b"expired", "the account or its password has expired on the target"),
)


@dataclass(frozen=True, slots=True)
class Mark:
    """One mark, with what the stream held before it."""

    kind: str
    index: int
    status: int
    body: bytes
    truncated: bool


class Stream:
    """One of the two streams: finds marks, keeps at most `cap` bytes between two of them."""

    def __init__(self, nonce: str, cap: int) -> None:
        """Wait for the first mark."""
        self._nonce = nonce.encode()
        self._cap = cap
        self._kept = bytearray()
        self._tail = b""
        self._truncated = False

    def feed(self, data: bytes) -> list[Mark]:
        """The marks completed by `data`. Raises AnswerUnusable when the nonce is followed by no mark."""
        data = self._tail + data
        marks = []
        start = 0
        while (at := data.find(self._nonce, start)) >= 0:
            found = _MARK.match(data, at + len(self._nonce))
            if found is None:
                if len(data) - at - len(self._nonce) < _LONGEST:
                    break  # the rest of the mark is still to come
                raise AnswerUnusable("a mark of the session is damaged")
            self._keep(data[start:at])
            marks.append(Mark(found[1].decode(), int(found[2]), int(found[3]), bytes(self._kept), self._truncated))
            self._kept.clear()
            self._truncated = False
            start = found.end()
        # What cannot be told yet: a nonce that has begun, or one whose mark is incomplete.
        hold = at if at >= 0 else max(start, len(data) - len(self._nonce) + 1)
        self._keep(data[start:hold])
        self._tail = data[hold:]
        return marks

    def rest(self) -> bytes:
        """What came after the last mark."""
        return bytes(self._kept) + self._tail

    def _keep(self, data: bytes) -> None:
        room = self._cap - len(self._kept)
        self._kept += data[:room]
        self._truncated = self._truncated or len(data) > room


class Replies:
    """The replies to `count` commands, growing as bytes arrive on the two streams."""

    def __init__(self, count: int, nonce: str, limits: Limits, where: str = "") -> None:
        """Wait for the shell's first mark on both streams."""
        self._where = where
        self._limits = limits
        self._count = count
        self._bytes = 0
        self._streams = (Stream(nonce, limits.stream), Stream(nonce, limits.stream))
        self._ends: tuple[list[Mark], list[Mark]] = ([], [])
        self._done = [False, False]
        self._started = [False, False]
        self._raised = -1
        self._refused: Mark | None = None
        self._reason = b""
        #: True once sudo said that it wants the password.
        self.wants_password = False

    @property
    def finished(self) -> bool:
        """True when both streams have said that they are done."""
        return all(self._done)

    @property
    def running(self) -> int:
        """The command running: -1 before the shell has started, the number of commands when all have ended."""
        return len(self._ends[0]) if self._started[0] else -1

    def feed_out(self, data: bytes) -> None:
        """Take bytes of standard output. Raises AnswerUnusable when there are too many, or a mark is damaged."""
        self._feed(0, data)

    def feed_err(self, data: bytes) -> None:
        """Take bytes of standard error; raises as `feed_out`."""
        self._feed(1, data)

    def _feed(self, which: int, data: bytes) -> None:
        self._bytes += len(data)
        if self._bytes > self._limits.total:
            raise AnswerUnusable(
                f"the target sent more than {self._limits.total // 1024} KiB in answer to one batch",
                where=self._where,
                hint="the session was closed; ask for less, or collect it as evidence",
            )
        for mark in self._streams[which].feed(data):
            self._take(which, mark)

    def _take(self, which: int, mark: Mark) -> None:
        match mark.kind:
            case "s":
                self._started[which] = True
            case "h":
                self.wants_password = self.wants_password or (which == 0 and mark.status == 1)
            case "u":
                self._raised = mark.index
            case "e":
                if mark.index != len(self._ends[which]):
                    raise AnswerUnusable("the target's marks are out of order", where=self._where)
                self._ends[which].append(mark)
            case "x":
                if which == 0:
                    self._refused = mark
                else:
                    self._reason = mark.body
            case _:
                self._done[which] = True

    def result(self) -> tuple[Reply, ...]:
        """The replies, when finished.

        Raises ElevationFailed when sudo refused, AnswerUnusable when no shell ever started, ConnectionLost when the
        session ended before the last command did.
        """
        if self.finished and self._refused is not None:
            raise self._refusal(self._refused)
        if not self.finished or any(len(ends) != self._count for ends in self._ends):
            raise self._broken()
        return tuple(
            Reply(status=out.status, out=out.body, err=err.body, truncated=out.truncated or err.truncated)
            for out, err in zip(*self._ends, strict=True)
        )

    def _refusal(self, mark: Mark) -> RemedyError:
        if self._raised == mark.index:
            return self._broken()  # the group was root, then its shell died
        said = self._reason.replace(b"\n", b" ").strip()
        hint = next((hint for text, hint in _REFUSALS if text in said.lower()), "log in and try `sudo -v` by hand")
        return ElevationFailed(
            f"sudo refused: {printable(said, 300, one_line=True) or f'status {mark.status}'}",
            where=self._where,
            hint=hint,
        )

    def _broken(self) -> RemedyError:
        if not any(self._started):
            said = (self._streams[1].rest() or self._streams[0].rest())[:_GREETING].strip()
            return AnswerUnusable(
                "the login gave no POSIX shell" + (f"; it said: {printable(said, 300, one_line=True)}" if said else ""),
                where=self._where,
                hint="give the user a login shell, or name another user in the inventory",
            )
        return ConnectionLost(
            f"the session ended during command {max(self.running, 0) + 1} of {self._count}",
            where=self._where,
            hint="whether that command took effect is unknown",
        )


def split(stdout: bytes, stderr: bytes, nonce: str, count: int, limits: Limits | None = None) -> tuple[Reply, ...]:
    """The replies to `count` commands from the two whole streams; raises as `Replies`."""
    replies = Replies(count, nonce, limits or Limits())
    replies.feed_out(stdout)
    replies.feed_err(stderr)
    return replies.result()
