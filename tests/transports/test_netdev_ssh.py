"""SSH as devices speak it: old algorithms, keyboard-interactive alone, one service request; and what an error says."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import paramiko
import pytest
from tests.transports.conftest import make_key
from tests.worlds.terminals import COMWARE, Device, serve

from remedy.core.errors import AuthenticationFailed, ConnectFailed, RemedyError
from remedy.core.values import Command, Secret
from remedy.transports.devices.session import LEGACY
from remedy.transports.limits import Limits
from remedy.transports.netdev import DeviceConnector, Platform

LIMITS: Final = Limits(connect=2.0, banner=3.0, login=6.0, idle=3.0)
#: Whether the installed paramiko still has SHA-1.
HAS_SHA1: Final = int(paramiko.__version__.split(".")[0]) < 5
Run = Callable[..., Device]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Run devices until the test ends; options are those of asyncssh.create_server."""
    with ExitStack() as stack:
        yield lambda device, **options: stack.enter_context(serve(device, tmp_path, **options))


def answer(device: Device, **settings: object) -> str:
    """What the device says to one line over a new login."""
    connect = DeviceConnector(lambda secret: secret.value, lambda _: Platform(COMWARE), limits=LIMITS)
    connection = connect(device.target(**settings))
    (reply,) = connection.run([Command(("cli", "display it"))])
    connection.close()
    texts: list[str] = json.loads(reply.out)
    return texts[0]


# Said by the server's side; paramiko's does its own arithmetic.
@pytest.mark.filterwarnings("ignore:Diffie-Hellman over finite fields")
@pytest.mark.parametrize("name", sorted(LEGACY - {"ssh-rsa"}))
def test_key_exchanges_with_sha1(run: Run, name: str) -> None:
    """With paramiko 4 a device that knows SHA-1 alone is reached; with 5 the error names it and what to install."""
    device = run(Device(), kex_algs=[name])
    if HAS_SHA1:
        assert answer(device) == ""
        return
    begin = time.monotonic()
    with pytest.raises(ConnectFailed, match=f"the device offers only key exchange {name}") as caught:
        answer(device)
    assert "remedy[legacy]" in caught.value.hint
    assert time.monotonic() - begin < 2


def test_a_host_key_signed_with_sha1(run: Run) -> None:
    """A device with nothing but `ssh-rsa` is reached with paramiko 4 alone, its key checked all the same."""
    device = run(Device(), host_keys=("ssh-rsa",), signatures=["ssh-rsa"])
    if HAS_SHA1:
        assert answer(device) == ""
        return
    with pytest.raises(ConnectFailed, match="the device offers only host key ssh-rsa") as caught:
        answer(device)
    assert "remedy[legacy]" in caught.value.hint


@pytest.mark.parametrize("cipher", ["aes128-cbc", "aes256-cbc", "3des-cbc"])
@pytest.mark.parametrize("code", ["hmac-sha1", "hmac-md5"])
def test_old_ciphers(run: Run, cipher: str, code: str) -> None:
    """Old ciphers and authentication codes are had with either paramiko."""
    device = run(Device(), encryption_algs=[cipher], mac_algs=[code])
    assert answer(device) == ""


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"encryption_algs": ["arcfour128"]}, "cipher arcfour128"),
        ({"mac_algs": ["umac-64@openssh.com"], "encryption_algs": ["aes128-ctr"]}, "authentication code umac-64"),
    ],
)
def test_what_nobody_has_any_more(run: Run, options: dict[str, list[str]], said: str) -> None:
    """Where no release of paramiko would help, the error does not send anybody to install one."""
    with pytest.raises(RemedyError, match=said) as caught:
        answer(run(Device(), **options))
    assert "remedy[legacy]" not in caught.value.hint
    assert "software" in caught.value.hint


def test_the_key_on_file_is_asked_for(run: Run, tmp_path: Path) -> None:
    """Of several host keys the one on file is asked for, also when it is the oldest kind."""
    device = run(Device(), host_keys=("ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256"))
    lines = Path(device.known_hosts).read_text().splitlines()
    for kind in ("ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256"):
        known = tmp_path / f"only_{kind}"
        known.write_text(next(line for line in lines if f" {kind} " in line) + "\n")
        assert answer(device, known_hosts=str(known)) == ""


def test_keyboard_interactive_alone(run: Run) -> None:
    """A device that asks for the password instead of taking one is answered, with one service request in all."""
    device = run(Device(), methods=("keyboard-interactive",))
    assert answer(device) == ""
    with pytest.raises(AuthenticationFailed, match="keyboard-interactive"):
        answer(device, password=Secret("test", "wrong"))


def test_a_key_and_then_a_password(run: Run, tmp_path: Path) -> None:
    """A key that is refused and a password that is taken are one login: strict servers bear no second request."""
    key = make_key(tmp_path / "id_ed25519")
    device = run(Device(), methods=("publickey", "password"))
    assert answer(device, key_file=str(key)) == ""


def test_an_rsa_key_on_an_old_device(run: Run, tmp_path: Path) -> None:
    """With paramiko 4 a device that knows `ssh-rsa` alone, its own key and ours, is logged in to with an RSA key."""
    key = make_key(tmp_path / "id_rsa", "rsa")
    options = {"authorized_client_keys": str(key.with_suffix(".pub")), "signature_algs": ["ssh-rsa"]}
    device = run(Device(), host_keys=("ssh-rsa",), signatures=["ssh-rsa"], methods=(), **options)
    if HAS_SHA1:
        assert answer(device, key_file=str(key), password=None) == ""
        return
    with pytest.raises(ConnectFailed, match="host key ssh-rsa"):
        answer(device, key_file=str(key), password=None)


def test_no_ssh_at_all() -> None:
    """A port where something else answers says so."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            peer, _ = server.accept()
            peer.sendall(b"% Connection refused by access-list\r\n")
            peer.close()

        thread = threading.Thread(target=hang_up, daemon=True)
        thread.start()
        device = Device(port=server.getsockname()[1], known_hosts="/dev/null")
        with pytest.raises(ConnectFailed, match="sent no SSH banner") as caught:
            answer(device)
        thread.join(5)
    assert "sessions are all taken" in caught.value.hint
