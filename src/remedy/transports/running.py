"""A program that runs somewhere else, its standard input and output open to us.

Decides how both are read and written without one waiting for the other, how much of standard error is kept, and how
the program's end is told from the end of the way to it: by the last mark on standard error (`replies`), never by the
exit status of what carries it. Leaves to others: starting it (`bulk`), explaining a broken way (`openssh`).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final, Self

from remedy.core.errors import AnswerUnusable, ChangeFailed, ConnectionLost, RemedyError, TimedOut
from remedy.core.text import printable
from remedy.transports.limits import Limits
from remedy.transports.replies import Replies

#: Bytes of a chunk when a stream is iterated, at least, unless it ends.
CHUNK: Final = 256 * 1024
#: Bytes of standard error that are kept: the last ones.
TAIL: Final = 64 * 1024
# What pipes are enlarged to: the most an ordinary user may ask for (pipe(7)).
_PIPE: Final = 1024 * 1024
# Seconds to wait for the end of a program that takes no more input, or for the rest of one that has ended.
_SETTLE: Final = 5.0
# Seconds for which the output of an ended program is still thrown away, should something hold it open.
_LINGER: Final = 0.5
_GLANCE: Final = 0.05
_MARK: Final = re.compile(rb" ([shuxed]) \d{1,6} (\d{1,3})\n")
_LONGEST: Final = len(b" e 999999 255\n")


class NeverRan(Exception):
    """The session ended before the program ran; `seen` is what came on standard output."""

    def __init__(self, seen: bytes) -> None:
        """Keep what was seen."""
        super().__init__()
        self.seen = seen


class Errors:
    """Standard error of a run, fed in pieces: the marks taken out, the last bytes of the program kept."""

    def __init__(self, nonce: str) -> None:
        """Wait for the first mark."""
        self._nonce = nonce.encode()
        self._tail = b""
        #: What came first, marks included: enough to tell why a program never ran.
        self.raw = b""
        #: The program's own last words, and how many bytes of them there were in all.
        self.said = bytearray()
        self.count = 0
        #: The program's exit status, once it has ended.
        self.status: int | None = None

    def feed(self, data: bytes) -> None:
        """Take some bytes. What comes after the program's end is from something it left running, and passed over."""
        if self.status is not None:
            return
        if len(self.raw) < TAIL:
            self.raw += data[:TAIL]
        data = self._tail + data
        start = look = 0
        while (at := data.find(self._nonce, look)) >= 0:
            mark = _MARK.match(data, at + len(self._nonce))
            if mark is None and len(data) - at - len(self._nonce) < _LONGEST:
                break  # the rest of it is still to come
            look = mark.end() if mark else at + 1
            if mark is None:
                continue
            if mark[1] == b"e":
                self._keep(data[start:at])
                self.status, self._tail = int(mark[2]), b""
                return
            self.said.clear()
            self.count = 0
            start = look
        hold = at if at >= 0 else max(start, len(data) - len(self._nonce) + 1)
        self._keep(data[start:hold])
        self._tail = data[hold:]

    def end(self) -> None:
        """Nothing more comes: what looked like the beginning of a mark was none."""
        self._keep(self._tail)
        self._tail = b""

    def _keep(self, data: bytes) -> None:
        self.count += len(data)
        self.said += data[-TAIL:]
        del self.said[:-TAIL]


