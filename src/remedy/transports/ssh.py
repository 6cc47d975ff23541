"""SSH connections, over paramiko's Transport.

Decides how a target is reached and trusted (own socket, jump hosts, algorithms, host key, login) and that any number
of commands cost one channel and one round trip. Leaves to others: known keys (`hostkeys`), credentials (`login`),
the script and its answer (`script`, `replies`), reuse of connections (`guard`).
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from remedy.core.errors import ConnectFailed, ConnectionLost, TimedOut
from remedy.core.text import printable
from remedy.core.values import Command, Reply, Secret, Target
from remedy.transports.hostkeys import KnownHosts
from remedy.transports.limits import Limits, Patience
from remedy.transports.login import Credentials
from remedy.transports.replies import Replies
from remedy.transports.script import Elevation, build
from remedy.transports.sockets import Wire, dial

if TYPE_CHECKING:
    import paramiko

    from remedy.transports.session import Session


@dataclass(slots=True)
class _Hop:
    """A jump host's session, shared by the connections through it."""

    chain: tuple[Target, ...]
    session: Session
    via: _Hop | None
    users: int = 0


S = TypeVar("S", bound="Session")


class SshConnection:
    """One authenticated SSH session. Several threads may call `run` at once. Implements core.ports.Connection."""

    def __init__(
        self,
        target: Target,
        session: Session,
        host_key: str,
        *,
        connector: SshConnector,
        on_close: Callable[[], None],
    ) -> None:
        """Use `SshConnector` to make one."""
        self.target = target
        #: The login user, as the target knows it.
        self.user = target.user
        #: Address and port dialled; behind a jump host, as the jump host sees them.
        self.peer = f"{target.address} port {target.port}"
        #: SHA-256 fingerprint of the host key that was accepted.
        self.host_key = host_key
        self._session = session
        self._connector = connector
        self._on_close = on_close
        self._slots = threading.Condition()
        self._used = 0
        self._most = connector.limits.sessions
        self._ask_first = True
        self._closed = False

    def run(self, commands: Sequence[Command]) -> tuple[Reply, ...]:
        """Run the commands in order in one round trip.

        Raises ConnectFailed when the session was gone before anything was sent; ConnectionLost when it broke later,
        TimedOut when a command ran over its `seconds` or the shell was silent, ElevationFailed when sudo refused,
        AnswerUnusable when the login gives no shell or the target sends too much, UsageError for impossible commands.
        """
        import paramiko  # noqa: PLC0415 -- loaded long ago

        if not commands:
            return ()
        limits, where = self._connector.limits, self.target.name
        nonce = self._connector.random(16).hex()
        script = build(commands, nonce, self._elevation(commands))
        replies = Replies(len(commands), nonce, limits, where)
        patience = Patience(commands, limits, self._connector.clock, where)
        with self._channel() as channel:
            try:
                self._session.send_script(channel, script, limits.idle)
                self._session.collect(channel, replies, patience)
                answer = replies.result()
            except TimeoutError as error:
                raise TimedOut("the target does not take the commands", where=where) from error
            except (paramiko.SSHException, EOFError, OSError) as error:
                raise ConnectionLost(
                    f"the session broke: {printable(str(error) or type(error).__name__, 200, one_line=True)}",
                    where=where,
                    hint="whether the command took effect is unknown",
                ) from error
        if replies.wants_password:
            self._ask_first = False
        return answer

    def _elevation(self, commands: Sequence[Command]) -> Elevation | None:
        target = self.target
        if not target.become or target.user == "root" or not any(command.root for command in commands):
            return None
        secret = target.become_password
        password = None if secret is None else self._connector.credentials.resolve_secret(secret)
        return Elevation(password, ask_first=self._ask_first)

    @contextlib.contextmanager
    def _channel(self) -> Iterator[paramiko.Channel]:
        """A session channel, never more at once than the target allows."""
        import paramiko  # noqa: PLC0415 -- loaded long ago

        limits, clock, where = self._connector.limits, self._connector.clock, self.target.name
        end = clock() + limits.idle
        channel = None
        while channel is None:
            with self._slots:
                if not self._slots.wait_for(lambda: self._used < self._most, max(0.0, end - clock())):
                    raise TimedOut("all sessions of the connection stayed busy", where=where)
                self._used += 1
            try:
                channel = self._session.open_shell(min(limits.banner, max(0.1, end - clock())))
            except (paramiko.SSHException, EOFError, OSError) as error:
                # Of several threads refused at once, paramiko tells only one that it was (ChannelException).
                if not self._session.is_active() or "Timeout" in str(error):
                    self._free()
                    raise ConnectFailed("the session is gone; nothing was sent", where=where) from error
                self._refused_session(error, end)
        try:
            yield channel
        finally:
            with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
                channel.close()
            self._free()

    def _free(self) -> None:
        with self._slots:
            self._used -= 1
            self._slots.notify()

    def _refused_session(self, error: Exception, end: float) -> None:
        """The target has a smaller MaxSessions than ours: from now on fewer at once; or it is about to free one."""
        with self._slots:
            self._most = max(1, min(self._most, self._used - 1))
        self._free()
        if self._connector.clock() >= end:
            raise ConnectFailed(
                "the target refuses sessions; nothing was sent",
                where=self.target.name,
                hint="see MaxSessions in its sshd_config",
            ) from error
        time.sleep(0.02)

    def close(self) -> None:
        """Close; never raises, may be called twice."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(Exception):
            self._session.close()
        self._on_close()


class SshConnector:
    """Opens SSH connections. Holds what all of them share: known hosts, loaded keys, sessions to jump hosts.

    Implements core.ports.Connector. `agent` is the SSH agent's socket path, `home` the folder whose `.ssh` has the
    usual keys and known_hosts; without them only what the inventory names is used. May be shared by threads.
    """

    #: Where to look when nobody greets us.
    _no_banner = "is it an SSH server? One that is full (MaxStartups) or has banned us looks like this too"

    def __init__(
        self,
        resolve_secret: Callable[[Secret], str],
        *,
        limits: Limits | None = None,
        agent: str = "",
        home: Path | None = None,
        random: Callable[[int], bytes] = os.urandom,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is opened yet."""
        self.limits = limits or Limits()
        self.credentials = Credentials(resolve_secret, agent=agent, home=home)
        self.random = random
        self.clock = clock
        usual = [home / ".ssh" / "known_hosts"] if home else []
        self._known = KnownHosts([*usual, Path("/etc/ssh/ssh_known_hosts")])
        self._hops: dict[tuple[Target, ...], _Hop] = {}
        self._hop_locks: dict[tuple[Target, ...], threading.Lock] = {}
        self._lock = threading.Lock()

    def __call__(self, target: Target) -> SshConnection:
        """Connect: host key checked, authenticated, ready to run.

        Raises ConnectFailed, HostKeyError, AuthenticationFailed or TimedOut; InventoryError for a known_hosts setting.
        """
        hop = self._enter(target.jump) if target.jump else None
        try:
            session, host_key = self._open(target, hop)
        except BaseException:
            self._leave(hop)
            raise
        return SshConnection(target, session, host_key, connector=self, on_close=lambda: self._leave(hop))

    def _enter(self, chain: tuple[Target, ...]) -> _Hop:
        """The session with the last jump host of a chain, opened once for all that go through it."""
        with self._lock:
            lock = self._hop_locks.setdefault(chain, threading.Lock())
        with lock:
            hop = self._hops.get(chain)
            if hop is None or not hop.session.is_active():
                via = self._enter(chain[:-1]) if chain[1:] else None
                try:
                    hop = _Hop(chain, self._open(chain[-1], via)[0], via)
                except BaseException:
                    self._leave(via)
                    raise
                self._hops[chain] = hop
            hop.users += 1
            return hop

    def _leave(self, hop: _Hop | None) -> None:
        """One user fewer; the last one closes the session, and so on towards us."""
        while hop is not None:
            with self._hop_locks[hop.chain]:
                hop.users -= 1
                if hop.users > 0:
                    return
                if self._hops.get(hop.chain) is hop:
                    del self._hops[hop.chain]
            with contextlib.suppress(Exception):
                hop.session.close()
            hop = hop.via

    def _open(self, target: Target, via: _Hop | None) -> tuple[Session, str]:
        sock = self._dial(target) if via is None else self._forward(target, via)
        try:
            session = self._negotiate(target, sock)
        except BaseException:
            sock.close()
            raise
        try:
            host_key = self._check_host(target, session)
            self.credentials.login(session, target, self.limits.login)
            session.set_keepalive(self.limits.keepalive)
        except BaseException:
            session.close()
            raise
        return session, host_key

    def _dial(self, target: Target) -> Wire:
        return dial(
            target.address,
            target.port,
            seconds=self.limits.connect,
            silence=self.limits.idle,
            where=target.name,
            clock=self.clock,
        )

    def _forward(self, target: Target, via: _Hop) -> paramiko.Channel:
        """A TCP connection made by a jump host (RFC 4254, section 7.2). Raises ConnectFailed."""
        import paramiko  # noqa: PLC0415 -- loaded for the jump host

        try:
            return via.session.open_channel(
                "direct-tcpip", (target.address, target.port), ("127.0.0.1", 0), timeout=self.limits.connect
            )
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise ConnectFailed(
                f"the jump host {via.chain[-1].name} cannot reach {target.address} port {target.port}:"
                f" {printable(str(error), 200, one_line=True)}",
                where=target.name,
                hint="see AllowTcpForwarding on the jump host, and whether the target's sshd is up",
            ) from error

    def _negotiate(self, target: Target, sock: Wire | paramiko.Channel) -> Session:
        # Only now: with the first packet on its way, importing costs no time.
        from remedy.transports.session import Session  # noqa: PLC0415 -- see above

        return self._agree(target, Session(sock, self._kinds(target)))

    def _kinds(self, target: Target) -> list[str]:
        """The host key types on file, which are preferred."""
        known = self._known.entries(target.known_hosts, target.address, target.port)
        return [entry.kind for entry in known if not entry.marker]

    def _agree(self, target: Target, session: S) -> S:
        """Banners and keys exchanged. Raises ConnectFailed."""
        if session.negotiate(self.limits):
            return session
        problem = session.get_exception()
        session.close()
        said = printable(str(problem or ""), 200, one_line=True).removeprefix("Error reading SSH protocol banner")
        if not session.remote_version:
            raise ConnectFailed(
                f"{target.address} port {target.port} sent no SSH banner{f': {said}' if said else ''}",
                where=target.name,
                hint=self._no_banner,
            ) from problem
        raise self._disagreed(target, session, said) from problem

    def _disagreed(self, target: Target, session: Session, said: str) -> ConnectFailed:  # noqa: ARG002 -- for devices
        """What is said of a key exchange that failed."""
        return ConnectFailed(f"the key exchange failed: {said or 'the target hung up'}", where=target.name)

    def _check_host(self, target: Target, session: Session) -> str:
        key = session.get_remote_server_key()
        offered = (key.get_name(), key.asbytes())
        return self._known.check(target.known_hosts, target.address, target.port, offered, where=target.name)


def connect(target: Target, *, resolve_secret: Callable[[Secret], str], limits: Limits | None = None) -> SshConnection:
    """One connection by itself; see `SshConnector`, which shares what several connections have in common."""
    return SshConnector(resolve_secret, limits=limits)(target)
