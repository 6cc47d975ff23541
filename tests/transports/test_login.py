"""Logging in with keys, the agent and passwords, against real servers."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from remedy.core.errors import AuthenticationFailed
from remedy.core.values import Command, Reply, Secret, Target
from remedy.transports.login import Credentials
from remedy.transports.ssh import SshConnection, SshConnector

from .conftest import LIMITS, Keys, Sshd, make_key, reveal, run

Connect = Callable[[Target], SshConnection]


def add(agent: str, key: Path) -> None:
    """Load a key without passphrase into the agent."""
    subprocess.run(("ssh-add", "-q", str(key)), env={**os.environ, "SSH_AUTH_SOCK": agent}, check=True)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_every_key_type_logs_in(sshd: Sshd, connect: Connect, keys: Keys, kind: str) -> None:
    """OpenSSH key files of each type are accepted."""
    server = sshd()
    shutil.copy(keys.host(kind).with_suffix(".pub"), server.folder / "authorized_keys")
    connection = connect(replace(server.target, key_file=str(keys.host(kind))))
    assert connection.run([Command(("echo", "x"))]) == (Reply(0, b"x\n"),)


def test_keys_without_comment_or_padding_are_read(tmp_path: Path) -> None:
    """Whatever the lengths inside a sound key file happen to be, it is read; half of these trip paramiko alone."""
    credentials = Credentials(reveal)
    for number in range(16):
        path = make_key(tmp_path / f"key{number}", "ecdsa")
        assert credentials.load(path).get_base64() == path.with_suffix(".pub").read_text().split()[1]


def test_a_refused_key_is_named_with_what_is_accepted(sshd: Sshd, connect: Connect, keys: Keys) -> None:
    """The message says who was refused with what, and what the target would accept."""
    stranger = str(keys.folder / "stranger")
    with pytest.raises(AuthenticationFailed, match=f"refused key {stranger}; the target accepts .*publickey") as caught:
        connect(replace(sshd().target, key_file=stranger))
    assert caught.value.where == "web01"
    assert "authorized_keys" in caught.value.hint


def test_a_target_that_ends_the_session_during_authentication(sshd: Sshd, connect: Connect, keys: Keys) -> None:
    """Too many attempts for the target is a refusal, not a crash."""
    server = sshd("MaxAuthTries 1")
    stranger = str(keys.folder / "stranger")
    with pytest.raises(AuthenticationFailed, match="refused key"):
        connect(replace(server.target, key_file=stranger))


@pytest.mark.parametrize("content", [None, "not a key\n", ""])
def test_unusable_key_files_are_named(sshd: Sshd, connect: Connect, tmp_path: Path, content: str | None) -> None:
    """A missing file and a file that is no key are errors about that file."""
    path = tmp_path / "key"
    if content is not None:
        path.write_text(content)
    with pytest.raises(AuthenticationFailed) as caught:
        connect(replace(sshd().target, key_file=str(path)))
    assert caught.value.where == str(path)


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_an_encrypted_key_says_what_to_do(sshd: Sshd, connect: Connect, tmp_path: Path, kind: str) -> None:
    """Without agent, a key with a passphrase is an error that names ssh-add."""
    path = make_key(tmp_path / "locked", kind, "passphrase")
    with pytest.raises(AuthenticationFailed, match="encrypted") as caught:
        connect(replace(sshd().target, key_file=str(path)))
    assert caught.value.hint == f"ssh-add {path}"


def test_an_encrypted_key_in_the_agent_is_used(sshd: Sshd, agent: str, keys: Keys, tmp_path: Path) -> None:
    """The inventory may name an encrypted key that the agent holds; only that one is offered."""
    path = Path(shutil.copy(keys.folder / "login", tmp_path / "locked"))
    shutil.copy(keys.folder / "login.pub", tmp_path / "locked.pub")
    add(agent, keys.folder / "stranger")
    add(agent, path)
    run("ssh-keygen", "-q", "-p", "-N", "passphrase", "-f", path)
    connection = SshConnector(reveal, limits=LIMITS, agent=agent)(replace(sshd().target, key_file=str(path)))
    assert connection.run([Command(("echo", "x"))]) == (Reply(0, b"x\n"),)
    connection.close()


def test_agent_keys_are_tried_in_turn(sshd: Sshd, agent: str, keys: Keys) -> None:
    """Without a key in the inventory the agent's are offered, until one is accepted."""
    add(agent, keys.folder / "stranger")
    add(agent, keys.folder / "login")
    connection = SshConnector(reveal, limits=LIMITS, agent=agent)(replace(sshd().target, key_file=""))
    assert connection.run([Command(("echo", "x"))]) == (Reply(0, b"x\n"),)
    connection.close()


def test_an_agent_that_is_gone_is_an_error(sshd: Sshd, tmp_path: Path) -> None:
    """A stale SSH_AUTH_SOCK is said to be one."""
    with pytest.raises(AuthenticationFailed, match="agent does not answer"):
        SshConnector(reveal, limits=LIMITS, agent=str(tmp_path / "gone"))(replace(sshd().target, key_file=""))


def test_the_usual_files_are_used(sshd: Sshd, keys: Keys, tmp_path: Path) -> None:
    """Without key and known_hosts in the inventory, those of the operator's home count."""
    server = sshd()
    folder = tmp_path / ".ssh"
    folder.mkdir()
    shutil.copy(keys.folder / "login", folder / "id_ed25519")
    shutil.copy(server.target.known_hosts, folder / "known_hosts")
    connector = SshConnector(reveal, limits=LIMITS, home=tmp_path)
    connection = connector(replace(server.target, key_file="", known_hosts=""))
    assert connection.run([Command(("echo", "x"))]) == (Reply(0, b"x\n"),)
    connection.close()


def test_nothing_to_offer_is_said(sshd: Sshd, connect: Connect) -> None:
    """No key and no password is an error about the inventory, not a refusal by the target."""
    with pytest.raises(AuthenticationFailed, match="no key and no password to offer"):
        connect(replace(sshd().target, key_file=""))


def test_a_password_is_not_offered_where_it_is_not_taken(sshd: Sshd, connect: Connect) -> None:
    """The password is not sent to a target that accepts keys only, and never shown."""
    target = replace(
        sshd("PasswordAuthentication no", "KbdInteractiveAuthentication no").target,
        key_file="",
        password=Secret("env:PW", "pass-word"),
    )
    with pytest.raises(AuthenticationFailed, match="the target accepts publickey") as caught:
        connect(target)
    assert "pass-word" not in str(caught.value)


def test_key_and_then_password_is_a_chain(sshd: Sshd, connect: Connect) -> None:
    """Where both are demanded, an accepted key alone is not enough, and the message says what is missing."""
    server = sshd("AuthenticationMethods publickey,password", "PasswordAuthentication yes")
    with pytest.raises(AuthenticationFailed, match="the target accepts password"):
        connect(server.target)
