"""The controller itself, as one more place where commands run.

Decides nothing that `script` and `replies` have not decided for targets: the same script goes to a local `sh`, so
that limits, elevation and the framing of answers are the same. Leaves to others: which host is the controller.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Final

from remedy.core.errors import ConnectFailed
from remedy.core.values import Command, Reply, Secret, Target
from remedy.transports.limits import Limits, Patience
from remedy.transports.replies import Replies
from remedy.transports.script import Elevation, build

_CHUNK: Final = 256 * 1024


class LocalConnection:
    """Runs commands on this machine as the user remedy runs as. Implements core.ports.Connection.

    `target` says whether and how root commands are elevated; its address is not used.
    """

    def __init__(
        self,
        target: Target,
        *,
        resolve_secret: Callable[[Secret], str],
        user: str,
        limits: Limits | None = None,
        random: Callable[[int], bytes] = os.urandom,
        clock: Callable[[], float] = time.monotonic,
        programs: str = "",
    ) -> None:
        """`user` is the name of the user remedy runs as; with "root" nothing is elevated.

        Programs are looked for in the folder `programs` first: a `python3` on an administrator's path may be a shell
        script that starts another, ten times as slow, and the controller is asked once for every target.
        """
        self.target = target
        self.user = user
        self.peer = "this machine"
        self.host_key = ""
        self._resolve_secret = resolve_secret
        self._limits = limits or Limits()
        self._random = random
        self._clock = clock
        self._path = f"PATH={shlex.quote(programs)}:$PATH; export PATH\n".encode() if programs else b""

    def run(self, commands: Sequence[Command]) -> tuple[Reply, ...]:
        """Run the commands in order by one shell.

        Raises ConnectFailed when there is no shell, TimedOut when a command ran over its `seconds` (what it started
        is killed with it), ElevationFailed, AnswerUnusable on too much output, UsageError for impossible commands.
        """
        if not commands:
            return ()
        where = self.target.name
        nonce = self._random(16).hex()
        script = self._path + build(commands, nonce, self._elevation())
        replies = Replies(len(commands), nonce, self._limits, where)
        patience = Patience(commands, self._limits, self._clock, where)
        pipe = subprocess.PIPE
        try:
            # A session of its own: a time-out ends everything the commands started, and no terminal is theirs.
            process = subprocess.Popen(("sh",), stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
        except OSError as error:
            raise ConnectFailed(f"sh cannot be started: {error.strerror}", where=where) from error
        try:
            _exchange(process, script, replies, patience)
            return replies.result()
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            for stream in (process.stdin, process.stdout, process.stderr):
                with contextlib.suppress(OSError):
                    if stream:
                        stream.close()
            process.wait()

    def _elevation(self) -> Elevation | None:
        if not self.target.become or self.user == "root":
            return None
        secret = self.target.become_password
        return Elevation(None if secret is None else self._resolve_secret(secret))

    def close(self) -> None:
        """Nothing stays open."""


def _exchange(process: subprocess.Popen[bytes], script: bytes, replies: Replies, patience: Patience) -> None:
    """Feed the script and read both streams until both are done. What runs on in the background is not waited for."""
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise AssertionError("all three are pipes")
    rest = memoryview(script)
    with selectors.DefaultSelector() as ready:
        os.set_blocking(process.stdin.fileno(), False)
        ready.register(process.stdin, selectors.EVENT_WRITE)
        ready.register(process.stdout, selectors.EVENT_READ, replies.feed_out)
        ready.register(process.stderr, selectors.EVENT_READ, replies.feed_err)
        reading = 2
        while reading and not replies.finished:
            for key, _ in ready.select(patience.left(replies.running)):
                if key.data is None:
                    try:
                        rest = rest[os.write(key.fd, rest[:_CHUNK]) :]
                    except BrokenPipeError:
                        rest = rest[:0]
                    if not rest:
                        ready.unregister(process.stdin)
                        process.stdin.close()
                elif data := os.read(key.fd, _CHUNK):
                    key.data(data)
                else:
                    ready.unregister(key.fileobj)
                    reading -= 1
