"""Long streams over real SSH sessions and on this machine: exact bytes, exact status, nothing left behind."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import random
import resource
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remedy.core.errors import (
    AnswerUnusable,
    ChangeFailed,
    ConnectionLost,
    ElevationFailed,
    Interrupted,
    TimedOut,
    Unreachable,
    UsageError,
)
from remedy.core.values import Command, Target
from remedy.transports.bulk import Bulk
from remedy.transports.limits import Limits
from remedy.transports.openssh import FOLDER
from remedy.transports.running import TAIL, Errors, Running

from . import test_sudo
from .conftest import LIMITS, Server, Sshd, reveal, sh

MIB = 1024 * 1024
HERE = Target("controller", "")
sudo = test_sudo.sudo
Start = Callable[..., Running]


@pytest.fixture
def bulk(sshd: Sshd) -> Iterator[Bulk]:
    """Streams to one server, under any name, and to this machine."""
    target = sshd().target
    with Bulk(lambda _: target, reveal, local=HERE, limits=LIMITS) as made:
        yield made


def to(target: Target, limits: Limits = LIMITS) -> Bulk:
    """Streams to one target."""
    return Bulk(lambda _: target, reveal, limits=limits)


def whole(run: Running, status: int = 0) -> bytes:
    """All of its output; the program has to end with `status`."""
    run.close_input()
    out = b"".join(run)
    assert run.finish()[0] == status, run.finish()
    return out


def feed(run: Running, data: bytes) -> None:
    """Write everything and let the program see the end."""
    for start in range(0, len(data), 300_001):
        run.write(data[start : start + 300_001])
    run.close_input()


def write_for_ever(run: Running) -> None:
    """Write until that is no longer possible."""
    while True:
        run.write(bytes(MIB))


def children() -> set[int]:
    """The processes that this one has started and that still are."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # gone meanwhile
            after = stat.read_text().rpartition(")")[2].split()
            if int(after[1]) == os.getpid():
                found.add(int(stat.parent.name))
    return found


def folders() -> set[Path]:
    """The private folders of ssh calls under way."""
    return set(Path(tempfile.gettempdir()).glob(f"{FOLDER}{os.getpid()}-*"))


