"""Scripts run by real shells, and their answers taken apart."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.worlds.children import child

from remedy.core.errors import AnswerUnusable, ConnectionLost, ElevationFailed, UsageError
from remedy.core.values import Command, Reply
from remedy.transports.limits import Limits
from remedy.transports.replies import Replies, split
from remedy.transports.script import LIMIT, Elevation, build

NONCE = "0123456789abcdef0123456789abcdef"
SHELLS = {"dash": ("dash",), "bash": ("bash", "--posix"), "busybox": ("busybox", "sh")}

# What argv and standard input can hold: any Unicode text but NUL.
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)


def execute(shell: str, script: bytes) -> tuple[bytes, bytes]:
    """Standard output and error of a script fed to a shell."""
    done = subprocess.run(SHELLS[shell], input=script, capture_output=True, check=False, timeout=60)
    return done.stdout, done.stderr


def answer(shell: str, *commands: Command) -> tuple[Reply, ...]:
    """Build, run, split."""
    return split(*execute(shell, build(commands, NONCE)), NONCE, len(commands))


@pytest.fixture(params=sorted(SHELLS))
def shell(request: pytest.FixtureRequest) -> str:
    """Each shell in turn."""
    return str(request.param)


@settings(max_examples=40, deadline=None)
@given(words=st.lists(TEXT, max_size=4), stdin=TEXT, name=st.sampled_from(sorted(SHELLS)))
def test_arguments_and_input_arrive_unchanged(words: list[str], stdin: str, name: str) -> None:
    """Whatever the text, a program gets exactly the arguments and standard input that were asked for."""
    argv = ("/usr/bin/printf", "%s|", "-", *words)
    replies = answer(name, Command(argv), Command(("cat",), stdin=stdin), Command(("cat",)))
    assert [reply.out for reply in replies] == [
        "".join(word + "|" for word in ("-", *words)).encode(),
        stdin.encode(),
        b"",
    ]
    assert [reply.status for reply in replies] == [0, 0, 0]


def test_every_exit_status_comes_back(shell: str) -> None:
    """All of 0 to 255, in one batch of 256 commands."""
    commands = [Command(("sh", "-c", f"exit {status}")) for status in range(256)]
    assert [reply.status for reply in answer(shell, *commands)] == list(range(256))


def test_death_by_signal_is_128_and_more(shell: str) -> None:
    """A killed command has the shell's usual status and does not stop the batch."""
    killed, after = answer(shell, Command(("sh", "-c", "kill -9 $$")), Command(("echo", "on")))
    assert (killed.status, after.out) == (137, b"on\n")


def test_streams_are_kept_apart(shell: str) -> None:
    """Standard output and error of neighbours do not mix, with or without a final newline."""
    script = "printf out; printf err >&2; exit 3"
    replies = answer(shell, Command(("sh", "-c", script)), Command(("sh", "-c", script)))
    assert replies == (Reply(3, b"out", b"err"),) * 2


def test_programs_win_over_builtins(shell: str, tmp_path: Path) -> None:
    """`cd`, `exit` and assignments are names of programs, so the shell's own state is out of reach."""
    replies = answer(
        shell, Command(("exit", "3")), Command(("A=1",)), Command(("cd", str(tmp_path))), Command(("pwd",))
    )
    assert [reply.status for reply in replies] == [127, 127, 127, 0]
    assert replies[3].out.decode().strip() == str(Path.cwd())


def test_large_input_needs_no_file(shell: str) -> None:
    """Megabytes of standard input pass, longer than one argument could be."""
    text = "add element inet x y { 198.18.0.1 }\n" * 60_000
    assert answer(shell, Command(("wc", "-c"), stdin=text))[0].out.split() == [str(len(text)).encode()]


def test_unread_input_is_harmless(shell: str) -> None:
    """A command that does not read its standard input has its own status and a clean standard error."""
    assert answer(shell, Command(("false",), stdin="x" * 500_000))[0] == Reply(1)


def test_a_script_cut_short_does_nothing(shell: str, tmp_path: Path) -> None:
    """However much of the script is lost in transit, no command of it has run."""
    witness = tmp_path / "ran"
    script = build([Command(("touch", str(witness))), Command(("cat",), stdin="x" * 20_000)], NONCE)
    for size in (*range(0, 600, 40), 10_000, 20_000, len(script) - 2):
        execute(shell, script[:size])
        assert not witness.exists(), size
    execute(shell, script)
    assert witness.exists()


