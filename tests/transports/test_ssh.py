"""Commands over real SSH sessions: limits, hostile output, silence, several threads, jump hosts."""

from __future__ import annotations

import base64
import contextlib
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import paramiko
import pytest

from remedy.core.errors import AnswerUnusable, ConnectFailed, ConnectionLost, HostKeyError, TimedOut
from remedy.core.values import Command, Reply, Target
from remedy.transports import session
from remedy.transports.hostkeys import fingerprint
from remedy.transports.limits import Limits
from remedy.transports.ssh import SshConnection, SshConnector
from remedy.transports.ssh import connect as connect_once

from .conftest import LIMITS, Keys, Sshd, free_port, reveal, run, sh

Connect = Callable[[Target], SshConnection]


def test_a_batch_keeps_streams_status_and_input_apart(sshd: Sshd, connect: Connect) -> None:
    """Several commands come back in order, each with its own output, error, status and standard input."""
    text = 'it\'s "50%" of \\n 隔离\n$HOME `x`\n\n'
    replies = connect(sshd().target).run([Command(("cat",), stdin=text), sh("echo e >&2; exit 9"), Command(("cat",))])
    assert replies == (Reply(0, text.encode()), Reply(9, b"", b"e\n"), Reply(0))


def test_two_hundred_commands_are_one_batch(sshd: Sshd, connect: Connect) -> None:
    """A large batch is still one channel and keeps its order."""
    replies = connect(sshd("MaxSessions 1").target).run([Command(("echo", str(n))) for n in range(200)])
    assert [int(reply.out) for reply in replies] == list(range(200))


def test_no_commands_need_no_session(sshd: Sshd, connect: Connect) -> None:
    """An empty batch is an empty answer."""
    assert connect(sshd().target).run([]) == ()


