"""The line discipline: what a person or a program at the other end of the SSH channel sees of a terminal.

Input is bytes, one line at a time: echoed, editable, ended by CR, LF, CR LF or CR NUL. Output is text, with the line
ends and the encoding of the device, a page at a time unless paging is off. What is typed while a command runs waits,
and is echoed when it is read, as terminals do.

Decides nothing about commands. Leaves to others: prompts, what the lines mean (`sessions`), who may log in (`serve`).
"""

from __future__ import annotations

import asyncio
import re
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import asyncssh

__all__ = ["Closed", "Interrupted", "Style", "Terminal"]

_PRINTABLE: Final = re.compile(rb"[ -~\x80-\xff]+")
_ESCAPE: Final = re.compile(rb"\x1b(?:[][O][0-9;]*[A-Za-z~]?|[A-Za-z])?")
_MOST_WAITING: Final = 1 << 20  # bytes typed ahead; beyond them the channel is not read
_FLUSH: Final = 1 << 15
_SLICE: Final = 64  # lines taken without giving other sessions a turn


class Closed(Exception):
    """The channel is gone."""


class Interrupted(Exception):
    """A key that ends the line at once: "c" or "z", held with Ctrl."""

    def __init__(self, key: str) -> None:
        """`key` is a letter."""
        super().__init__(key)
        self.key = key


@dataclass(frozen=True, slots=True)
class Style:
    """How a vendor's terminal looks.

    `more` is shown between pages of `page` lines and `erase` takes it away; `end` are the bytes of a line end;
    `limit` the most characters of a line; `quits` the keys that end paging; `kill` erases the line as typed so far.
    """

    more: str
    erase: str
    quits: str = "qQ\x03"
    page: int = 24
    end: bytes = b"\r\n"
    encoding: str = "utf-8"
    limit: int = 511
    kill: str = "\x15\x18"


@dataclass(slots=True)
class _Typed:
    """A line while it is typed."""

    text: bytearray = field(default_factory=bytearray)
    shown: bool = True


