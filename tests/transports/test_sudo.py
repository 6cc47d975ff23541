"""Elevation by real sudo and passwords by real PAM, on a server whose /etc is a private overlay.

The server runs in a mount namespace of its own, with its own users, sudoers and sudo time stamps; the machine's files
are not touched and everything is gone when the server ends.
"""

from __future__ import annotations

import base64
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from remedy.core.errors import AuthenticationFailed, ElevationFailed
from remedy.core.values import Command, Reply, Secret, Target
from remedy.transports.ssh import SshConnection

from .conftest import Server, Sshd, sh

pytestmark = pytest.mark.lab

Connect = Callable[[Target], SshConnection]
PASSWORD = 'it\'s a "pass word" $1%s\\'
RIGHT, WRONG = Secret("env:SUDO", PASSWORD), Secret("env:SUDO", "wrong")
WHO = Command(("id", "-un"))
ME = Command(("id", "-un"), root=False)

# $1 a folder, $2 the password's hash, $3 the sudoers lines; the rest is the server.
NAMESPACE = r"""
set -e
dir=$1 hash=$2 sudoers=$3; shift 3
mkdir -p "$dir/etc"; mount -t tmpfs etc "$dir/etc"; mkdir "$dir/etc/upper" "$dir/etc/work"
mount -t overlay etc -o "lowerdir=/etc,upperdir=$dir/etc/upper,workdir=$dir/etc/work" /etc
mkdir -p /run/sudo /var/lib/sudo
mount -t tmpfs -o mode=711 sudo /run/sudo; mount -t tmpfs -o mode=700 sudo /var/lib/sudo
echo "op:x:4242:4242::/:/bin/sh" >> /etc/passwd; echo "op:x:4242:" >> /etc/group
echo "op:$hash:19000:0:99999:7:::" >> /etc/shadow
printf '%s\n' "$sudoers" > /etc/sudoers; chmod 440 /etc/sudoers; rm -rf /etc/sudoers.d
exec "$@"
"""


@pytest.fixture
def sudo(sshd: Sshd, tmp_path: Path) -> Callable[..., Server]:
    """Start a server with these sudoers lines; its target logs in as `op` and becomes root."""
    if not shutil.which("sudo"):
        pytest.fail("these tests need sudo: apt-get install sudo")
    hashed = subprocess.run(
        ("openssl", "passwd", "-6", "-stdin"), input=PASSWORD, text=True, capture_output=True, check=True
    ).stdout.strip()

    def start(*sudoers: str, options: tuple[str, ...] = ()) -> Server:
        inside = ("sh", "-c", NAMESPACE, "sh", str(tmp_path / "private"), hashed, "\n".join(sudoers))
        server = sshd(*options, wrap=("unshare", "--mount", "--propagation", "private", *inside))
        # op must be able to walk to its own files below a folder of root's.
        for folder in (server.folder, *server.folder.parents):
            if folder.stat().st_uid == 0 and str(folder).startswith("/tmp/"):  # noqa: S108 -- pytest's own
                folder.chmod(0o755)
        server.target = replace(server.target, user="op", become=True)
        return server

    return start


def asks(*defaults: str) -> tuple[str, ...]:
    """Sudoers lines that let op become root with its password."""
    return (*defaults, "root ALL=(ALL) ALL", "op ALL=(ALL) ALL")


def test_without_password(sudo: Callable[..., Server], connect: Connect) -> None:
    """Where sudo asks nothing, root commands run as root, the others as the login user, in order."""
    replies = connect(sudo("op ALL=(ALL) NOPASSWD: ALL").target).run([ME, WHO, WHO, ME, sh("exit 7"), ME])
    assert [(reply.status, reply.out) for reply in replies] == [
        (0, b"op\n"),
        (0, b"root\n"),
        (0, b"root\n"),
        (0, b"op\n"),
        (7, b""),
        (0, b"op\n"),
    ]
    assert {reply.err for reply in replies} == {b""}


def test_a_password_nobody_gave(sudo: Callable[..., Server], connect: Connect) -> None:
    """Where sudo wants a password and there is none, the hint says where to put it; nothing after it runs."""
    with pytest.raises(ElevationFailed, match="give the sudo password in the inventory"):
        connect(sudo(*asks()).target).run([ME, WHO, ME])


@pytest.mark.parametrize(
    "defaults", ["Defaults timestamp_timeout=0", "Defaults timestamp_timeout=5", "Defaults use_pty"]
)
def test_with_password(sudo: Callable[..., Server], connect: Connect, defaults: str) -> None:
    """With the password, whether sudo remembers it or not, input and output of root commands are exact."""
    connection = connect(replace(sudo(*asks(defaults)).target, become_password=RIGHT))
    text = "line one\n隔离 'quoted' \\ %s $x\n" * 2000
    for _ in range(3):
        assert connection.run([WHO, Command(("cat",), stdin=text), ME, sh("cat; echo $$ >/dev/null; exit 3")]) == (
            Reply(0, b"root\n"),
            Reply(0, text.encode()),
            Reply(0, b"op\n"),
            Reply(3),
        )


