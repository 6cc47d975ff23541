"""Proving to a target who we are: keys, agent, passwords.

Decides which keys and passwords are offered, in which order, and what a refusal means. A key named in the inventory
is the only one offered; otherwise the agent's keys and the usual files are. Passwords come last.
Leaves to others: the host's own proof (`hostkeys`), and where secrets are kept (`resolve_secret`).
"""

from __future__ import annotations

import contextlib
import functools
import socket
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from remedy.core.errors import AuthenticationFailed, RemedyError, TimedOut
from remedy.core.text import printable
from remedy.core.values import Secret, Target
from remedy.transports.hostkeys import fingerprint

if TYPE_CHECKING:
    import paramiko

_USUAL: Final = ("id_ed25519", "id_ecdsa", "id_rsa")
# OpenSSH's MaxAuthTries is 6; the last one is kept for a password.
_MOST_KEYS: Final = 5
_AGENT_SECONDS: Final = 10.0


class _Locked(Exception):
    """A key file is encrypted."""


@dataclass(frozen=True, slots=True)
class _Offer:
    """A key to try, and how to call it in a message."""

    name: str
    key: paramiko.PKey


class Credentials:
    """Keys and passwords of the person at the controller. Key files are read once until they change.

    `agent` is the agent's socket path ("" for none), `home` the folder with the usual key files (None for none).
    May be shared by threads.
    """

    def __init__(self, resolve_secret: Callable[[Secret], str], *, agent: str = "", home: Path | None = None) -> None:
        """Nothing is read yet."""
        self.resolve_secret = resolve_secret
        self._agent = agent
        self._home = home
        self._loaded: dict[Path, tuple[tuple[int, int], paramiko.PKey]] = {}
        self._lock = threading.Lock()

    def load(self, path: Path) -> paramiko.PKey:
        """The private key in a file (OpenSSH or PEM format).

        Raises AuthenticationFailed when it is missing, unreadable or no key; _Locked when it is encrypted.
        """
        import paramiko  # noqa: PLC0415 -- 100 ms, paid after dialling
        from paramiko.pkey import UnknownKeyType  # noqa: PLC0415 -- as above

        try:
            stat = path.stat()
            mark = (stat.st_mtime_ns, stat.st_size)
            with self._lock:
                if path not in self._loaded or self._loaded[path][0] != mark:
                    self._loaded[path] = (mark, _read_key(path))
                return self._loaded[path][1]
        except OSError as error:
            raise AuthenticationFailed(f"the key file cannot be read: {error.strerror}", where=str(path)) from error
        except (paramiko.PasswordRequiredException, TypeError) as error:
            raise _Locked from error
        except (paramiko.SSHException, UnknownKeyType, ValueError) as error:
            if "encrypted" in str(error).lower():
                raise _Locked from error
            raise AuthenticationFailed(
                "not a private key in OpenSSH or PEM format", where=str(path), hint="the inventory names a key file"
            ) from error

    def offers(self, target: Target) -> Generator[_Offer, None, None]:
        """The keys to offer to a target, best first; the agent is asked only if it comes to that.

        Close it when done: the agent's keys need its connection. Raises AuthenticationFailed when the key file named
        in the inventory cannot be used, or when the agent fails and nothing else is left to try.
        """
        if target.key_file:
            path = Path(target.key_file).expanduser()
            try:
                offer = _Offer(f"key {path}", self.load(path))
            except _Locked:
                with self._agent_keys() as keys:
                    yield _unlocked(path, keys)
            else:
                yield offer
            return
        problem: AuthenticationFailed | None = None
        try:
            with self._agent_keys() as keys:
                for key in keys:
                    yield _Offer(f"agent key {fingerprint(key.asbytes())}", key)
        except AuthenticationFailed as error:
            problem = error
        for path in (self._home / ".ssh" / name for name in _USUAL) if self._home else ():
            if path.is_file():
                with contextlib.suppress(_Locked):  # the agent had its chance with this one
                    yield _Offer(f"key {path}", self.load(path))
        if problem is not None and target.password is None:
            raise problem

    @contextlib.contextmanager
    def _agent_keys(self) -> Iterator[tuple[paramiko.PKey, ...]]:
        """The agent's keys, usable inside the block; none without an agent."""
        if not self._agent:
            yield ()
            return
        from paramiko.agent import AgentSSH  # noqa: PLC0415 -- as above
        from paramiko.ssh_exception import SSHException  # noqa: PLC0415 -- as above

        with socket.socket(socket.AF_UNIX) as sock:
            try:
                sock.settimeout(_AGENT_SECONDS)
                sock.connect(self._agent)
                # paramiko.Agent would look for the socket in the environment.
                agent = AgentSSH()
                agent._connect(sock)  # type: ignore[attr-defined]  # noqa: SLF001 -- no public way to pass the socket
            except (OSError, SSHException) as error:
                raise AuthenticationFailed(
                    f"the SSH agent does not answer: {error}",
                    where=self._agent,
                    hint="start one, or unset SSH_AUTH_SOCK and name a key file in the inventory",
                ) from error
            yield agent.get_keys()

    def login(self, transport: paramiko.Transport, target: Target, seconds: float) -> None:
        """Authenticate an open, host-checked transport within `seconds`.

        Raises AuthenticationFailed naming what was tried and what the target accepts, TimedOut when it goes silent.
        """
        transport.auth_timeout = seconds
        _Login(self, transport, target).run()


