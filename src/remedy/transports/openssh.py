"""Command lines for the OpenSSH client, which carries what is too long for paramiko.

Decides how a `Target` is written as options of ssh(1) and ssh_config(5), so that the way, the trust and the proof of
who we are stay those of the other transport (`ssh`, `hostkeys`, `login`): no configuration file is read, every jump
host has its own key and known hosts, nothing is asked of a terminal. Also decides what a failure of ssh itself was.
Leaves to others: running the command line (`bulk`), and what is said over the session.

ssh speaks into a file of its own (`-E`), never into the standard error that the target writes to as well: what the
target prints cannot pass for ssh's own words. A password waits in a FIFO of a folder that only we can enter, and is
read from there by the askpass program; it is in no argument, no environment and no file.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import math
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from remedy.core.errors import (
    AuthenticationFailed,
    ConnectFailed,
    ConnectionLost,
    HostKeyError,
    RemedyError,
    TimedOut,
    UsageError,
)
from remedy.core.text import printable
from remedy.core.values import Secret, Target
from remedy.transports.hostkeys import KnownHosts
from remedy.transports.limits import Limits
from remedy.transports.login import _USUAL, Credentials

#: How the folders of calls begin; the number of this process follows.
FOLDER: Final = "remedy-ssh-"
#: The same for every host. Ciphers and key exchange: what costs least first, everything else still allowed.
_OPTIONS: Final = (
    "StrictHostKeyChecking=yes",
    "GlobalKnownHostsFile=/dev/null",
    "UpdateHostKeys=no",
    "CheckHostIP=no",
    # As over the other transport: an authority's certificate is no known key.
    "HostKeyAlgorithms=-*cert*",
    "Ciphers=^aes128-gcm@openssh.com,aes256-gcm@openssh.com",
    "KexAlgorithms=^curve25519-sha256",
    "Compression=no",
    "GSSAPIAuthentication=no",
    "HostbasedAuthentication=no",
    "PreferredAuthentications=publickey,password,keyboard-interactive",
    "NumberOfPasswordPrompts=1",
    "ClearAllForwardings=yes",
    "PermitLocalCommand=no",
    "ControlPersist=no",
    # That a target went silent is no error to ssh.
    "LogLevel=INFO",
)
#: After so many unanswered probes ssh gives up.
_PROBES: Final = 3
# What ssh asks for besides passwords (passphrases and PINs of keys) must not get the password.
_ASKPASS: Final = """#!/bin/sh
case $1 in "Enter passphrase for "*|"Enter PIN for "*) exit 1;; esac
IFS= read -r answer <"${0%.ask}.fifo" && printf '%s\\n' "$answer"
"""
#: How often a password may be asked for: once each by two methods, and some fields of the second.
_ANSWERS: Final = 6
_LOG: Final = 64 * 1024
_LONGEST_SOCKET: Final = 80

# What ssh says (OpenSSH 8.5 and later, the first with KnownHostsCommand), and what it means.
_HOST_KEY: Final = "host key verification failed|host key .*revoked|remote host identification"
_DENIED: Final = r"permission denied \(([^)]*)\)|too many authentication failures"
_RESOLVE: Final = "could not resolve hostname [^:]*: (.*)"
_CONNECT: Final = r"^ssh: connect to host \S+ port \d+: (.*)"
_FORWARD: Final = "open failed: (.*)"
_TERMS: Final = "unable to negotiate with [^:]*: (.*)"
_MUTE: Final = "banner exchange|kex_exchange_identification|exchange_identification"


@dataclass(slots=True)
class Call:
    """One command line of ssh, and the private folder it needs while it runs."""

    target: Target
    folder: Path
    argv: tuple[str, ...] = ()
    environ: dict[str, str] = field(default_factory=dict)
    #: Seconds until the login must be done, whatever goes wrong on the way.
    seconds: float = 0.0
    _open: list[int] = field(default_factory=list)

    @property
    def socket(self) -> Path:
        """Where a master lets others in."""
        return self.folder / "mux"

    def close(self) -> None:
        """Remove the folder; never raises, may be called twice."""
        while self._open:
            os.close(self._open.pop())
        shutil.rmtree(self.folder, ignore_errors=True)

    def give(self, level: int, password: str) -> None:
        """Have `password` ready for the ssh of one level, which asks for it by running a program.

        Raises UsageError when it cannot be given: it ends at a line break.
        """
        if not password or set(password) & {"\0", "\n"}:
            raise UsageError("the password is empty or holds a line break", hint="see where its secret comes from")
        fifo, program = self.folder / f"{level}.fifo", self.folder / f"{level}.ask"
        os.mkfifo(fifo, 0o600)
        # Open for both, so that writing needs no reader and what is written stays until it is read or we close.
        self._open.append(os.open(fifo, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))
        os.write(self._open[-1], f"{password}\n".encode() * _ANSWERS)
        program.write_text(_ASKPASS)
        program.chmod(0o700)

    def asking(self, level: int) -> dict[str, str]:
        """The environment that makes the ssh of one level ask our program."""
        if not (self.folder / f"{level}.ask").exists():
            return {}
        return {"SSH_ASKPASS": str(self.folder / f"{level}.ask"), "SSH_ASKPASS_REQUIRE": "force"}

    def said(self, level: int) -> str:
        """What the ssh of one level had to say: 0 is the one to the target, the highest the first to be dialled."""
        try:
            with (self.folder / f"{level}.log").open("rb") as log:
                return log.read(_LOG).decode("utf-8", "replace").replace("\r", "")
        except OSError:
            return ""

    def offered(self, level: int) -> tuple[str, bytes] | None:
        """Type and blob of the host key that was offered, if it came to that."""
        try:
            words = (self.folder / f"{level}.key").read_text().splitlines()[-1].split()
            return words[0], base64.b64decode(words[1], validate=True)
        except (OSError, IndexError, UnicodeDecodeError, binascii.Error):
            return None


class OpenSsh:
    """Writes command lines for targets and explains why one has failed. May be shared by threads.

    `agent` and `home` as for `ssh.SshConnector`.
    """

    def __init__(
        self,
        resolve_secret: Callable[[Secret], str],
        *,
        limits: Limits | None = None,
        agent: str = "",
        home: Path | None = None,
    ) -> None:
        """Nothing is read yet."""
        self.limits = limits or Limits()
        self._agent = agent
        self._home = home
        self._credentials = Credentials(resolve_secret, agent=agent, home=home)
        usual = [home / ".ssh" / "known_hosts"] if home else []
        self._known = KnownHosts([*usual, Path("/etc/ssh/ssh_known_hosts")])

    def call(self, target: Target, command: str, *, master: bool = False, through: Path | None = None) -> Call:
        """The command line that runs `command` by the target's login shell.

        With `master` it also lets others in over its connection, by the socket `mux` in its folder; `through` is such
        a socket. Close what comes back. Raises UsageError, InventoryError, and what resolving a secret raises.
        """
        call = Call(target, _folder(), seconds=self._seconds(len(target.jump)))
        try:
            hosts = _hosts(target)
            way = ""
            for level in range(len(hosts) - 1, -1, -1):
                options = self._options(call, hosts[level], level, len(hosts) - 1 - level)
                if way:
                    options.append(f"-oProxyCommand={way}")
                if level:
                    onward = hosts[level - 1]
                    options += ["-W", f"[{onward.address}]:{onward.port}", "--", hosts[level].address]
                    asking = [f"{name}={value}" for name, value in call.asking(level).items()]
                    # The one who reads this replaces %h and the like.
                    way = shlex.join([*(["env", *asking] if asking else []), *options]).replace("%", "%%")
            socket = call.socket if master else through
            options += [f"-oControlMaster={'yes' if master else 'no'}", f"-oControlPath={_word(socket or 'none')}"]
            call.argv = (*options, "--", target.address, command)
            # SHELL runs the ProxyCommand. LC_ALL: `problem` reads English.
            own = {"PATH": os.environ.get("PATH", os.defpath), "SHELL": "/bin/sh", "LC_ALL": "C"}
            call.environ = own | ({"HOME": str(self._home)} if self._home else {}) | call.asking(0)
        except BaseException:
            call.close()
            raise
        return call

    def _seconds(self, hops: int) -> float:
        limits = self.limits
        return (limits.connect + limits.banner + limits.login) * (hops + 1)

    def _timeout(self, hops: int) -> int:
        """Seconds until the banner has to be there; behind jump hosts, theirs has to come first."""
        return math.ceil(self.limits.connect * (2 * hops + 1))

    def _options(self, call: Call, host: Target, level: int, hops: int) -> list[str]:
        limits = self.limits
        if host.password is not None:
            call.give(level, self._credentials.resolve_secret(host.password))
        self._known.entries(host.known_hosts, host.address, host.port)  # ssh passes over what cannot be read
        files = [str(path.absolute()) for path in self._known.files(host.known_hosts)]
        record = f"""/bin/sh -c 'echo "$1 $2" >>"$0"' {_word(call.folder / f"{level}.key")} %t %K"""
        settings = [
            *_OPTIONS,
            f"BatchMode={'no' if host.password is not None else 'yes'}",
            f"UserKnownHostsFile={' '.join(map(_word, files)) or '/dev/null'}",
            # Knows nobody: it notes which key was offered, for the message.
            f"KnownHostsCommand={record}",
            f"ConnectTimeout={self._timeout(hops)}",
            f"ServerAliveInterval={limits.keepalive}",
            f"ServerAliveCountMax={_PROBES}",
            *self._identities(host),
        ]
        log = str(call.folder / f"{level}.log")
        return [
            *("ssh", "-F", "none", "-T", "-x", "-a", "-E", log, "-l", host.user, "-p", str(host.port)),
            *(f"-o{setting}" for setting in settings),
        ]

    def _identities(self, host: Target) -> Iterable[str]:
        """A key named in the inventory is the only one offered; otherwise the agent's keys and the usual files are."""
        yield f"IdentityAgent={_word(self._agent) if self._agent else 'none'}"
        if host.key_file:
            yield "IdentitiesOnly=yes"
            yield f"IdentityFile={_word(Path(host.key_file).expanduser().absolute())}"
            return
        usual = [self._home / ".ssh" / name for name in _USUAL] if self._home else []
        found = [_word(path.absolute()) for path in usual if path.is_file()]
        yield from (f"IdentityFile={path}" for path in found or ["none"])

    def problem(self, call: Call) -> RemedyError | None:
        """What kept ssh from logging in, by its own words; None when it does not say. The first host in the way."""
        hosts = _hosts(call.target)
        for level in range(len(hosts) - 1, -1, -1):
            found = self._explain(call, hosts, level)
            if found is not None:
                return found
        return None

    def lost(self, call: Call) -> RemedyError:
        """What ended a session that was running, by ssh's own words."""
        said = [text for level in range(len(call.target.jump) + 1) if (text := call.said(level).strip())]
        words = printable("; ".join(said), 300, one_line=True)
        if "not responding" in words:
            return TimedOut(
                f"the target went silent for {self.limits.keepalive * _PROBES} s",
                where=call.target.name,
                hint="whether the command took effect is unknown",
            )
        return ConnectionLost(
            f"the session broke{f': {words}' if words else ''}",
            where=call.target.name,
            hint="whether the command took effect is unknown",
        )

    def _explain(self, call: Call, hosts: tuple[Target, ...], level: int) -> RemedyError | None:
        said = call.said(level)
        for pattern, explain in (
            (_HOST_KEY, self._host_key),
            (_DENIED, self._refused),
            (_RESOLVE, self._no_address),
            (_CONNECT, self._no_connection),
            (_FORWARD, self._no_way_on),
            (_TERMS, self._no_terms),
            (_MUTE, self._no_banner),
        ):
            if found := re.search(pattern, said, re.IGNORECASE | re.MULTILINE):
                words = printable((found[1] if found.re.groups else "") or said.strip(), 300, one_line=True)
                return explain(call, hosts, level, words)
        if level or not said.strip():
            return None
        return ConnectFailed(f"ssh gave up: {printable(said.strip(), 300, one_line=True)}", where=hosts[0].name)

    def _no_address(self, _: Call, hosts: tuple[Target, ...], level: int, words: str) -> RemedyError:
        return ConnectFailed(
            f"{printable(hosts[level].address, 100, one_line=True)} cannot be resolved: {words}",
            where=hosts[level].name,
            hint="see the host's address in the inventory, and the resolver",
        )

    def _no_connection(self, _: Call, hosts: tuple[Target, ...], level: int, words: str) -> RemedyError:
        place = f"{hosts[level].address} port {hosts[level].port}"
        text = f"cannot connect to {place}: {words}"
        if "timed out" in words:
            seconds = self._timeout(len(hosts) - 1 - level)
            text = f"no answer from {place} within {seconds} s; the host is down, or a firewall drops the packets"
        if "refused" in words:
            text = f"{place} refused the connection; is sshd running there, on that port?"
        return ConnectFailed(text, where=hosts[level].name)

    def _no_way_on(self, _: Call, hosts: tuple[Target, ...], level: int, words: str) -> RemedyError:
        onward = hosts[max(0, level - 1)]
        return ConnectFailed(
            f"the jump host {hosts[level].name} cannot reach {onward.address} port {onward.port}: {words}",
            where=onward.name,
            hint="see AllowTcpForwarding on the jump host, and whether the target's sshd is up",
        )

    def _no_terms(self, _: Call, hosts: tuple[Target, ...], level: int, words: str) -> RemedyError:
        return ConnectFailed(f"the key exchange failed: {words}", where=hosts[level].name)

    def _no_banner(self, _: Call, hosts: tuple[Target, ...], level: int, words: str) -> RemedyError:
        host = hosts[level]
        if level + 1 < len(hosts):
            return ConnectFailed(
                f"the jump host {hosts[level + 1].name} gets no answer from {host.address} port {host.port}",
                where=host.name,
                hint="the target is down, or a firewall between the two drops the packets",
            )
        return ConnectFailed(
            f"{host.address} port {host.port} sent no SSH banner: {words}",
            where=host.name,
            hint="is it an SSH server? One that is full (MaxStartups) or has banned us looks like this too",
        )

    def _host_key(self, call: Call, hosts: tuple[Target, ...], level: int, words: str) -> RemedyError:
        host, offered = hosts[level], call.offered(level)
        if offered is not None:
            try:
                self._known.check(host.known_hosts, host.address, host.port, offered, where=host.name)
            except HostKeyError as error:
                return error
        return HostKeyError(
            f"the host key was refused: {words}",
            where=host.name,
            hint="compare the key on the host's console before you enter it into known_hosts",
        )

    def _refused(self, _: Call, hosts: tuple[Target, ...], level: int, words: str) -> RemedyError:
        host, methods = hosts[level], "" if " " in words else words.replace(",", ", ")
        tried: list[str] = []
        try:
            with contextlib.closing(self._credentials.offers(host)) as offers:
                tried += [offer.name for offer in offers]
        except AuthenticationFailed as error:
            return error  # the key was no key, or locked: it was never offered
        taken = not methods or "password" in methods or "interactive" in methods
        tried += ["password"] if host.password is not None and taken else []
        user = f"user {printable(host.user, 60, one_line=True)}"
        accepts = f"; the target accepts {methods}" if methods else ""
        if not tried:
            return AuthenticationFailed(
                f"{user}: there is no key and no password to offer{accepts}",
                where=host.name,
                hint="name a key file or a password in the inventory, or load a key into ssh-agent",
            )
        return AuthenticationFailed(
            f"{user}: the target refused {', '.join(tried)}{accepts}",
            where=host.name,
            hint="see the target's authorized_keys and the user, key and password in the inventory",
        )


def _hosts(target: Target) -> tuple[Target, ...]:
    """The target and the jump hosts before it, the one dialled first last."""
    return (target, *reversed(target.jump))


def _word(text: object) -> str:
    """One word of an option's value, taken literally (ssh_config(5): quotes, and TOKENS)."""
    return '"' + str(text).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") + '"'


def _folder() -> Path:
    """A new folder for us alone, where programs may be run and a socket's name is not too long."""
    for place in (tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"):  # noqa: S108 -- mkdtemp makes it ours
        with contextlib.suppress(OSError):
            runs = not os.statvfs(place).f_flag & os.ST_NOEXEC
            if runs and len(place) < _LONGEST_SOCKET:
                return Path(tempfile.mkdtemp(prefix=f"{FOLDER}{os.getpid()}-", dir=place))
    return Path(tempfile.mkdtemp(prefix=f"{FOLDER}{os.getpid()}-"))