class Running:
    """A program that runs on a host, its standard input and output open to us. Made by `Bulk.start`.

    One thread may write while another reads; a program that writes much must be read, or it will take no more input.
    Use it as a context manager: leaving the block ends whatever still runs here. What runs on the host then meets the
    end of its input, or nobody to write to.
    """

    def __init__(
        self,
        name: str,
        where: str,
        process: subprocess.Popen[bytes],
        nonce: str,
        *,
        lost: Callable[[], RemedyError],
        close: Callable[[], None],
    ) -> None:
        """Use `Bulk.start`."""
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise AssertionError("all three are pipes")
        self.name = printable(name, 80, one_line=True)
        self.where = where
        self._process = process
        self._nonce = nonce
        self._lost = lost
        self._close = close
        self._in, self._out, self._err = process.stdin, process.stdout, process.stderr
        self._ahead = b""
        self._errors = Errors(nonce)
        self._over = threading.Event()
        self._done: tuple[int, bytes] | None = None
        for pipe in (self._in, self._out):
            with contextlib.suppress(OSError):  # an ordinary user may have only so much
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)
        self._drain = threading.Thread(target=self._drain_errors, name=f"stderr of {self.name}", daemon=True)
        self._drain.start()

    @property
    def alive(self) -> bool:
        """Whether it still runs, as far as is known here."""
        return not self._over.is_set() and self._process.poll() is None

    @property
    def said(self) -> tuple[bytes, int]:
        """The last 64 KiB of its standard error so far, and how many bytes there were in all."""
        return bytes(self._errors.said), self._errors.count

    def ready(self, seconds: float) -> bool:
        """Whether `read` would return at once, with output or with its end; waits up to `seconds` for that."""
        return bool(self._ahead) or bool(select.select([self._out], [], [], seconds)[0])

    def begin(self, script: bytes, mark: str, seconds: float) -> None:
        """Send the script and wait until the program is about to run.

        Raises TimedOut after `seconds`, AnswerUnusable on an endless greeting, NeverRan when it came to nothing.
        """
        end = time.monotonic() + seconds
        wanted = f"{self._nonce} {mark} 0 0\n".encode()
        rest, seen = memoryview(script), b""
        os.set_blocking(self._in.fileno(), False)
        while wanted not in seen:
            left = end - time.monotonic()
            if left <= 0:
                raise TimedOut(
                    f"the program does not run {seconds:g} s after the first packet",
                    where=self.where,
                    hint="see whether the user's shell start-up files, or sudo, wait for something",
                )
            readable, writable, _ = select.select([self._out], [self._in] if rest else [], [], left)
            if writable:
                try:
                    rest = rest[os.write(self._in.fileno(), rest) :]
                except BrokenPipeError:
                    rest = rest[:0]
            if readable:
                data = os.read(self._out.fileno(), CHUNK)
                seen += data
                if not data:
                    self._settle()
                    raise NeverRan(seen)
                if len(seen) > TAIL and wanted not in seen:
                    raise AnswerUnusable("the login shell's greeting does not end", where=self.where)
        os.set_blocking(self._in.fileno(), True)
        self._ahead = seen.partition(wanted)[2]

    def never_ran(self, seen: bytes) -> RemedyError:
        """Why the program never ran, by what the script answered: no shell, or no sudo."""
        replies = Replies(1, self._nonce, Limits(), self.where)
        raw, end, rest = self._errors.raw.partition(f"{self._nonce} e 0 ".encode())
        marks = b""
        if end:  # sudo ended without having run anything: it has refused, which the script could not know
            status = rest.split(b"\n")[0].decode("ascii", "replace")
            marks = f"{self._nonce} x 0 {status}\n{self._nonce} d 0 0\n".encode()
        try:
            replies.feed_out(seen + marks)
            replies.feed_err(raw + marks)
            replies.result()
        except RemedyError as error:
            return error
        return ConnectionLost("the session ended before the program ran", where=self.where)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of `data`; blocks while the far end is slow.

        Raises ChangeFailed with the program's own words when it ended, ConnectionLost or TimedOut when the way broke.
        """
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._in.fileno(), rest) :]
            except BrokenPipeError as error:
                raise self._no_input() from error

    def close_input(self) -> None:
        """Let the program see the end of its input."""
        with contextlib.suppress(OSError):
            self._in.close()

    def read(self, size: int = CHUNK) -> bytes:
        """Up to `size` bytes of its output as soon as there are any, b"" at the end.

        The end of a stream proves nothing: `finish` does.
        """
        if self._ahead:
            data, self._ahead = self._ahead[:size], self._ahead[size:]
            return data
        return os.read(self._out.fileno(), size)

    def __iter__(self) -> Iterator[bytes]:
        """Its output to the end, in chunks of 256 KiB to 1 MiB. Ask `finish` what the end was worth."""
        parts: list[bytes] = []
        size = 0
        while data := self.read(_PIPE - size):
            parts.append(data)
            size += len(data)
            if size >= CHUNK:
                yield b"".join(parts)
                parts, size = [], 0
        if parts:
            yield b"".join(parts)

    def finish(self) -> tuple[int, bytes]:
        """Close the input and wait for the end: the program's exit status, the last 64 KiB of its standard error.

        Output that was not read is thrown away. Raises ConnectionLost or TimedOut when the way broke before the end.
        """
        if self._done is None:
            self.close_input()
            self._ahead = b""
            patience = _LINGER
            # What the program left running may hold its output open; the end of the program itself is enough.
            while patience > 0:
                if not select.select([self._out], [], [], _GLANCE)[0]:
                    patience -= _GLANCE if self._over.is_set() else 0
                elif not self.read(_PIPE):
                    self._settle()
                    break
            self._done = self._result()
        return self._done

    def kill(self) -> None:
        """End it here at once; never raises. A thread that writes or reads gets to hear of it."""
        with contextlib.suppress(OSError):
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """End it if it still runs, leave no process, descriptor or file behind; may be called twice."""
        try:
            self.kill()
            self._settle()
        finally:
            for pipe in (self._in, self._out, self._err):
                if pipe is not self._err or not self._drain.is_alive():
                    with contextlib.suppress(OSError):
                        pipe.close()
            self._close()

    def __enter__(self) -> Self:
        """End it with the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def __del__(self) -> None:
        """Descriptors of one that a thread was still about when it was killed."""
        for pipe in (self._in, self._out, self._err):
            with contextlib.suppress(OSError):
                pipe.close()

    def _settle(self) -> None:
        self._process.wait()
        self._drain.join(_SETTLE)

    def _drain_errors(self) -> None:
        with contextlib.suppress(OSError):
            while data := os.read(self._err.fileno(), CHUNK):
                self._errors.feed(data)
                if self._errors.status is not None:
                    self._over.set()
        self._errors.end()
        self._over.set()

    def _result(self) -> tuple[int, bytes]:
        if self._errors.status is None:
            raise self._lost()
        return self._errors.status, bytes(self._errors.said)

    def _no_input(self) -> RemedyError:
        if not self._over.wait(_SETTLE):
            return ChangeFailed(f"{self.name} takes no more input", where=self.where)
        try:
            status, err = self._result()
        except RemedyError as error:
            return error
        said = printable(err.strip(), 400, one_line=True)
        return ChangeFailed(
            f"{self.name} ended with status {status} before it had read everything{f': {said}' if said else ''}",
            where=self.where,
        )