def _read_key(path: Path) -> paramiko.PKey:
    """The key in a file. Raises what paramiko and cryptography raise."""
    import io  # noqa: PLC0415 -- as below

    import paramiko  # noqa: PLC0415 -- 100 ms, paid after dialling
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 -- as above
    from cryptography.hazmat.primitives.asymmetric import ec, rsa  # noqa: PLC0415 -- as above

    try:
        return paramiko.PKey.from_path(str(path))
    except paramiko.PasswordRequiredException:
        raise
    except (paramiko.SSHException, ValueError):
        # paramiko takes some sound files for damaged: those whose comment is empty and whose length leaves no padding.
        key = serialization.load_ssh_private_key(path.read_bytes(), None)
        if not isinstance(key, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey)):
            raise
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        kind = paramiko.RSAKey if isinstance(key, rsa.RSAPrivateKey) else paramiko.ECDSAKey
        return kind.from_private_key(io.StringIO(pem.decode()))


def _unlocked(path: Path, keys: tuple[paramiko.PKey, ...]) -> _Offer:
    """The agent's copy of an encrypted key file, recognised by the public key beside it."""
    public = path.with_name(path.name + ".pub")
    words = public.read_text().split() if public.is_file() else []
    for key in keys:
        if words[1:2] == [key.get_base64()]:
            return _Offer(f"agent key {fingerprint(key.asbytes())}", key)
    raise AuthenticationFailed(
        "the key file is encrypted and the agent does not have it" if words else "the key file is encrypted",
        where=str(path),
        hint=f"ssh-add {path}" if words else f"ssh-keygen -yf {path} > {public}, then ssh-add {path}",
    )


class _Login:
    """One authentication: remembers what was tried and what the target still accepts."""

    def __init__(self, credentials: Credentials, transport: paramiko.Transport, target: Target) -> None:
        self._credentials = credentials
        self._transport = transport
        self._target = target
        self._tried: list[str] = []
        self._accepted: list[str] = []

    def run(self) -> None:
        if self._keys():
            return
        # A key's refusal does not say what else would do; the method "none" does (RFC 4252, section 5.2).
        if not self._accepted and self._try(functools.partial(self._transport.auth_none, self._target.user)):
            return
        if self._target.password is not None and self._password(self._target.password):
            return
        raise self._refused()

    def _keys(self) -> bool:
        with contextlib.closing(self._credentials.offers(self._target)) as offers:
            return self._offer(offers)

    def _offer(self, offers: Iterator[_Offer]) -> bool:
        for number, offer in enumerate(offers):
            if number >= _MOST_KEYS or not self._may("publickey"):
                break
            self._tried.append(offer.name)
            if self._try(functools.partial(self._transport.auth_publickey, self._target.user, offer.key)):
                return True
            if "publickey" not in self._accepted and self._accepted:
                break  # the key was right, and more is wanted
        return False

    def _password(self, secret: Secret) -> bool:
        password = self._credentials.resolve_secret(secret)
        if self._may("password"):
            self._tried.append("password")
            if self._try(lambda: self._transport.auth_password(self._target.user, password, fallback=False)):
                return True
        if self._may("keyboard-interactive"):
            self._tried.append("keyboard-interactive")
            # Every question that hides its answer gets the password; others, the empty text.
            return self._try(
                lambda: self._transport.auth_interactive(
                    self._target.user,
                    lambda _title, _text, fields: ["" if echo else password for _, echo in fields],
                )
            )
        return False

    def _may(self, method: str) -> bool:
        return not self._accepted or method in self._accepted

    def _try(self, attempt: Callable[[], list[str]]) -> bool:
        """True when authenticated. A method refused or a further one wanted is False."""
        import paramiko  # noqa: PLC0415 -- loaded long ago

        try:
            further = attempt()
        except paramiko.BadAuthenticationType as error:
            self._accepted = list(error.allowed_types)
            return False
        except paramiko.AuthenticationException as error:
            if "timeout" in str(error).lower():
                raise TimedOut(
                    "the target went silent during authentication", where=self._target.name, hint="try again"
                ) from error
            if not self._transport.is_active():
                raise self._refused("the target ended the session") from error
            return False
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise self._refused(f"the session broke: {error or type(error).__name__}") from error
        self._accepted = list(further)
        return not further

    def _refused(self, why: str = "") -> RemedyError:
        user = f"user {printable(self._target.user, 60, one_line=True)}"
        if not self._tried:
            return AuthenticationFailed(
                f"{user}: there is no key and no password to offer"
                + (f"; the target accepts {self._methods()}" if self._accepted else ""),
                where=self._target.name,
                hint="name a key file or a password in the inventory, or load a key into ssh-agent",
            )
        accepts = f"; the target accepts {self._methods()}" if self._accepted else ""
        return AuthenticationFailed(
            f"{user}: the target refused {', '.join(self._tried)}{f' ({why})' if why else ''}{accepts}",
            where=self._target.name,
            hint="see the target's authorized_keys and the user, key and password in the inventory",
        )

    def _methods(self) -> str:
        return printable(", ".join(self._accepted), 200, one_line=True)
