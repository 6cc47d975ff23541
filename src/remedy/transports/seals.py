"""Encrypted backups opened by the programs that made them, on this machine.

Decides how such a program is run: its secret comes through a pipe of its own, the stream goes through it with a
bounded amount in between, and neither it nor a helper that it has started outlives the stream. Leaves to others: which
program, and what its end means (`backups.seals`).

One thread does all: it reads the source only when the program takes more, and hands on what comes out at once.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Final

from remedy.backups import seals
from remedy.backups.ports import Damaged
from remedy.backups.seals import DESCRIPTOR, HEAD, Complaint, End, Opening
from remedy.backups.values import Keys
from remedy.core.errors import Refused, RemedyError, UsageError
from remedy.core.text import printable
from remedy.core.values import Secret

_CHUNK: Final = 1024 * 1024
_TAIL: Final = 64 * 1024
#: Seconds that a helper may take to say whether it runs, or to end.
_HELPER: Final = 10
_GLANCE: Final = 0.02


class Seals:
    """Opens what is encrypted. May be shared by threads: a helper that one stream has started may serve another."""

    def __init__(self, resolve_secret: Callable[[Secret], str], *, environ: Mapping[str, str] | None = None) -> None:
        """`environ` is what the programs see of the environment (PATH and HOME of this process when None)."""
        self._resolve_secret = resolve_secret
        known = os.environ if environ is None else environ
        self._environ = {name: known[name] for name in ("PATH", "HOME") if name in known} | {"LC_ALL": "C"}
        self._helpers: dict[tuple[tuple[str, ...], tuple[str, ...]], _Helper] = {}
        self._lock = threading.Lock()

    def __call__(self, chunks: Iterable[bytes], keys: Keys, *, where: str = "") -> tuple[str, bool, Iterator[bytes]]:
        """Look at the first bytes: the seal's name, whether it proves its bytes, and the bytes inside.

        What is not encrypted comes back as it is, under the name "" and unproven. While iterating, raises
        Damaged("wrong-key", "truncated" or "corrupt"), Refused when a key or program is missing, and what `chunks`
        raises. What is given up half-way should be closed (`close`), which ends the program.
        """
        stream = iter(chunks)
        head = b""
        for chunk in stream:
            head += chunk
            if len(head) >= HEAD:
                break
        whole = itertools.chain((head,), stream) if head else stream
        name = seals.recognise(head)
        if not name:
            return "", False, whole
        module = seals.registered()[name]
        return name, module.CHECKED, self._opened(module, whole, keys, where)

    def _opened(
        self, module: ModuleType, chunks: Iterator[bytes], keys: Keys, where: str
    ) -> Generator[bytes, None, None]:
        try:
            opening: Opening = module.opening(keys)
        except RemedyError as error:
            error.where = error.where or where
            raise
        with self._helper(opening), self._program(opening, where) as program:
            head, held = b"", True
            for chunk in program.through(chunks):
                if not held:
                    yield chunk
                    continue
                head += chunk
                if len(head) >= HEAD:
                    held = False
                    _raise(module.doubt(head[:HEAD]), where)
                    yield head
            end = program.end(head[:HEAD])
            _raise(module.complaint(end), where)
            if held and head:
                _raise(module.doubt(head[:HEAD]), where)
                yield head

    @contextlib.contextmanager
    def _program(self, opening: Opening, where: str) -> Iterator[_Program]:
        secret = None if opening.secret is None else self._resolve_secret(opening.secret)
        if secret is not None and (not secret or set(secret) & {"\0", "\n", "\r"}):
            raise UsageError(
                "the passphrase is empty or holds a line break", where=where, hint="see where its secret comes from"
            )
        with contextlib.ExitStack() as stack:
            argv: tuple[str, ...] = opening.argv
            passed: tuple[int, ...] = ()
            if secret is not None:
                reader, writer = os.pipe()
                stack.callback(os.close, reader)
                with os.fdopen(writer, "wb") as pipe:
                    pipe.write(f"{secret}\n".encode())
                argv, passed = tuple(word.replace(DESCRIPTOR, str(reader)) for word in argv), (reader,)
            pipe_ = subprocess.PIPE
            try:
                # A session of its own: it has no terminal to ask at, and Ctrl-C is ours.
                process = subprocess.Popen(
                    argv,
                    stdin=pipe_,
                    stdout=pipe_,
                    stderr=pipe_,
                    bufsize=0,
                    pass_fds=passed,
                    env=self._environ,
                    start_new_session=True,
                )
            except OSError as error:
                raise Refused(
                    f"{argv[0]} cannot be started: {error.strerror}",
                    where=where,
                    hint=f"apt-get install {opening.package}",
                ) from error
            program = _Program(process)
            stack.callback(program.close)
            yield program

    @contextlib.contextmanager
    def _helper(self, opening: Opening) -> Iterator[None]:
        """End the helper that a program starts, unless it was there before or somebody else still needs it."""
        if opening.daemon is None:
            yield
            return
        with self._lock:
            helper = self._helpers.setdefault(opening.daemon, _Helper())
            if helper.users == 0:
                helper.ours = not self._said(opening.daemon[0])
            helper.users += 1
        try:
            yield
        finally:
            with self._lock:
                helper.users -= 1
                if helper.users == 0 and helper.ours:
                    self._end(*opening.daemon)

    def _end(self, running: tuple[str, ...], end: tuple[str, ...]) -> None:
        """End a helper and wait until it is gone: it may still be starting, or know the secret."""
        until = time.monotonic() + _HELPER
        while self._said(running) and time.monotonic() < until:
            self._said(end)
            time.sleep(_GLANCE)

    def _said(self, argv: tuple[str, ...]) -> bytes:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            return subprocess.run(
                argv, stdin=subprocess.DEVNULL, capture_output=True, env=self._environ, timeout=_HELPER, check=False
            ).stdout
        return b""


def unsealed(
    chunks: Iterable[bytes], keys: Keys, resolve_secret: Callable[[Secret], str], *, where: str = ""
) -> tuple[str, bool, Iterator[bytes]]:
    """One stream by itself; see `Seals`, which several should share."""
    return Seals(resolve_secret)(chunks, keys, where=where)


@dataclass(slots=True)
class _Helper:
    """How many streams use a program's helper, and whether it is there because of us."""

    users: int = 0
    ours: bool = False


