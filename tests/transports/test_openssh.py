"""The way, the trust and the login of the OpenSSH client: the same as those of the other transport."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from remedy.core.errors import AuthenticationFailed, ConnectFailed, HostKeyError, RemedyError, UsageError
from remedy.core.values import Command, Secret, Target
from remedy.transports.bulk import Bulk
from remedy.transports.limits import Limits
from remedy.transports.openssh import OpenSsh
from remedy.transports.ssh import SshConnector

from . import test_sudo
from .conftest import LIMITS, Keys, Server, Sshd, free_port, make_key, reveal, run
from .test_ssh import listener, only_greet, stay_silent

sudo = test_sudo.sudo
ECHO = Command(("echo", "through"))


def stream(target: Target, *, limits: Limits = LIMITS, agent: str = "", home: Path | None = None) -> bytes:
    """What a program on the target says over a stream."""
    bulk = Bulk(lambda _: target, reveal, limits=limits, agent=agent, home=home)
    with bulk.start(ECHO, at=target.name) as running:
        out = b"".join(running)
        assert running.finish() == (0, b"")
    return out


def both(target: Target, *, agent: str = "", home: Path | None = None) -> tuple[RemedyError, RemedyError]:
    """How the two transports fail to reach a target."""
    with pytest.raises(RemedyError) as one:
        SshConnector(reveal, limits=LIMITS, agent=agent, home=home)(target)
    with pytest.raises(RemedyError) as other:
        stream(target, agent=agent, home=home)
    return one.value, other.value


def alike(target: Target, *, agent: str = "", home: Path | None = None) -> RemedyError:
    """The failure, which is the same over both transports, word for word."""
    one, other = both(target, agent=agent, home=home)
    assert (type(other), other.message, other.where, other.hint) == (type(one), one.message, one.where, one.hint)
    return other


def add(agent: str, key: Path) -> None:
    """Load a key without passphrase into the agent."""
    subprocess.run(("ssh-add", "-q", str(key)), env={**os.environ, "SSH_AUTH_SOCK": agent}, check=True)


# --- who the host is -------------------------------------------------------------------------------------------------


def test_unknown_changed_and_revoked_keys_are_refused(sshd: Sshd, keys: Keys) -> None:
    """Each is an error with the fingerprint and the line to add, the same as over the other transport."""
    server = sshd()
    assert isinstance(alike(server.known()), HostKeyError)
    assert "has changed" in alike(server.known(f"NAME {keys.public('ed25519')[:-9]}AAAAAAAAA")).message
    revoked = server.known(f"@revoked * {keys.public('ed25519')}", f"NAME {keys.public('ed25519')}")
    assert "revoked" in alike(revoked).message
    assert "cannot be read" in alike(server.known(f"NAME {keys.public('ed25519')}", "@revoked * nonsense")).message
    missing = replace(server.target, known_hosts=str(server.folder / "missing"))
    assert "not known" in alike(missing).message


def test_a_certificate_is_no_known_key(sshd: Sshd, keys: Keys, tmp_path: Path) -> None:
    """A host known only through a certificate authority is refused, though OpenSSH itself would take it."""
    authority = make_key(tmp_path / "authority")
    host = Path(shutil.copy(keys.host("ed25519"), tmp_path / "host"))
    shutil.copy(keys.host("ed25519").with_suffix(".pub"), tmp_path / "host.pub")
    run("ssh-keygen", "-q", "-s", authority, "-I", "web01", "-h", "-n", "127.0.0.1", host.with_suffix(".pub"))
    server = sshd(f"HostCertificate {tmp_path / 'host-cert.pub'}")
    public = authority.with_suffix(".pub").read_text().strip()
    assert "certificate authority" in alike(server.known(f"@cert-authority * {public}")).message


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_the_key_type_on_file_is_asked_for(sshd: Sshd, keys: Keys, kind: str) -> None:
    """A host with several keys is recognised by whichever one is on file."""
    server = sshd(host_keys=("ed25519", "ecdsa", "rsa"))
    assert stream(server.known(f"NAME {keys.public(kind)}")) == b"through\n"


def test_names_of_files_are_taken_literally(sshd: Sshd, keys: Keys, tmp_path: Path) -> None:
    """Spaces, quotes, percent and dollar signs in names of files mean nothing to ssh, behind a jump host neither."""
    folder = tmp_path / "a b%h\"'\\c$HOME#"
    folder.mkdir()
    server, jump = sshd(), sshd()
    for name, source in (("known", server.target.known_hosts), ("key", str(keys.folder / "login"))):
        shutil.copy(source, folder / name)
    shutil.copy(jump.target.known_hosts, folder / "jump")
    target = replace(server.target, known_hosts=str(folder / "known"), key_file=str(folder / "key"))
    assert stream(target) == b"through\n"
    way = replace(jump.target, known_hosts=str(folder / "jump"), key_file=str(folder / "key"))
    second = replace(jump.target, name="jump02", known_hosts=str(folder / "jump"), key_file=str(folder / "key"))
    assert stream(replace(target, jump=(way, second))) == b"through\n"


def test_no_configuration_is_read(sshd: Sshd, tmp_path: Path) -> None:
    """A user's ssh configuration neither helps nor hinders."""
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text("Host *\n  Port 1\n  StrictHostKeyChecking no\n  ProxyCommand false\n")
    assert stream(sshd().target, home=tmp_path) == b"through\n"


