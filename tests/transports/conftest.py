"""Real SSH servers on loopback, each with its own keys and configuration in a temporary folder."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.worlds.children import child

from remedy.core.values import Command, Secret, Target
from remedy.transports.limits import Limits
from remedy.transports.ssh import SshConnection, SshConnector

#: Short enough for tests of silence, long enough for a busy machine.
LIMITS = Limits(connect=2.0, banner=3.0, login=10.0, idle=3.0)


def free_port(family: int = socket.AF_INET) -> int:
    """A TCP port nobody uses."""
    with socket.socket(family) as sock:
        sock.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        return int(sock.getsockname()[1])


def run(*argv: str | Path) -> str:
    """Run a program that must succeed; its standard output."""
    return subprocess.run([str(a) for a in argv], check=True, capture_output=True, text=True).stdout


def make_key(path: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    """A new key pair."""
    run("ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "", "-f", path)
    return path


@dataclass(frozen=True)
class Keys:
    """Key files made once: host keys by type, a login key, one that nobody accepts."""

    folder: Path

    def host(self, kind: str) -> Path:
        """The private host key of a type."""
        return self.folder / f"host_{kind}"

    def public(self, kind: str) -> str:
        """Type and base64 of a host key."""
        return " ".join(self.host(kind).with_suffix(".pub").read_text().split()[:2])


@dataclass
class Server:
    """A running sshd."""

    process: subprocess.Popen[bytes]
    folder: Path
    port: int
    target: Target

    def known(self, *lines: str) -> Target:
        """The target with a known_hosts file of these lines; NAME stands for the server's name in it."""
        file = self.folder / f"known_{len(list(self.folder.glob('known_*')))}"
        name = f"[{self.target.address}]:{self.port}"
        file.write_text("".join(line.replace("NAME", name) + "\n" for line in lines))
        return replace(self.target, known_hosts=str(file))


Sshd = Callable[..., Server]


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    """Keys, made once: RSA takes its time."""
    folder = tmp_path_factory.mktemp("keys")
    for kind in ("ed25519", "ecdsa", "rsa"):
        make_key(folder / f"host_{kind}", kind)
    make_key(folder / "login")
    make_key(folder / "stranger")
    return Keys(folder)


@pytest.fixture
def sshd(tmp_path: Path, keys: Keys) -> Iterator[Sshd]:
    """Start servers: `sshd("MaxSessions 1", host_keys=("ed25519",), bashrc="…")`."""
    servers: list[Server] = []

    def start(
        *options: str,
        host_keys: tuple[str, ...] = ("ed25519",),
        address: str = "127.0.0.1",
        bashrc: str = "",
        wrap: tuple[str, ...] = (),
    ) -> Server:
        folder = tmp_path / f"sshd{len(servers)}"
        folder.mkdir()
        shutil.copy(keys.folder / "login.pub", folder / "authorized_keys")
        (folder / ".bashrc").write_text(bashrc)
        port = free_port(socket.AF_INET6 if ":" in address else socket.AF_INET)
        config = [
            *options,
            f"Port {port}",
            f"ListenAddress {address}",
            "PidFile none",
            "UsePAM no",
            "StrictModes no",
            "UseDNS no",
            "PermitRootLogin yes",
            "MaxStartups 200",
            "MaxAuthTries 6",
            f"SetEnv HOME={folder}",
            f"AuthorizedKeysFile {folder}/authorized_keys",
            *(f"HostKey {keys.host(kind)}" for kind in host_keys),
        ]
        (folder / "config").write_text("\n".join(config) + "\n")
        Path("/run/sshd").mkdir(exist_ok=True)
        with (folder / "log").open("wb") as log:
            argv = (*wrap, "/usr/sbin/sshd", "-D", "-e", "-f", str(folder / "config"))
            process = ends.enter_context(child(argv, gently=10, stderr=log, stdin=subprocess.DEVNULL))
        known = folder / "known_hosts"
        known.write_text("".join(f"[{address}]:{port} {keys.public(kind)}\n" for kind in host_keys))
        user = pwd.getpwuid(os.getuid()).pw_name
        target = Target("web01", address, port, user, key_file=str(keys.folder / "login"), known_hosts=str(known))
        server = Server(process, folder, port, target)
        servers.append(server)
        for _ in range(200):
            assert process.poll() is None, (folder / "log").read_text()
            with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as sock:
                if sock.connect_ex((address, port)) == 0:
                    return server
            time.sleep(0.02)
        pytest.fail("sshd does not listen: " + (folder / "log").read_text())

    with contextlib.ExitStack() as ends:
        yield start


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[str]:
    """A real ssh-agent; the path of its socket."""
    path = str(tmp_path / "agent")
    with child(("ssh-agent", "-D", "-a", path), gently=10, stdout=subprocess.DEVNULL) as process:
        while not Path(path).exists():
            assert process.poll() is None
        yield path


def reveal(secret: Secret) -> str:
    """Resolve a secret by its value."""
    return secret.value


@pytest.fixture
def connector() -> SshConnector:
    """A connector with short limits, no agent and no home."""
    return SshConnector(reveal, limits=LIMITS)


@pytest.fixture
def connect(connector: SshConnector) -> Iterator[Callable[[Target], SshConnection]]:
    """Connect, and close at the end."""
    opened: list[SshConnection] = []

    def open_one(target: Target) -> SshConnection:
        opened.append(connector(target))
        return opened[-1]

    yield open_one
    for connection in opened:
        connection.close()


def sh(script: str, *, seconds: int = 10, stdin: str = "") -> Command:
    """A command that runs a line of shell."""
    return Command(("sh", "-c", script), seconds=seconds, stdin=stdin)