@pytest.mark.parametrize("shell", ["bash", "busybox"])
def test_other_shells_as_sh(sshd: Sshd, connect: Connect, tmp_path: Path, shell: str) -> None:
    """Targets whose sh is bash or busybox answer as those with dash do."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "sh").symlink_to(shutil.which(shell) or pytest.fail(f"install {shell}"))
    server = sshd(bashrc=f"PATH={folder}:$PATH\n")
    name, cat = connect(server.target).run([sh("readlink /proc/$$/exe; :"), Command(("cat",), stdin="x" * 70_000)])
    assert name.out.decode().strip().endswith(shell)
    assert cat == Reply(0, b"x" * 70_000)


def test_hostile_output_comes_back_as_bytes(sshd: Sshd, connect: Connect) -> None:
    """NULs, invalid UTF-8, escape sequences, fake prompts and fake marks are data."""
    text = r"\0\377\033[2J[sudo] password for root: \n0123456789abcdef0123456789abcdef d 0 0\n"
    replies = connect(sshd().target).run([sh(f"printf '{text}'"), Command(("echo", "on"))])
    assert replies[0].out == (b"\0\xff\x1b[2J[sudo] password for root: \n0123456789abcdef0123456789abcdef d 0 0\n")
    assert replies[1].out == b"on\n"


def test_a_talkative_login_shell_does_not_matter(sshd: Sshd, connect: Connect) -> None:
    """What start-up files print, on either stream, is not taken for an answer."""
    server = sshd(bashrc="echo 'Welcome; e 0 0'; echo oops >&2; printf 'no newline'\n")
    assert connect(server.target).run([Command(("echo", "x"))]) == (Reply(0, b"x\n"),)


def test_a_login_without_shell_is_named(sshd: Sshd, connect: Connect) -> None:
    """A forced command or nologin gives its own words, made safe."""
    connection = connect(sshd(r"ForceCommand printf 'go \033[1maway'").target)
    for _ in range(20):  # the target may hang up before, while or after the script is sent
        with pytest.raises(AnswerUnusable, match=r"no POSIX shell; it said: go \\x1b\[1maway"):
            connection.run([Command(("cat",), stdin="x" * 100_000)])


def test_much_output_is_cut_and_drained(sshd: Sshd, connector: SshConnector) -> None:
    """Output over the limit of a stream is cut, said to be cut, and does not disturb the next command."""
    connector.limits = replace(LIMITS, stream=1000)
    connection = connector(sshd().target)
    big, next_one = connection.run([sh("head -c 5000000 /dev/zero"), Command(("echo", "x"))])
    connection.close()
    assert (big.out, big.truncated) == (bytes(1000), True)
    assert next_one == Reply(0, b"x\n")


def test_a_hundred_megabytes_do_not_grow_memory(sshd: Sshd, connect: Connect) -> None:
    """Endless output without newline ends in an error, and the process stays small; the session stays usable."""
    connection = connect(sshd().target)
    connection.run([Command(("true",))])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(AnswerUnusable, match="more than 65536 KiB"):
        connection.run([sh("head -c 100000000 /dev/zero", seconds=60)])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 48 * 1024  # KiB
    assert connection.run([Command(("echo", "x"))]) == (Reply(0, b"x\n"),)


def test_a_slow_command_times_out_by_itself(sshd: Sshd, connect: Connect) -> None:
    """The command that overran its seconds is named; the session can be used again."""
    connection = connect(sshd().target)
    start = time.monotonic()
    with pytest.raises(TimedOut, match=r"sleep \(command 2 of 3\) ran longer than its 1 s"):
        connection.run([Command(("true",)), Command(("sleep", "4"), seconds=1), Command(("true",))])
    assert time.monotonic() - start < 3
    assert connection.run([Command(("echo", "x"))]) == (Reply(0, b"x\n"),)


def test_a_command_may_be_silent_as_long_as_it_may_run(sshd: Sshd, connector: SshConnector) -> None:
    """The idle limit is for shells, not for a command that was given more time."""
    connector.limits = replace(LIMITS, idle=1.0)
    connection = connector(sshd().target)
    assert connection.run([Command(("sleep", "2"), seconds=10)])[0].status == 0
    connection.close()


def test_a_silent_login_shell_times_out(sshd: Sshd, connector: SshConnector) -> None:
    """A start-up file that waits does not hold remedy up for longer than the idle limit."""
    connector.limits = replace(LIMITS, idle=1.0)
    connection = connector(sshd(bashrc="sleep 4\n").target)
    with pytest.raises(TimedOut, match="login shell sent nothing for 1 s"):
        connection.run([Command(("true",))])
    connection.close()


def test_background_processes_do_not_hold_up_the_answer(sshd: Sshd, connect: Connect) -> None:
    """A command that leaves something running with its output open is answered at once."""
    start = time.monotonic()
    assert connect(sshd().target).run([sh("sleep 3 & echo started")]) == (Reply(0, b"started\n"),)
    assert time.monotonic() - start < 2


@pytest.mark.parametrize("sessions", [1, 10])
def test_twenty_threads_share_a_connection(sshd: Sshd, connect: Connect, sessions: int) -> None:
    """Each thread gets its own answers, also where the target allows fewer sessions than there are threads."""
    connection = connect(sshd(f"MaxSessions {sessions}").target)

    def ask(number: int) -> bool:
        words = [f"{number}-{n}" for n in range(5)]
        return [r.out.decode().strip() for r in connection.run([Command(("echo", w)) for w in words])] == words

    with ThreadPoolExecutor(20) as pool:
        assert all(pool.map(ask, range(60)))


def test_an_sshd_that_dies_in_the_middle_is_a_lost_connection(sshd: Sshd, connect: Connect) -> None:
    """When the session's process is killed during a command, whether it took effect is unknown."""
    connection = connect(sshd().target)
    # The parents of the shell: its login shell was replaced by sh, whose parent is the session's sshd.
    killer = sh("echo x; read -r _ _ _ sh _ < /proc/$$/stat; read -r _ _ _ d _ < /proc/$sh/stat; kill -9 $d; sleep 2")
    with pytest.raises(ConnectionLost, match="command 1 of 2"):
        connection.run([killer, Command(("true",))])
    with pytest.raises(ConnectFailed, match="nothing was sent"):
        connection.run([Command(("true",))])


def test_close_never_raises_and_ends_the_session(sshd: Sshd, connect: Connect) -> None:
    """Closing twice, or after the session has died, is quiet; a closed connection says that it is one."""
    connection = connect(sshd().target)
    connection.close()
    connection.close()
    with pytest.raises(ConnectFailed):
        connection.run([Command(("true",))])


def test_who_and_where_are_known_for_the_record(sshd: Sshd, connect: Connect, keys: Keys) -> None:
    """User, address and accepted host key of a session can be recorded."""
    server = sshd()
    connection = connect(server.target)
    assert connection.user == server.target.user
    assert connection.peer == f"127.0.0.1 port {server.port}"
    assert connection.host_key in run("ssh-keygen", "-lf", keys.host("ed25519"))


