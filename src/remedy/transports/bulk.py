r"""Long streams to and from a program on a host, over the OpenSSH binary, each on a connection of its own.

Decides how one program is run with its standard input and output open to us for as long as it takes, and how its end
is known for certain. Leaves to others: ssh's command line (`openssh`), what the bytes are.

The target is sent this, after which its standard input and output belong to the program:

    exec sh -c 'IFS= read -r f; …'                     the command line: the same for every program
    remedy-1f0c…                                       the line that ends the script
    { n=5f1c…; …; m s 0 0                              the script; a script cut short in transit does nothing
    (exec mariadb-dump --single-transaction web)
    m e 0 $? >&2; exit $?; }
    remedy-1f0c…
    hunter2                                            only for sudo with a password; then the fence again, the nonce

and answers with the marks of `replies`, 128 random bits before each. On standard output they come before the first
byte of the program and never again; on standard error the last one is the program's exit status. Without it the end
of a stream proves nothing: ssh's own exit status is not looked at.

The command line and the script before the program are read by the shell's `read`, byte by byte, so that nothing that
belongs to the program is lost to it.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from remedy.core.errors import ConnectFailed, ConnectionLost, RemedyError, UsageError
from remedy.core.text import printable
from remedy.core.values import Command, Secret, Target
from remedy.transports.guard import CONTROLLER
from remedy.transports.limits import Limits
from remedy.transports.openssh import Call, OpenSsh
from remedy.transports.running import NeverRan, Running
from remedy.transports.script import _PROLOGUE, Elevation, _check, _prepare

#: Bytes of a script, arguments included.
_SCRIPT: Final = 128 * 1024
# The line break is made by printf: some login shells take none inside quotes.
_BOOT: Final = shlex.quote(
    'IFS= read -r f; n=$(printf "\\nx"); n=${n%x}; s=; '
    'while IFS= read -r l; do [ "$l" = "$f" ] && eval "$s"; s="$s$l$n"; done; exit 1'
)
_WAIT: Final = ("sh", "-c", "while read -r _; do :; done")
# Run by sudo: skips the password where sudo did not take it, and what else comes before the fence.
_ROOT: Final = (
    'PATH="${PATH:-/usr/bin:/bin}:/usr/local/sbin:/usr/sbin:/sbin"; LC_ALL=C; export PATH LC_ALL; '
    'while IFS= read -r l; do [ "$l" = "$0" ] && IFS= read -r n && '
    '{ printf "%s u 0 0\\n" "$n"; printf "%s u 0 0\\n" "$n" >&2; exec "$@"; }; done; exit 1'
)


@dataclass(slots=True)
class _Door:
    """A connection kept open for short streams, which others come in by."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    running: Running | None = None
    socket: Path = Path()