@dataclass(slots=True)
class _Program:
    """A program that a stream goes through."""

    process: subprocess.Popen[bytes]
    given: int = 0
    got: int = 0
    whole: bool = False
    err: bytearray = field(default_factory=bytearray)
    rest: memoryview = field(default_factory=lambda: memoryview(b""))

    def through(self, chunks: Iterator[bytes]) -> Generator[bytes, None, None]:
        """What it makes of `chunks`, until it closes its output."""
        stdin, stdout, stderr = self.process.stdin, self.process.stdout, self.process.stderr
        if stdin is None or stdout is None or stderr is None:
            raise AssertionError("all three are pipes")
        for pipe in (stdin, stdout):
            with contextlib.suppress(OSError):  # an ordinary user may have only so much
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _CHUNK)
        os.set_blocking(stdin.fileno(), False)
        with selectors.DefaultSelector() as ready:
            ready.register(stdin, selectors.EVENT_WRITE)
            ready.register(stdout, selectors.EVENT_READ)
            ready.register(stderr, selectors.EVENT_READ)
            while True:
                found = {key.fileobj for key, _ in ready.select()}
                if stderr in found and not self._listen(stderr.fileno()):
                    ready.unregister(stderr)
                if stdout in found:
                    data = os.read(stdout.fileno(), _CHUNK)
                    if not data:
                        return
                    self.got += len(data)
                    yield data
                if stdin in found and not self._give(stdin.fileno(), chunks):
                    ready.unregister(stdin)
                    stdin.close()

    def _give(self, stdin: int, chunks: Iterator[bytes]) -> bool:
        """Let it have some more; False when there is no more, or when it takes no more."""
        if not self.rest:
            following = next(chunks, None)
            self.whole = following is None
            self.rest = memoryview(following or b"")
        try:
            sent = os.write(stdin, self.rest) if self.rest else 0
        except BrokenPipeError:  # it has seen enough; why, it says
            return False
        self.given += sent
        self.rest = self.rest[sent:]
        return not self.whole

    def _listen(self, stderr: int) -> bool:
        """Keep its last words; False when it has no more to say."""
        said = os.read(stderr, _TAIL)
        self.err += said
        del self.err[:-_TAIL]
        return bool(said)

    def end(self, head: bytes) -> End:
        """Wait for it: its status and last words."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        while self.process.stderr is not None and self._listen(self.process.stderr.fileno()):
            pass
        return End(self.process.wait(), bytes(self.err), self.given, self.got, self.whole, head)

    def close(self) -> None:
        """End it if it still runs; never raises."""
        with contextlib.suppress(OSError):
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def _raise(found: Complaint | None, where: str) -> None:
    if found is None:
        return
    text = printable(found.text, 400, one_line=True)
    if found.code:
        raise Damaged(found.code, text, where=where, hint=found.hint)
    raise Refused(text, where=where, hint=found.hint)