# --- who we are ------------------------------------------------------------------------------------------------------


def test_refused_and_unusable_keys(sshd: Sshd, keys: Keys, tmp_path: Path) -> None:
    """Refused, missing, malformed and locked keys, and none at all, are told apart as over the other transport."""
    target = sshd("PasswordAuthentication no", "KbdInteractiveAuthentication no").target
    assert "refused key" in alike(replace(target, key_file=str(keys.folder / "stranger"))).message
    assert "cannot be read" in alike(replace(target, key_file=str(tmp_path / "missing"))).message
    (tmp_path / "no-key").write_text("nonsense")
    assert "not a private key" in alike(replace(target, key_file=str(tmp_path / "no-key"))).message
    locked = make_key(tmp_path / "locked", passphrase="passphrase")
    assert "encrypted" in alike(replace(target, key_file=str(locked))).message
    assert "no key and no password" in alike(replace(target, key_file="")).message
    assert "accepts publickey" in alike(replace(target, key_file="", password=Secret("env:PW", "pass-word"))).message


def test_the_agent_and_the_usual_files(sshd: Sshd, agent: str, keys: Keys, tmp_path: Path) -> None:
    """Without a key in the inventory the agent's are tried, then the operator's own; one that is named stands alone."""
    server = sshd("MaxAuthTries 2")
    anyone = replace(server.target, key_file="", known_hosts="")
    (tmp_path / ".ssh").mkdir()
    shutil.copy(server.target.known_hosts, tmp_path / ".ssh" / "known_hosts")
    shutil.copy(keys.folder / "login", tmp_path / ".ssh" / "id_ed25519")
    assert stream(anyone, home=tmp_path) == b"through\n"
    (tmp_path / ".ssh" / "id_ed25519").unlink()
    add(agent, keys.folder / "login")
    assert stream(anyone, home=tmp_path, agent=agent) == b"through\n"
    locked = Path(shutil.copy(keys.folder / "login", tmp_path / "locked"))
    shutil.copy(keys.folder / "login.pub", tmp_path / "locked.pub")
    run("ssh-keygen", "-q", "-p", "-N", "passphrase", "-f", locked)
    assert stream(replace(server.target, key_file=str(locked)), agent=agent) == b"through\n"
    stranger = replace(server.target, key_file=str(keys.folder / "stranger"))
    assert isinstance(both(stranger, agent=agent)[1], AuthenticationFailed)