def test_background_processes_do_not_hold_up_the_answer() -> None:
    """The marks are complete while something started in the background still has the streams open."""
    with child(("sh",), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(build([Command(("sh", "-c", "sleep 5 & echo $!"))], NONCE))
        process.stdin.flush()
        seen = b""
        while b" d 0 0\n" not in seen:
            seen += os.read(process.stdout.fileno(), 4096)
        os.kill(int(seen.split(b"s 0 0\n")[1].split(b"\n")[0]), 15)  # alive until now, or this raises
        process.communicate()


@pytest.mark.parametrize(
    "command",
    [
        Command(()),
        Command(("",)),
        Command(("-c", "x")),
        Command(("echo", "a\0b")),
        Command(("cat",), stdin="\0"),
        Command(("echo", "\ud800")),
        Command(("cat",), stdin="x" * LIMIT),
    ],
    ids=["nothing", "empty", "option", "nul", "nul-input", "surrogate", "huge"],
)
def test_the_impossible_is_refused(command: Command) -> None:
    """What no shell could pass on faithfully is an error before anything is sent."""
    with pytest.raises(UsageError):
        build([command], NONCE)


def test_a_password_with_a_line_break_is_refused() -> None:
    """A password that sudo could not read whole is an error before anything is sent."""
    with pytest.raises(UsageError, match="password"):
        build([Command(("id",))], NONCE, Elevation("a\nb"))


def test_secrets_stay_out_of_argument_lists(tmp_path: Path) -> None:
    """Neither the password nor a command's input is in any argument vector, where other users could read it."""
    fake = tmp_path / "sudo"
    fake.write_text(
        f'#!/bin/sh\ncat /proc/$$/cmdline >> {tmp_path}/seen\ncase "$*" in *" -v"*) exit 0;; -n*) exit 1;; esac\n'
    )
    fake.chmod(0o755)
    script = build([Command(("cat",), stdin="top-secret-input")], NONCE, Elevation("top-secret-password"))
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(("sh",), input=script, env=environment, check=False, capture_output=True)
    seen = (tmp_path / "seen").read_text()
    assert "-S" in seen
    assert "top-secret" not in seen
    assert NONCE not in seen


def test_greetings_before_the_first_mark_are_ignored() -> None:
    """What the login shell prints by itself belongs to no command."""
    out, err = execute("dash", build([Command(("echo", "x"))], NONCE))
    assert split(b"Welcome\n" + out, b"warning\n" + err, NONCE, 1) == (Reply(0, b"x\n"),)


def test_marks_with_another_nonce_are_output() -> None:
    """A forged mark is just bytes."""
    forged = b"f" * 32 + b" e 0 0\n" + b"f" * 32 + b" d 0 0\n"
    text = forged.decode()
    assert answer("dash", Command(("cat",), stdin=text))[0].out == forged


@given(st.lists(st.integers(1, 50), min_size=1), st.binary(max_size=200))
def test_pieces_of_any_size_give_the_same_answer(sizes: list[int], noise: bytes) -> None:
    """How the network cuts the stream does not matter."""
    n = NONCE.encode()
    out = noise.replace(n, b"") + n + b" s 0 0\n" + noise + n[:20] + n + b" e 0 7\n" + n + b" d 0 0\n"
    err = n + b" s 0 0\n" + n + b" e 0 0\n" + n + b" d 0 0\n"
    replies = Replies(1, NONCE, Limits())
    replies.feed_err(err)
    position = step = 0
    while position < len(out):
        size = sizes[step % len(sizes)]
        replies.feed_out(out[position : position + size])
        position, step = position + size, step + 1
    assert replies.finished
    assert replies.result() == (Reply(7, noise + n[:20]),)


def test_output_is_cut_at_the_limit_and_says_so() -> None:
    """No more than the limit is kept of one stream of one command; the next command is whole again."""
    commands = [Command(("head", "-c", "5000", "/dev/zero")), Command(("echo", "x"))]
    out, err = execute("dash", build(commands, NONCE))
    cut, whole = split(out, err, NONCE, 2, Limits(stream=1000))
    assert cut == Reply(0, bytes(1000), truncated=True)
    assert whole == Reply(0, b"x\n")


def test_too_much_output_is_refused() -> None:
    """A batch that answers more than the total limit ends in an error."""
    with pytest.raises(AnswerUnusable, match="more than 1 KiB"):
        split(bytes(2000), b"", NONCE, 1, Limits(total=1024))


def test_a_shell_that_never_starts_is_named() -> None:
    """A login without a shell gives what it said, made safe."""
    with pytest.raises(AnswerUnusable, match=r"This account is not available\.\\x1b"):
        split(b"This account is not available.\x1b[2J\n", b"", NONCE, 1)


def test_a_session_cut_in_the_middle_is_lost() -> None:
    """Without the last mark nobody knows whether the command took effect."""
    out, err = execute("dash", build([Command(("echo", "x")), Command(("echo", "y"))], NONCE))
    with pytest.raises(ConnectionLost, match="command 2 of 2"):
        split(out[: out.index(b"y")], err, NONCE, 2)


@pytest.mark.parametrize("mark", [b" e 5 0\n", b" ? 0 0\n" + b" " * 20])
def test_damaged_marks_are_refused(mark: bytes) -> None:
    """Marks out of order or of unknown kind decide nothing."""
    with pytest.raises(AnswerUnusable, match="mark"):
        split(NONCE.encode() + b" s 0 0\n" + NONCE.encode() + mark, b"", NONCE, 1)


def test_missing_sudo_is_an_elevation_failure() -> None:
    """A target without sudo says so, and what to do."""
    script = build([Command(("id",))], NONCE, Elevation())
    done = subprocess.run(
        ("/bin/sh",), input=script.replace(b"sudo ", b"no-such-sudo "), capture_output=True, check=False
    )
    with pytest.raises(ElevationFailed, match="install sudo"):
        split(done.stdout, done.stderr, NONCE, 1)
