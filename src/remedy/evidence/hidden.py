r"""Processes that the host does not list.

Decides, from the output of step `processes` as it comes in, which processes answered when they were asked for by number
and yet were in no listing, neither before nor after. A listing that lacks what exists was tampered with (a preloaded
library, a replaced `ps`, a rootkit). Processes that began or ended meanwhile are in one of the two listings, or no
longer there at the end. A kernel that lies to every question is beyond this.

    5f1c… glob before
    1 17 4242
    5f1c… process 4242
    lrwxrwxrwx 1 root root 0 Nov 20 08:00 /proc/4242/exe -> /usr/sbin/sshd
    5f1c… still
    4242

Sections begin with a line break and the fence, a word that nobody on the host could know beforehand; what processes
call themselves cannot pass for one. Memory is bounded, whatever comes.
"""

from __future__ import annotations

import re
from typing import Final

from remedy.core.text import printable

_VIEWS: Final = ("glob", "ls", "ps")
_NUMBER: Final = re.compile(rb"(?<![^\s])[1-9][0-9]{0,9}(?![^\s])")
_EXE: Final = re.compile(rb" /proc/[0-9]+/exe -> ([^\n]*)")
#: Bytes of a section that are looked at: of a listing, and of a process.
_LISTING: Final = 16 * 1024 * 1024
_HEAD: Final = 4096
_MOST_SHOWN: Final = 20
_LONGEST_TITLE: Final = 200
#: Processes that are kept in mind, of a host that makes them up.
_MOST: Final = 1_000_000


class Hidden:
    """Takes the output in pieces; `findings` says what was in it."""

    def __init__(self, fence: str) -> None:
        """`fence` is the word that sections of this run begin with."""
        self._fence = f"\n{fence} ".encode()
        self._tail = b""
        self._title = b""
        self._body = bytearray()
        self._seen: dict[str, set[int]] = {}
        self._walked: dict[int, bytes] = {}
        self._still: set[int] | None = None

    def feed(self, data: bytes) -> None:
        """Take some bytes."""
        data = self._tail + data
        start = 0
        while (at := data.find(self._fence, start)) >= 0:
            end = data.find(b"\n", at + len(self._fence))
            if end < 0:
                if len(data) - at > _LONGEST_TITLE:
                    end = at + _LONGEST_TITLE
                else:
                    break
            self._take(data[start:at])
            self._close()
            self._title, self._body, start = data[at + len(self._fence) : end], bytearray(), end
        hold = at if at >= 0 else max(start, len(data) - len(self._fence) + 1)
        self._take(data[start:hold])
        self._tail = data[hold:]

    def findings(self) -> tuple[str, ...]:
        """A sentence for each process that is hidden, and one when the output did not come to its end."""
        self._take(self._tail)
        self._close()
        self._tail = self._title = b""
        if self._still is None:
            return ("whether processes are hidden is unknown: the walk over all numbers did not come to its end",)
        found = []
        for number, program in sorted(self._walked.items()):
            missing = [view for view in _VIEWS if number not in self._seen.get(view, ())]
            if number in self._still and missing:
                shown = printable(program, 200, one_line=True) or "a program that cannot be seen"
                found.append(
                    f"process {number} ({shown}) is hidden: it answers, and is not listed by {_named(missing)}"
                )
        more = [f"{len(found) - _MOST_SHOWN} more processes are hidden"] if len(found) > _MOST_SHOWN else []
        return (*found[:_MOST_SHOWN], *more)

    def _take(self, data: bytes) -> None:
        most = _HEAD if self._title.startswith(b"process ") else _LISTING
        self._body += data[: max(0, most - len(self._body))]

    def _close(self) -> None:
        """The section that was open is whole."""
        word, _, rest = self._title.partition(b" ")
        name = word.decode("ascii", "replace")
        if name in _VIEWS:
            seen = self._seen.setdefault(name, set())
            if len(seen) < _MOST:
                seen.update(int(one) for one in _NUMBER.findall(self._body))
        elif name == "process" and _NUMBER.fullmatch(rest) and len(self._walked) < _MOST:
            exe = _EXE.search(self._body)
            self._walked[int(rest)] = exe[1] if exe else b""
        elif name == "still":
            self._still = {int(one) for one in _NUMBER.findall(self._body)}


def _named(views: list[str]) -> str:
    words = {"glob": "the shell's look into /proc", "ls": "ls", "ps": "ps"}
    return " or ".join(words[view] for view in views)