@pytest.mark.lab
@pytest.mark.parametrize("method", ["PasswordAuthentication", "KbdInteractiveAuthentication"])
def test_password_logins(sudo: Callable[..., Server], method: str) -> None:
    """Both ways of asking for a password are answered; a wrong one is refused without being shown."""
    other = ({"PasswordAuthentication", "KbdInteractiveAuthentication"} - {method}).pop()
    server = sudo("op ALL=(ALL) NOPASSWD: ALL", options=("UsePAM yes", f"{method} yes", f"{other} no"))
    target = replace(server.target, key_file="", password=test_sudo.RIGHT)
    assert stream(target) == b"through\n"
    with pytest.raises(AuthenticationFailed, match="refused password") as caught:
        stream(replace(target, password=test_sudo.WRONG))
    assert "wrong" not in str(caught.value)
    assert stream(replace(target, jump=(replace(target, name="jump01"),))) == b"through\n"


@pytest.mark.lab
def test_key_and_password_together(sudo: Callable[..., Server], keys: Keys, tmp_path: Path) -> None:
    """A target that demands a key and a password gets both; a locked key's passphrase is not the password."""
    options = ("PasswordAuthentication yes", "AuthenticationMethods publickey,password")
    server = sudo("op ALL=(ALL) NOPASSWD: ALL", options=options)
    target = replace(server.target, password=test_sudo.RIGHT)
    assert stream(target) == b"through\n"
    locked = Path(shutil.copy(keys.folder / "login", tmp_path / "locked"))
    run("ssh-keygen", "-q", "-p", "-N", test_sudo.PASSWORD, "-f", locked)
    with pytest.raises(AuthenticationFailed, match="encrypted"):
        stream(replace(target, key_file=str(locked)))


@pytest.mark.lab
def test_the_password_shows_nowhere(sudo: Callable[..., Server]) -> None:
    """While a stream runs, no process on the machine has a login password in its arguments or environment."""
    server = sudo("op ALL=(ALL) NOPASSWD: ALL", options=("UsePAM yes", "PasswordAuthentication yes"))
    target = replace(server.target, key_file="", password=test_sudo.RIGHT)
    target = replace(target, jump=(replace(target, name="jump01"),))
    every = Command(("sh", "-c", "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null; true"))
    with Bulk(lambda _: target, reveal, limits=LIMITS).start(every, at="web01") as running:
        text = b"".join(running)
    assert b"SSH_ASKPASS" in text
    assert test_sudo.PASSWORD.encode() not in text


def test_an_impossible_password(sshd: Sshd) -> None:
    """A password that cannot be typed is an error about the inventory."""
    with pytest.raises(UsageError, match="line break"):
        stream(replace(sshd().target, password=Secret("env:PW", "a\nb")))


# --- the way ---------------------------------------------------------------------------------------------------------


def test_a_chain_of_jump_hosts(sshd: Sshd, keys: Keys) -> None:
    """Each jump host is dialled from the one before, with its own key, port and known hosts, and is checked."""
    first, second, last = sshd(), sshd(), sshd()
    target = replace(last.target, jump=(replace(first.target, name="jump01"), replace(second.target, name="jump02")))
    assert stream(target) == b"through\n"
    wrong = replace(second.known(f"NAME {keys.public('rsa')}"), name="jump02")
    error = alike(replace(target, jump=(target.jump[0], wrong)))
    assert isinstance(error, HostKeyError)
    assert error.where == "jump02"
    stranger = replace(target.jump[0], key_file=str(keys.folder / "stranger"))
    assert alike(replace(target, jump=(stranger, target.jump[1]))).where == "jump01"


def test_a_jump_host_that_cannot_reach_the_target(sshd: Sshd) -> None:
    """The message says which jump host cannot reach what; forbidden forwarding looks the same."""
    closed = Target("db01", "127.0.0.1", free_port())
    for server in (sshd(), sshd("AllowTcpForwarding no")):
        with pytest.raises(ConnectFailed, match=r"db01: the jump host jump01 cannot reach 127.0.0.1 port"):
            stream(replace(closed, jump=(replace(server.target, name="jump01"),)))


def test_ipv6(sshd: Sshd) -> None:
    """A literal IPv6 address works, on the way too."""
    server, jump = sshd(address="::1"), sshd(address="::1")
    assert stream(replace(server.target, jump=(jump.target,))) == b"through\n"