def test_ipv6(sshd: Sshd, connect: Connect) -> None:
    """A literal IPv6 address works, with its name in known_hosts as OpenSSH writes it."""
    server = sshd(address="::1")
    assert connect(server.target).run([sh("echo ${SSH_CONNECTION%% *}")])[0].out == b"::1\n"


def test_nothing_is_written_to_standard_error(sshd: Sshd, keys: Keys) -> None:
    """A failed login is an exception and nothing else; paramiko's own messages do not show."""
    target = replace(sshd().target, key_file=str(keys.folder / "stranger"))
    code = (
        "import sys\nfrom remedy.core.values import *\nfrom remedy.transports.ssh import connect\n"
        f"try: connect({target!r}, resolve_secret=str)\nexcept Exception as e: print(type(e).__name__)\n"
    )
    done = subprocess.run((sys.executable, "-W", "error", "-c", code), capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("AuthenticationFailed\n", "")


# --- host keys -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_the_key_type_on_file_is_asked_for(sshd: Sshd, connect: Connect, keys: Keys, kind: str) -> None:
    """A host with several keys is recognised by whichever one is on file."""
    server = sshd(host_keys=("ed25519", "ecdsa", "rsa"))
    assert connect(server.known(f"NAME {keys.public(kind)}")).host_key in run("ssh-keygen", "-lf", keys.host(kind))


def test_unknown_changed_and_revoked_keys_are_refused(sshd: Sshd, connect: Connect, keys: Keys) -> None:
    """No session, no question: each is an error that names the fingerprint offered."""
    server = sshd()
    offered = fingerprint(base64.b64decode(keys.public("ed25519").split()[1]))
    for lines, words in (
        ((), "not known"),
        ((f"NAME {keys.public('ecdsa')}",), "has changed"),
        ((f"NAME {keys.public('ed25519')}", f"@revoked * {keys.public('ed25519')}"), "revoked"),
        ((f"@cert-authority * {keys.public('ed25519')}",), "certificate authority"),
    ):
        target = server.known(*lines)
        before = Path(target.known_hosts).read_text()
        with pytest.raises(HostKeyError, match=words) as caught:
            connect(target)
        assert offered in caught.value.message
        assert Path(target.known_hosts).read_text() == before


def test_hashed_names_are_known(sshd: Sshd, connect: Connect, keys: Keys) -> None:
    """A known_hosts file hashed by ssh-keygen works."""
    target = sshd().known(f"NAME {keys.public('ed25519')}")
    run("ssh-keygen", "-q", "-H", "-f", target.known_hosts)
    assert connect(target).host_key


# --- targets that do not answer --------------------------------------------------------------------------------------


@contextlib.contextmanager
def listener(serve: Callable[[socket.socket], object] | None, backlog: int = 5) -> Iterator[int]:
    """A TCP port on which `serve` handles one connection, or on which nobody accepts."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(backlog)

        def work() -> None:
            if serve:
                with sock.accept()[0] as peer:
                    serve(peer)

        thread = threading.Thread(target=work)
        thread.start()
        yield int(sock.getsockname()[1])
        thread.join()


def stay_silent(_: socket.socket) -> None:
    """Say nothing for longer than the tests' limits."""
    time.sleep(2.5)


def only_greet(sock: socket.socket) -> None:
    """Send an SSH server's first line, then nothing."""
    sock.sendall(b"SSH-2.0-x\r\n")
    time.sleep(2.5)


def test_a_closed_port_is_refused_at_once(connect: Connect) -> None:
    """The message asks the obvious question."""
    with pytest.raises(ConnectFailed, match="refused the connection; is sshd running"):
        connect(Target("web01", "127.0.0.1", free_port()))


def test_a_black_hole_takes_the_connect_time_out(connector: SshConnector) -> None:
    """A host that drops everything costs no more than the connect time-out."""
    connector.limits = replace(LIMITS, connect=1.0)
    with listener(None, backlog=0) as port, socket.create_connection(("127.0.0.1", port)):
        start = time.monotonic()
        with pytest.raises(ConnectFailed, match=r"no answer from 127.0.0.1 port .* within 1 s"):
            connector(Target("web01", "127.0.0.1", port))
        assert 0.9 < time.monotonic() - start < 1.8


def test_a_banner_that_never_comes(connector: SshConnector) -> None:
    """Something that accepts and says nothing is given up after the banner time-out."""
    connector.limits = replace(LIMITS, banner=1.0)
    with listener(stay_silent) as port:
        start = time.monotonic()
        with pytest.raises(ConnectFailed, match="sent no SSH banner"):
            connector(Target("web01", "127.0.0.1", port))
        assert time.monotonic() - start < 3


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x1b[2J" * 100_000, b"SSH-1.5-old\r\n"])
def test_something_that_is_no_ssh_server(connector: SshConnector, said: bytes) -> None:
    """A server that hangs up or speaks another protocol is named as such, its words made safe."""
    with listener(lambda sock: sock.sendall(said)) as port, pytest.raises(ConnectFailed) as caught:
        connector(Target("web01", "127.0.0.1", port))
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("start", "words"),
    [(b"", "the greeting does not end"), (b"SSH-2.0-x\r\n\x7f\xff\xff\xfc\x04", "a packet larger than any")],
)
def test_endless_greetings_and_packets_are_cut_off(connector: SshConnector, start: bytes, words: str) -> None:
    """A server that keeps sending before anybody has logged in is left after some KiB, at once."""
    sent = 0

    def flood(sock: socket.socket) -> None:
        nonlocal sent
        sock.sendall(start)
        with contextlib.suppress(OSError):
            while sent < 200_000_000:
                sent += sock.send(b"\0" * 65536)

    with listener(flood) as port, pytest.raises(ConnectFailed, match=words):
        connector(Target("web01", "127.0.0.1", port))
    assert sent < 50_000_000


def test_a_target_cannot_fill_a_buffer_beyond_its_window() -> None:
    """More data than the window allowed, not yet read, ends the session instead of filling memory."""
    pipe = session._Pipe()
    pipe.feed(b"x" * (4 * 1024 * 1024 + 1))
    with pytest.raises(paramiko.SSHException, match="more than it was allowed"):
        pipe.feed(b"x")


def test_a_key_exchange_that_stalls(connector: SshConnector) -> None:
    """A server that stops after its banner is given up when login and banner time are over."""
    connector.limits = replace(LIMITS, banner=0.5, login=0.5)
    with listener(only_greet) as port:
        start = time.monotonic()
        with pytest.raises(ConnectFailed, match="key exchange failed"):
            connector(Target("web01", "127.0.0.1", port))
        assert time.monotonic() - start < 3


def test_an_unknown_name(connect: Connect) -> None:
    """A name that does not resolve is an error about the name."""
    with pytest.raises(ConnectFailed, match="cannot be resolved"):
        connect(Target("web01", "no-such-host.invalid"))


def test_a_frozen_target_is_a_time_out(sshd: Sshd, connect: Connect) -> None:
    """A session process that stops answering ends the batch at its limit, not later."""
    connection = connect(sshd().target)
    reply = connection.run([sh("read -r _ _ _ sh _ < /proc/$$/stat; read -r _ _ _ d _ < /proc/$sh/stat; echo $d")])[0]
    daemon = int(reply.out)
    os.kill(daemon, signal.SIGSTOP)
    try:
        start = time.monotonic()
        with pytest.raises((TimedOut, ConnectFailed)):
            connection.run([Command(("true",), seconds=2)])
        assert time.monotonic() - start < 6
    finally:
        os.kill(daemon, signal.SIGCONT)


def test_a_hundred_connections(sshd: Sshd) -> None:
    """Many hosts at once share one parse of known_hosts and one loaded key, and all get through."""
    connector = SshConnector(reveal, limits=Limits(login=60.0, banner=60.0))
    target = sshd().target

    def work(number: int) -> bytes:
        connection = connector(target)
        try:
            return connection.run([Command(("echo", str(number)))])[0].out
        finally:
            connection.close()

    with ThreadPoolExecutor(100) as pool:
        assert list(pool.map(work, range(100))) == [f"{n}\n".encode() for n in range(100)]


def test_connect_by_itself(sshd: Sshd) -> None:
    """The plain function opens one connection with the default limits."""
    connection = connect_once(sshd().target, resolve_secret=reveal)
    assert connection.run([Command(("echo", "x"))]) == (Reply(0, b"x\n"),)
    connection.close()