class Terminal(asyncssh.SSHServerSession[bytes]):
    """One channel. `serve` is called with it once a shell was asked for, and the channel closes when that returns."""

    def __init__(self, style: Style, serve: Callable[[Terminal], Awaitable[None]]) -> None:
        """Not connected yet."""
        self.style = style
        self.page = style.page
        self.muted = False
        self._serve = serve
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None
        self._task: asyncio.Task[None] | None = None
        self._typed = bytearray()
        self._came = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._out: list[bytes] = []
        self._size = 0
        self._after_return = False
        self._closed = False
        self._paused = False
        self._taken = 0

    # what asyncssh calls

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        """Keep the channel."""
        self._channel = chan

    def pty_requested(self, *_: object) -> bool:
        """A terminal is what this is."""
        return True

    def shell_requested(self) -> bool:
        """Start."""
        return True

    def session_started(self) -> None:
        """Run the shell in a task of its own."""
        self._task = asyncio.create_task(self._run())

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """Queue what was typed."""
        del datatype
        if self.muted:
            return
        self._typed += data
        if len(self._typed) > _MOST_WAITING and self._channel is not None:
            self._channel.pause_reading()
            self._paused = True
        self._came.set()

    def eof_received(self) -> bool:
        """No more will be typed: the session ends."""
        self._closed = True
        self._came.set()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Likewise."""
        del exc
        self._closed = True
        self._came.set()
        self._writable.set()
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        """The other end reads slowly."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """It has read."""
        self._writable.set()

    async def _run(self) -> None:
        try:
            await self._serve(self)
        except (Closed, asyncio.CancelledError):
            pass
        except Exception:  # noqa: BLE001 -- a defect of the lab's ends one session, and shows why in the device's log
            traceback.print_exc()
        finally:
            self.close()

    # output

    def write(self, text: str) -> None:
        r"""Show text; `\n` becomes the device's line end. It goes out before the next thing is waited for."""
        self._write_raw(text.encode(self.style.encoding, "replace").replace(b"\n", self.style.end))

    def _write_raw(self, data: bytes) -> None:
        if data and not self.muted:
            self._out.append(data)
            self._size += len(data)

    def flush(self) -> None:
        """Send what was written."""
        if self._out and not self._closed and self._channel is not None:
            data = b"".join(self._out)
            try:
                self._channel.write(data)
            except (OSError, asyncssh.Error):
                self._closed = True
        self._out.clear()
        self._size = 0

    async def drained(self) -> None:
        """Send, and wait until the other end has room. Raises Closed."""
        self.flush()
        await self._writable.wait()
        if self._closed:
            raise Closed

    async def show(self, text: str) -> None:
        """Show a command's output, a page at a time when paging is on. Raises Closed."""
        lines = text.splitlines(keepends=True)
        at, room = 0, self.page or len(lines)
        while at < len(lines):
            piece = lines[at : at + min(room, 512)]
            self.write("".join(piece))
            at += len(piece)
            room -= len(piece)
            if self._size > _FLUSH:
                await self.drained()
            if room <= 0 and at < len(lines):
                if not self.page:
                    room = len(lines)
                    continue
                key = await self.key(self.style.more)
                self.write(self.style.erase)
                if key in self.style.quits:
                    return
                room = 1 if key in "\r\n" else self.page

    def close(self) -> None:
        """End the session in order."""
        self.flush()
        self._closed = True
        if self._channel is not None:
            self._channel.close()

    def cut(self) -> None:
        """End it as a broken link does: nothing more is said."""
        self.flush()
        self._closed = True
        if self._channel is not None:
            self._channel.get_connection().abort()

    def mute(self) -> None:
        """Fall silent with the connection open: neither answers nor says goodbye."""
        self.flush()
        self.muted = True

    # input

    async def key(self, prompt: str = "") -> str:
        """Wait for one key, not echoed. Raises Closed."""
        self.write(prompt)
        while True:
            await self._something()
            byte = bytes(self._typed[:1])
            del self._typed[:1]
            if self._after_return and byte in {b"\n", b"\0"}:
                self._after_return = False
                continue
            self._after_return = byte == b"\r"
            return byte.decode("latin-1")

    async def line(self, prompt: str, *, secret: bool = False, explain: Callable[[str], str] | None = None) -> str:
        """Show a prompt and read a line. `explain` gives the help for what was typed before a `?`.

        Raises Closed, and Interrupted on Ctrl-C and Ctrl-Z.
        """
        self.write(prompt)
        line = _Typed(shown=not secret)
        self._taken += 1
        if self._taken % _SLICE == 0:
            await asyncio.sleep(0)
        while True:
            if not self._typed:
                await self._something()
            if self._take(line, prompt, explain):
                return bytes(line.text).decode(self.style.encoding, "replace")

    async def _something(self) -> None:
        while not self._typed:
            if self._closed:
                raise Closed
            self._came.clear()
            await self.drained()
            await self._came.wait()
        if self._paused and self._channel is not None and len(self._typed) <= _MOST_WAITING:
            self._channel.resume_reading()
            self._paused = False

    def _take(self, line: _Typed, prompt: str, explain: Callable[[str], str] | None) -> bool:
        """Work through what was typed; true when the line is done."""
        typed = self._typed
        if self._after_return:
            self._after_return = False
            if bytes(typed[:1]) in {b"\n", b"\0"}:
                del typed[:1]
        while typed:
            found = _PRINTABLE.match(typed)
            if found is not None and (explain is None or b"?" not in found[0]):
                self._insert(line, found[0])
                del typed[: found.end()]
                continue
            byte = typed[0]
            if byte == 0x1B:  # noqa: PLR2004
                skipped = _ESCAPE.match(typed)
                del typed[: skipped.end() if skipped else 1]
                continue
            del typed[:1]
            if byte in b"\r\n":
                self._after_return = byte == 0x0D  # noqa: PLR2004
                self.write("\n")
                return True
            self._control(line, chr(byte), prompt, explain)
        return False

    def _insert(self, line: _Typed, data: bytes) -> None:
        room = self.style.limit - len(line.text)
        line.text += data[:room]
        if line.shown:
            self._write_raw(data[:room])
        if len(data) > room:
            self._write_raw(b"\a")

    def _control(self, line: _Typed, key: str, prompt: str, explain: Callable[[str], str] | None) -> None:
        if key in "\x03\x1a":
            if key == "\x03":
                self.write("^C\n" if line.shown else "\n")
            raise Interrupted("c" if key == "\x03" else "z")
        if key in "\x08\x7f":
            self._erase(line, 1)
        elif key == "\x17":
            kept = bytes(line.text).rstrip().rpartition(b" ")
            self._erase(line, len(line.text) - len(kept[0]) - len(kept[1]))
        elif key in self.style.kill:
            self._erase(line, len(line.text))
        elif key == "?" and explain is not None:
            before = bytes(line.text).decode(self.style.encoding, "replace")
            self.write(f"?\n{explain(before)}\n{prompt}{before}")
        elif key >= " ":
            self._insert(line, key.encode("latin-1"))

    def _erase(self, line: _Typed, count: int) -> None:
        count = min(count, len(line.text))
        if count:
            del line.text[-count:]
            if line.shown:
                self._write_raw(b"\b \b" * count)