def test_hosts_that_are_not_there() -> None:
    """A closed port and an unknown name are named as over the other transport."""
    assert "refused the connection" in alike(Target("web01", "127.0.0.1", free_port())).message
    assert "cannot be resolved" in both(Target("web01", "no-such-host.invalid"))[1].message


def test_a_black_hole_takes_the_connect_time_out() -> None:
    """A host that drops everything, or accepts and says nothing, costs no more than the connect time-out."""
    limits = replace(LIMITS, connect=1.0)
    with listener(None, backlog=0) as port, socket.create_connection(("127.0.0.1", port)):
        start = time.monotonic()
        with pytest.raises(ConnectFailed, match=r"no answer from 127.0.0.1 port .* within 1 s"):
            stream(Target("web01", "127.0.0.1", port), limits=limits)
        assert 0.9 < time.monotonic() - start < 1.8
    with listener(stay_silent) as port:
        start = time.monotonic()
        with pytest.raises(ConnectFailed, match="sent no SSH banner"):
            stream(Target("web01", "127.0.0.1", port), limits=limits)
        assert time.monotonic() - start < 1.8


def test_a_black_hole_behind_a_jump_host(sshd: Sshd) -> None:
    """A target that does not answer its jump host costs three connect time-outs, not the jump host's patience."""
    jump = replace(sshd().target, name="jump01")
    with listener(None, backlog=0) as port, socket.create_connection(("127.0.0.1", port)):
        start = time.monotonic()
        with pytest.raises(ConnectFailed, match=r"jump host jump01 gets no answer from 127\.0\.0\.1 port"):
            stream(Target("web01", "127.0.0.1", port, jump=(jump,)), limits=replace(LIMITS, connect=1.0))
        assert time.monotonic() - start < 4


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x1b[2J" * 100_000, b"SSH-1.5-old\r\n"])
def test_something_that_is_no_ssh_server(said: bytes) -> None:
    """A server that hangs up or speaks another protocol is a failed connection, its words made safe."""
    with listener(lambda sock: sock.sendall(said)) as port, pytest.raises(ConnectFailed) as caught:
        stream(Target("web01", "127.0.0.1", port))
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_key_exchange_that_stalls() -> None:
    """A server that stops after its banner is given up when the login's time is over."""
    limits = replace(LIMITS, connect=0.5, banner=0.5, login=0.5)
    with listener(only_greet) as port:
        start = time.monotonic()
        with pytest.raises(RemedyError) as caught:
            stream(Target("web01", "127.0.0.1", port), limits=limits)
        assert caught.value.exit_code == 21
        assert time.monotonic() - start < 3


def test_no_algorithm_in_common(sshd: Sshd) -> None:
    """A server that offers only what we do not is a failed key exchange that says so."""
    with pytest.raises(ConnectFailed, match=r"key exchange failed: .*no matching cipher"):
        stream(sshd("Ciphers aes128-cbc").target)


def test_what_costs_least_is_preferred_but_not_demanded(sshd: Sshd) -> None:
    """The preferred cipher and key exchange are used where there are such, and others where not."""
    for options, kex, cipher in (
        ((), "curve25519-sha256", "aes128-gcm@openssh.com"),
        (
            ("KexAlgorithms diffie-hellman-group16-sha512", "Ciphers aes256-ctr"),
            "diffie-hellman-group16-sha512",
            "aes256-ctr",
        ),
    ):
        server = sshd("LogLevel DEBUG", *options)
        assert stream(server.target) == b"through\n"
        log = (server.folder / "log").read_text()
        assert f"kex: algorithm: {kex} " in log
        assert f"cipher: {cipher} " in log


def test_the_folder_of_a_call_is_ours_alone(sshd: Sshd) -> None:
    """Nobody else can enter the folder in which a password waits; closing removes it, twice is quiet."""
    call = OpenSsh(reveal).call(replace(sshd().target, password=Secret("env:PW", "x")), "true")
    assert call.folder.stat().st_mode & 0o777 == 0o700
    assert "x" not in call.environ.values()
    call.close()
    call.close()
    assert not call.folder.exists()