class Bulk:
    """Starts programs on hosts. May be shared by threads. Close it to end the connections kept for short streams."""

    def __init__(
        self,
        lookup: Callable[[str], Target],
        resolve_secret: Callable[[Secret], str],
        *,
        local: Target | None = None,
        user: str = "root",
        limits: Limits | None = None,
        agent: str = "",
        home: Path | None = None,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """`lookup` gives a host's Target or raises UnknownTarget; `agent` and `home` as for `ssh.SshConnector`.

        With `local`, what is started at "controller" runs on this machine as `user`, who we are; `local` says how root
        commands are elevated. Without it that name is looked up like any other.
        """
        self._lookup = lookup
        self._resolve_secret = resolve_secret
        self._local = local
        self._user = user
        self._ssh = OpenSsh(resolve_secret, limits=limits, agent=agent, home=home)
        self._random = random
        self._doors: dict[str, _Door] = {}
        self._running: weakref.WeakSet[Running] = weakref.WeakSet()
        self._lock = threading.Lock()

    def start(self, command: Command, *, at: str, short: bool = False) -> Running:
        """Run `command.argv` on host `at`; returns when it runs. `command.stdin` and `seconds` mean nothing here.

        `short` streams to one host share a connection, which spares each the login but not a place of its own in
        MaxSessions. Raises Unreachable (ConnectFailed, AuthenticationFailed, HostKeyError, ElevationFailed, TimedOut),
        AnswerUnusable without a shell, UsageError for impossible commands, UnknownTarget.
        """
        if self._local is not None and at == CONTROLLER:
            return self._run(self._local, command)
        target = self._lookup(at)
        return self._run(target, command, through=self._door(at, target) if short else None)

    def close(self) -> None:
        """End what still runs and the connections kept open; never raises. They open again when needed."""
        with self._lock:
            doors = list(self._doors.values())
            self._doors.clear()
            running = list(self._running)
        for one in running:
            one.kill()
        for door in doors:
            with door.lock:
                if door.running is not None:
                    door.running.close()
                    door.running = None

    def __enter__(self) -> Self:
        """Close at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def _door(self, at: str, target: Target) -> Path:
        """The socket of the connection that short streams to a host share."""
        with self._lock:
            door = self._doors.setdefault(at, _Door())
        with door.lock:
            if door.running is None or not door.running.alive:
                if door.running is not None:
                    door.running.close()
                    door.running = None
                # A shell that waits for input which never comes keeps the connection, whatever `cat` is there.
                door.running = self._run(target, Command(_WAIT, root=False), door=door)
            return door.socket

    def _run(
        self, target: Target, command: Command, *, door: _Door | None = None, through: Path | None = None
    ) -> Running:
        local = target is self._local
        elevation = self._elevation(target, self._user if local else target.user) if command.root else None
        nonce, fence = self._random(16).hex(), f"remedy-{self._random(8).hex()}"
        script = _script(command, nonce, fence, elevation)
        call = None if local else self._ssh.call(target, f"exec sh -c {_BOOT}", master=bool(door), through=through)
        if call is not None and door is not None:
            door.socket = call.socket
        try:
            running = self._popen(target, command, nonce, call)
        except BaseException:
            if call is not None:
                call.close()
            raise
        try:
            running.begin(script, "u" if elevation else "s", call.seconds if call else self._ssh.limits.login)
        except NeverRan as error:
            running.close_input()
            problem = (self._ssh.problem(call) if call else None) or running.never_ran(error.seen)
            running.close()
            raise problem from None
        except BaseException:
            running.close()
            raise
        with self._lock:
            self._running.add(running)
        return running

    def _popen(self, target: Target, command: Command, nonce: str, call: Call | None) -> Running:
        def lost() -> RemedyError:
            return self._ssh.lost(call) if call else _ended_from_outside(command.argv[0], target.name)

        pipe = subprocess.PIPE
        argv = call.argv if call else ("sh", "-c", shlex.split(_BOOT)[0])
        try:
            # A session of its own: no terminal is its, Ctrl-C is ours, and all it starts can be ended together.
            process = subprocess.Popen(
                argv,
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
                bufsize=0,
                start_new_session=True,
                env=call.environ if call else None,
            )
        except OSError as error:
            raise ConnectFailed(
                f"{argv[0]} cannot be started: {error.strerror}",
                where=target.name,
                hint="apt-get install openssh-client",
            ) from error
        return Running(
            command.argv[0], target.name, process, nonce, lost=lost, close=call.close if call else lambda: None
        )

    def _elevation(self, target: Target, user: str) -> Elevation | None:
        if not target.become or user == "root":
            return None
        secret = target.become_password
        return Elevation(None if secret is None else self._resolve_secret(secret))


def _ended_from_outside(name: str, where: str) -> RemedyError:
    return ConnectionLost(
        f"{printable(name, 80, one_line=True)} was ended from outside",
        where=where,
        hint="whether it took effect is unknown",
    )


def _script(command: Command, nonce: str, fence: str, elevation: Elevation | None) -> bytes:
    """What goes before the program's own input. Raises UsageError for what no shell can pass on."""
    _check(command)
    words = " ".join(map(shlex.quote, command.argv))
    run, after = f"(exec {words})\n", ""
    if elevation is not None:
        run = f'{_prepare(elevation)}sudo $s -p "" -- sh -c {shlex.quote(_ROOT)} {fence} {words}\n'
        after = "".join(f"{line}\n" for line in (elevation.password, fence, nonce) if line is not None)
    end = "r=$?; printf '%s e 0 %s\\n' \"$n\" $r >&2; exit $r\n"
    text = f"{fence}\n{{\nn={nonce}\n{_PROLOGUE}m s 0 0\n{run}{end}}}\n{fence}\n{after}"
    try:
        script = text.encode()
    except UnicodeEncodeError as error:
        raise UsageError("a command holds text that is not valid Unicode") from error
    if len(script) > _SCRIPT:
        raise UsageError(f"{command.argv[0]}: arguments come to {len(script)} bytes, more than {_SCRIPT}")
    return script