def gone(what: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Whether something on the far side ends in time; it does so by itself, a moment after us."""
    end = time.monotonic() + seconds
    while what() and time.monotonic() < end:
        time.sleep(0.01)
    return not what()


def running(word: str) -> bool:
    """Whether a process has this as an argument."""
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if word.encode() in line.read_bytes().split(b"\0"):
                return True
    return False


@pytest.mark.parametrize("at", ["web01", "controller"])
def test_bytes_go_through_unchanged(bulk: Bulk, at: str) -> None:
    """Twenty megabytes of anything come back as they went, written by one thread and read by another."""
    data = random.Random(at).randbytes(20 * MIB + 7)  # noqa: S311 -- test data
    with bulk.start(Command(("cat",)), at=at) as run:
        thread = threading.Thread(target=feed, args=(run, data))
        thread.start()
        chunks = list(run)
        thread.join()
        assert run.finish() == (0, b"")
    assert hashlib.sha256(b"".join(chunks)).digest() == hashlib.sha256(data).digest()
    assert all(256 * 1024 <= len(chunk) <= MIB for chunk in chunks[:-1])


@settings(max_examples=20)
@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), max_size=4))
def test_arguments_are_exact(words: list[str]) -> None:
    """No argument is split, expanded or run, whatever is in it."""
    here = Bulk(lambda _: HERE, reveal, local=HERE)
    with here.start(Command(("printf", "%s\\0", "start", *words)), at="controller") as run:
        assert whole(run) == "".join(f"{word}\0" for word in ("start", *words)).encode()


def test_arguments_are_exact_over_ssh(bulk: Bulk) -> None:
    """Quotes, line breaks, expansions and what looks like an option or the end of the script arrive as they are."""
    words = ("-n", 'it\'s "quoted"', "a\nb\n}\nexit 0\n", "$(touch /tmp/x) `id` $HOME \\", "王 😀", "", "*", "~")
    with bulk.start(Command(("printf", "%s\\0", *words)), at="web01") as run:
        assert whole(run) == "".join(f"{word}\0" for word in words).encode()


@pytest.mark.parametrize("shell", ["bash", "busybox"])
def test_other_shells_as_sh(sshd: Sshd, tmp_path: Path, shell: str) -> None:
    """Targets whose sh is bash or busybox carry the same bytes and arguments as those with dash do."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "sh").symlink_to(shutil.which(shell) or pytest.fail(f"install {shell}"))
    target = sshd(bashrc=f"PATH={folder}:$PATH\n").target
    data = random.Random(shell).randbytes(100_000)  # noqa: S311 -- test data
    script = "readlink /proc/$$/exe; printf '%s\\0' \"$1\"; cat; exit 3"
    with to(target).start(Command(("sh", "-c", script, "sh", "王\n'\\ ")), at="web01") as run:
        run.write(data)
        name, _, rest = whole(run, 3).partition(b"\n")
    assert name.decode().endswith(shell)
    assert rest == "王\n'\\ \0".encode() + data


def test_impossible_commands_are_refused(bulk: Bulk) -> None:
    """What no shell can pass on is an error before anything is sent."""
    for argv in ((), ("",), ("-x",), ("a", "b\0c"), ("a", "\udcff"), ("a", "x" * 2 * MIB)):
        with pytest.raises(UsageError):
            bulk.start(Command(argv), at="web01")


@pytest.mark.parametrize("at", ["web01", "controller"])
@pytest.mark.parametrize("status", [0, 1, 7, 127, 255])
def test_the_exit_status_is_the_program_s(bulk: Bulk, at: str, status: int) -> None:
    """Any status comes back exact, 255 as well, which is also what ssh itself fails with."""
    with bulk.start(sh(f"printf 'no line break' >&2; exit {status}"), at=at) as run:
        assert run.finish() == (status, b"no line break")


def test_a_program_killed_by_a_signal(bulk: Bulk) -> None:
    """A killed program is no lost connection; its status says which signal it was."""
    with bulk.start(sh("echo out; kill -9 $$"), at="web01") as run:
        assert whole(run, 137) == b"out\n"


def test_a_program_that_is_not_there(bulk: Bulk) -> None:
    """A missing program is status 127 and the shell's words, not a failed login."""
    with bulk.start(Command(("no-such-program",)), at="web01") as run:
        status, err = run.finish()
    assert status == 127
    assert b"not found" in err


def test_marks_cannot_be_forged(bulk: Bulk) -> None:
    """A program that prints everything a mark consists of but the nonce changes nothing."""
    fake = "0" * 32 + " e 0 0\\n"
    with bulk.start(sh(f"printf '{fake}' >&2; printf '{fake}'; exit 9"), at="web01") as run:
        assert run.read(100) == fake.replace("\\n", "\n").encode()
        assert run.finish() == (9, fake.replace("\\n", "\n").encode())


@given(
    said=st.binary(max_size=200),
    after=st.binary(max_size=50),
    cuts=st.lists(st.integers(0, 400), max_size=8),
    status=st.integers(0, 255),
)
def test_marks_are_found_however_they_arrive(said: bytes, after: bytes, cuts: list[int], status: int) -> None:
    """The status and the program's words are the same wherever the stream is cut into pieces."""
    nonce = "0123456789abcdef" * 2
    stream = f"greeting{nonce} s 0 0\n".encode() + said + f"{nonce} e 0 {status}\n".encode() + after
    errors = Errors(nonce)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    for start, end in itertools.pairwise(edges):
        errors.feed(stream[start:end])
    errors.end()
    assert (errors.status, bytes(errors.said)) == (status, said)


def test_much_on_standard_error_is_drained(bulk: Bulk) -> None:
    """A program that fills standard error before it reads or writes does not get stuck; its last words are kept."""
    script = "head -c 3000000 /dev/zero | tr '\\0' x >&2; cat; echo last words >&2"
    with bulk.start(sh(script), at="web01") as run:
        run.write(b"y" * 100_000)
        run.close_input()
        assert b"".join(run) == b"y" * 100_000
        status, err = run.finish()
    assert (status, len(err)) == (0, TAIL)
    assert err.endswith(b"xlast words\n")


def test_a_talkative_login_shell_is_no_part_of_the_stream(sshd: Sshd) -> None:
    """What start-up files print, on either stream, is cut off."""
    target = sshd(bashrc="echo hello; printf 'no end' ; echo hello >&2\n").target
    with to(target).start(Command(("printf", "data")), at="web01") as run:
        assert run.read() == b"data"
        assert run.finish() == (0, b"")


def test_a_login_without_shell_is_named(sshd: Sshd) -> None:
    """A forced command gives its own words, made safe; one that never stops talking is left."""
    target = sshd("ForceCommand printf 'This account is \\033[31mnot available'").target
    with pytest.raises(AnswerUnusable, match=r"no POSIX shell; it said: This account is \\x1b\[31mnot available"):
        to(target).start(Command(("true",)), at="web01")
    with pytest.raises(AnswerUnusable, match="greeting does not end"):
        to(sshd("ForceCommand yes").target).start(Command(("true",)), at="web01")


def test_a_silent_login_shell_times_out(sshd: Sshd) -> None:
    """A start-up file that waits ends in an error after the time a login may take, and nothing stays."""
    limits = replace(LIMITS, connect=0.5, banner=0.5, login=0.5)
    before = children()
    with pytest.raises(TimedOut, match="the program does not run"):
        to(sshd(bashrc="sleep 4\n").target, limits).start(Command(("true",)), at="web01")
    assert len(children() - before) == 1  # the server itself


@pytest.mark.parametrize("at", ["web01", "controller"])
def test_writing_to_a_program_that_has_ended(bulk: Bulk, at: str) -> None:
    """The writer hears the program's own words and status."""
    with bulk.start(sh("head -c 1000 >/dev/null; printf 'ERROR 1064 \\033[2J' >&2; exit 3"), at=at) as run:
        with pytest.raises(ChangeFailed, match=r"sh ended with status 3 .*: ERROR 1064 \\x1b\[2J"):
            write_for_ever(run)
        assert run.finish() == (3, b"ERROR 1064 \x1b[2J")


def end_session(server: Server) -> None:
    """Kill the server's processes for sessions, not the server."""
    parents = {server.process.pid}
    for _ in range(3):
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                name, _, after = stat.read_text().partition("(")[2].rpartition(")")
                if name == "sshd" and int(after.split()[1]) in parents:
                    parents.add(int(stat.parent.name))
    for pid in parents - {server.process.pid}:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_a_session_that_breaks(sshd: Sshd) -> None:
    """When the way breaks, neither the end of the output nor ssh's status is taken for the program's."""
    server = sshd()
    with to(server.target).start(Command(("cat", "/dev/zero")), at="web01") as run:
        assert run.read()
        end_session(server)
        for _ in run:
            pass
        with pytest.raises(ConnectionLost, match="the session broke"):
            run.finish()
    with to(server.target).start(Command(("cat",)), at="web01") as run:
        end_session(server)
        with pytest.raises(ConnectionLost, match="the session broke"):
            write_for_ever(run)


def test_a_frozen_target(sshd: Sshd) -> None:
    """A target that stops answering ends the stream when the probes have gone unanswered."""
    server = sshd()
    with to(server.target, replace(LIMITS, keepalive=1)).start(sh("echo $PPID; exec cat"), at="web01") as run:
        # The shell's parent's parent is the process of the session.
        shell = int(run.read())
        daemon = int(Path(f"/proc/{shell}/stat").read_text().rpartition(")")[2].split()[1])
        daemon = daemon if "sshd" in Path(f"/proc/{daemon}/comm").read_text() else shell
        os.kill(daemon, signal.SIGSTOP)
        try:
            start = time.monotonic()
            with pytest.raises(TimedOut, match="went silent for 3 s"):
                run.finish()
            assert time.monotonic() - start < 6
        finally:
            os.kill(daemon, signal.SIGCONT)


@pytest.mark.parametrize("at", ["web01", "controller"])
@pytest.mark.parametrize("error", [Interrupted, KeyboardInterrupt])
def test_nothing_is_left_after_an_exception(bulk: Bulk, at: str, error: type[BaseException]) -> None:
    """Neither a process nor a folder here, nor the program there, outlives the block."""
    before = children(), folders()
    word = f"{os.getpid()}-{at}-{error.__name__}"
    endless = Command(("sh", "-c", 'while :; do echo "$0"; done', word))

    def work() -> None:
        with bulk.start(endless, at=at) as run:
            run.read()
            assert running(word)
            assert folders() or at == "controller"
            raise error("stop")

    with pytest.raises(error):
        work()
    assert (children(), folders()) == before
    assert gone(lambda: running(word))


def test_kill_wakes_a_writer(bulk: Bulk) -> None:
    """A thread blocked in a write is let go, and told."""
    told: list[BaseException] = []
    with bulk.start(Command(("sleep", "60")), at="web01") as run:

        def write() -> None:
            try:
                write_for_ever(run)
            except Unreachable as error:
                told.append(error)

        thread = threading.Thread(target=write)
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()
        run.kill()
        thread.join(5)
    assert isinstance(told[0], ConnectionLost)


def resident() -> int:
    """Bytes of memory that this process takes up now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.parametrize("at", ["web01", "controller"])
def test_memory_stays_flat(bulk: Bulk, at: str) -> None:
    """Half a gigabyte through the process, both ways, costs it next to nothing."""
    before = most = resident()
    with bulk.start(sh("cat >/dev/null; head -c 256M /dev/zero"), at=at) as run:
        data = bytes(MIB)
        for _ in range(256):
            run.write(data)
        run.close_input()
        size = 0
        for chunk in run:
            size += len(chunk)
            most = max(most, resident())
        assert size == 256 * MIB
        assert run.finish() == (0, b"")
    assert most - before < 16 * MIB


def test_what_is_not_read_is_thrown_away(bulk: Bulk) -> None:
    """Finishing early waits for the program, not for its reader; asking twice gives the same answer."""
    with bulk.start(sh("head -c 20000000 /dev/zero; exit 4"), at="web01") as run:
        assert run.finish() == (4, b"")
        assert run.finish() == (4, b"")


def test_what_a_program_leaves_running_is_not_waited_for(bulk: Bulk) -> None:
    """A daemon that holds the output open does not hold up the end."""
    start = time.monotonic()
    with bulk.start(sh("sleep 30 & exit 5"), at="web01") as run:
        assert run.finish() == (5, b"")
    assert time.monotonic() - start < 10


# --- short streams ---------------------------------------------------------------------------------------------------


def logins(server: Server) -> int:
    """How often somebody has logged in."""
    return (server.folder / "log").read_text().count("Accepted publickey")


def test_short_streams_share_a_login(sshd: Sshd) -> None:
    """Any number of short streams costs one login; a long one has its own; a broken one is replaced."""
    server = sshd()
    before = children(), folders()
    with to(server.target) as bulk:
        for number in range(5):
            with bulk.start(sh(f"cat; exit {number}"), at="web01", short=True) as run:
                run.write(b"x")
                assert whole(run, number) == b"x"
        assert logins(server) == 1
        with bulk.start(Command(("true",)), at="web01") as run:
            assert run.finish() == (0, b"")
        assert logins(server) == 2
        end_session(server)
        with bulk.start(Command(("echo", "again")), at="web01", short=True) as run:
            assert whole(run) == b"again\n"
    assert (children(), folders()) == before


def test_more_short_streams_than_a_session_has_places(sshd: Sshd) -> None:
    """Where the target allows no further session on a connection, a stream gets a connection of its own."""
    with to(sshd("MaxSessions 2").target) as bulk, contextlib.ExitStack() as stack:
        runs = [stack.enter_context(bulk.start(Command(("cat",)), at="web01", short=True)) for _ in range(3)]
        for number, run in enumerate(runs):
            run.write(b"%d" % number)
            assert whole(run) == b"%d" % number


# --- sudo ------------------------------------------------------------------------------------------------------------


@pytest.mark.lab
@pytest.mark.parametrize(
    "sudoers",
    [
        ("op ALL=(ALL) NOPASSWD: ALL",),
        test_sudo.asks("Defaults timestamp_timeout=0"),
        test_sudo.asks("Defaults timestamp_timeout=5"),
        test_sudo.asks("Defaults use_pty"),
        test_sudo.asks("Defaults lecture=always"),
    ],
)
def test_root_streams(sudo: Callable[..., Server], sudoers: tuple[str, ...]) -> None:
    """Whether sudo wants the password, remembers it or does not, the stream is exact and its program root."""
    target = replace(sudo(*sudoers).target, become_password=test_sudo.RIGHT)
    data = random.Random(1).randbytes(2 * MIB)  # noqa: S311 -- test data
    for _ in range(2):
        with to(target).start(sh("id -un; cat; echo said >&2; exit 6"), at="web01") as run:
            assert run.read() == b"root\n"
            thread = threading.Thread(target=feed, args=(run, data))
            thread.start()
            assert b"".join(run) == data
            thread.join()
            assert run.finish() == (6, b"said\n")
    with to(target).start(Command(("id", "-un"), root=False), at="web01") as run:
        assert whole(run) == b"op\n"


@pytest.mark.lab
def test_a_refusing_sudo(sudo: Callable[..., Server], tmp_path: Path) -> None:
    """A wrong password is tried once and named; one that is missing, or a user who may not, is too."""
    log = tmp_path / "sudo.log"
    target = sudo(*test_sudo.asks(f"Defaults logfile={log}")).target
    with pytest.raises(ElevationFailed, match="wrong; it was tried once") as caught:
        to(replace(target, become_password=test_sudo.WRONG)).start(Command(("id",)), at="web01")
    assert "wrong" not in caught.value.message
    assert "1 incorrect password attempt" in " ".join(log.read_text().split())
    with pytest.raises(ElevationFailed, match="give the sudo password in the inventory"):
        to(target).start(Command(("id",)), at="web01")


@pytest.mark.lab
def test_the_sudo_password_shows_nowhere(sudo: Callable[..., Server]) -> None:
    """While a root stream runs, no process on the machine has the password in its arguments or environment."""
    target = replace(sudo(*test_sudo.asks()).target, become_password=test_sudo.RIGHT)
    every = sh("cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null; true")
    with to(target).start(every, at="web01") as run:
        text = whole(run)
    assert b"IFS= read -r l" in text
    assert test_sudo.PASSWORD.encode() not in text