def test_a_remembered_password_never_reaches_a_shell(sudo: Callable[..., Server], connect: Connect) -> None:
    """When sudo does not read the password, the line is thrown away: as a command it would leave a file."""
    name = "/run/remedy-password-was-run"
    password = f"touch {name}"
    server = sudo(*asks("Defaults timestamp_timeout=5, timestamp_type=global"))
    target = replace(server.target, become_password=RIGHT)
    assert connect(target).run([WHO])[0].out == b"root\n"  # sudo remembers op now
    connection = connect(replace(target, become_password=Secret("env:SUDO", password)))
    connection._ask_first = False  # sudo -v succeeds from memory, then the password is given and not needed
    assert connection.run([WHO, sh(f"test -e {name}")]) == (Reply(0, b"root\n"), Reply(1))


def test_a_wrong_password_is_tried_once(sudo: Callable[..., Server], connect: Connect, tmp_path: Path) -> None:
    """One mistake in the inventory is one failed attempt, so that no account gets locked, and nothing runs."""
    log = tmp_path / "sudo.log"
    target = replace(sudo(*asks(f"Defaults logfile={log}", "Defaults passwd_tries=3")).target, become_password=WRONG)
    with pytest.raises(ElevationFailed, match="sudo password in the inventory is wrong; it was tried once") as caught:
        connect(target).run([ME, WHO])
    assert "1 incorrect password attempt" in " ".join(log.read_text().split())
    assert "wrong" not in caught.value.message


def test_a_user_who_may_not(sudo: Callable[..., Server], connect: Connect) -> None:
    """A login user outside sudoers is told so."""
    for password in (None, RIGHT):
        with pytest.raises(ElevationFailed) as caught:
            connect(replace(sudo("root ALL=(ALL) ALL").target, become_password=password)).run([WHO])
        assert "sudo" in caught.value.hint


def test_requiretty(sudo: Callable[..., Server], connect: Connect) -> None:
    """A sudo that wants a terminal is named, with the line that changes it."""
    with pytest.raises(ElevationFailed, match="!requiretty"):
        connect(sudo("Defaults requiretty", "op ALL=(ALL) NOPASSWD: ALL").target).run([WHO])


def test_the_lecture_is_not_an_answer(sudo: Callable[..., Server], connect: Connect) -> None:
    """What sudo says by itself belongs to no command."""
    target = replace(sudo(*asks("Defaults lecture=always")).target, become_password=RIGHT)
    assert connect(target).run([WHO]) == (Reply(0, b"root\n"),)


def test_a_root_shell_that_dies_is_a_lost_session(sudo: Callable[..., Server], connect: Connect) -> None:
    """When the elevated shell is killed, that is not mistaken for a refusal by sudo."""
    from remedy.core.errors import ConnectionLost  # noqa: PLC0415 -- only here

    with pytest.raises(ConnectionLost, match="command 2 of 3"):
        connect(sudo("op ALL=(ALL) NOPASSWD: ALL").target).run([WHO, sh("kill -9 $PPID"), ME])


@pytest.mark.parametrize("method", ["PasswordAuthentication", "KbdInteractiveAuthentication"])
def test_password_logins(sudo: Callable[..., Server], connect: Connect, method: str) -> None:
    """Both ways of asking for a password are answered; a wrong one is refused without being shown."""
    other = ({"PasswordAuthentication", "KbdInteractiveAuthentication"} - {method}).pop()
    server = sudo("op ALL=(ALL) NOPASSWD: ALL", options=("UsePAM yes", f"{method} yes", f"{other} no"))
    target = replace(server.target, key_file="", password=RIGHT)
    assert connect(target).run([ME, WHO])[1].out == b"root\n"
    with pytest.raises(AuthenticationFailed, match="refused") as caught:
        connect(replace(target, password=WRONG))
    assert "wrong" not in str(caught.value)


def test_key_and_password_together(sudo: Callable[..., Server], connect: Connect) -> None:
    """A target that demands a key and a password gets both."""
    options = ("PasswordAuthentication yes", "AuthenticationMethods publickey,password")
    server = sudo("op ALL=(ALL) NOPASSWD: ALL", options=options)
    assert connect(replace(server.target, password=RIGHT)).run([ME])[0].out == b"op\n"


def test_secrets_do_not_show_in_process_lists(sudo: Callable[..., Server], connect: Connect) -> None:
    """While a root command runs, no process on the machine has the password in its arguments or environment."""
    connection = connect(replace(sudo(*asks()).target, become_password=RIGHT))
    seen = connection.run([sh("cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | base64 -w0")])[0].out
    text = base64.b64decode(seen)
    assert b"remedy-0" in text
    assert PASSWORD.encode() not in text
