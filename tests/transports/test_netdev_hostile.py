"""Terminals on a bad day, and text that wants to be taken for a prompt: nothing is lost, nothing hangs, all is said."""

from __future__ import annotations

import asyncio
import json
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from tests.worlds.terminals import COMWARE, IOS, Device, Line, serve

from remedy.core.errors import ConnectFailed, ConnectionLost, TimedOut
from remedy.core.values import Command, Target
from remedy.devices import Vendor
from remedy.transports.limits import MIB, Limits
from remedy.transports.netdev import DeviceConnection, DeviceConnector, Platform

LIMITS: Final = Limits(connect=2.0, banner=3.0, login=4.0, idle=2.0)
#: Long enough for the other side to have read what was printed before, and to act on it.
PAUSE: Final = 0.05
Run = Callable[..., Device]
Answer = Callable[[Device, Line, str], Any]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Run devices until the test ends; options are those of asyncssh.create_server."""
    with ExitStack() as stack:
        yield lambda device, **options: stack.enter_context(serve(device, tmp_path, **options))


def connect(device: Device, **limits: float) -> DeviceConnection:
    """A connection to a device."""

    def platform(_target: Target) -> Platform:
        return Platform(device.vendor)

    made = DeviceConnector(lambda secret: secret.value, platform, limits=replace(LIMITS, **limits))(device.target())  # type: ignore[arg-type]
    assert isinstance(made, DeviceConnection)
    return made


def cli(connection: DeviceConnection, *lines: str, seconds: int = 30) -> list[str]:
    """What lines that show print."""
    (reply,) = connection.run([Command(("cli", *lines), seconds=seconds)])
    assert (reply.status, reply.err, reply.truncated) == (0, b"", False)
    texts: list[str] = json.loads(reply.out)
    return texts


def printing(*parts: str | bytes, when: str = "display it") -> Answer:
    """Print these one after the other, each read before the next comes."""

    async def answer(_device: Device, line: Line, typed: str) -> str | None:
        if typed != when:
            return "fine\r\n" if typed.startswith(("display", "show")) else None
        for part in parts:
            line.say(part)
            await line.drain()
            await asyncio.sleep(PAUSE)
        return ""

    return answer


def test_prompts_inside_output(run: Run) -> None:
    """A line of the output that is the prompt, and stands at the end of what has come so far, cuts nothing off."""
    device = run(Device(answer=printing("header login %\r\n<H3C>", "\r\n%\r\n<H3C>", "display it\r\n<H3C>\r\nend\r\n")))
    texts = cli(connect(device), "display other", "display it", "display other", "display it")
    whole = "header login %\n<H3C>\n%\n<H3C>display it\n<H3C>\nend"
    assert texts == ["fine", whole, "fine", whole]


def test_a_refusal_behind_a_false_prompt(run: Run) -> None:
    """A refusal that comes after what looked like the prompt still belongs to its line, and stops the push."""
    device = run(Device(answer=printing("text\r\n[H3C]", "\r\n% Wrong parameter found.\r\n", when="second")))
    connection = connect(device)
    (reply,) = connection.run([Command(("configure",), "first\nsecond\nthird\nfourth")])
    assert reply.status == 1
    assert reply.err.startswith(b"line 2 (second): ")
    assert "fourth" not in device.typed
    assert device.typed[-1] == "return"


def test_a_refusal_that_comes_last_and_late(run: Run) -> None:
    """A late refusal of the last line is found when configuration mode is left."""
    device = run(Device(answer=printing("text\r\n[H3C]", "\r\n% Wrong parameter found.\r\n", when="last")))
    (reply,) = connect(device).run([Command(("configure",), "first\nlast")])
    assert reply.status == 1
    assert reply.err.startswith(b"line 2 (last): ")


@pytest.mark.parametrize(
    "banner",
    [
        "Authorised users only>",
        "* <H3C> belongs to the city *\r\n<H3C>\r\n[H3C]\r\nWarning: ]>#",
        "R1#\r\nR1>",
        "a\r\n<Other>",
        "\x1b[2J\x1b[H\x07Welcome\x00\r\n",
    ],
)
def test_banners_are_no_prompts(run: Run, banner: str) -> None:
    """A greeting that looks like a prompt, without a line end and followed by silence, is not taken for one."""

    async def talk(device: Device, line: Line) -> None:
        line.say(banner)
        await asyncio.sleep(0.2)
        line.say("\r\n")
        device.banner = ""
        await device.obey(line)

    device = run(Device(talk=talk, answer=printing("it\r\n")))
    assert cli(connect(device), "display it", "display other") == ["it", "fine"]


def test_a_greeting_that_waits_for_enter(run: Run) -> None:
    """`Press ENTER to continue` and a device that is silent before Enter both get one."""

    async def talk(device: Device, line: Line) -> None:
        line.say("Press Y or ENTER to continue, N to exit.")
        assert await line.line() == ""
        await device.obey(line)

    async def silent(device: Device, line: Line) -> None:
        assert await line.line() == ""
        await device.obey(line)

    for kind in (talk, silent):
        assert cli(connect(run(Device(talk=kind, answer=printing("it\r\n")))), "display it") == ["it"]


LOG: Final = "%Nov 20 12:00:01:123 2026 H3C SHELL/5/SHELL_LOGIN: ann logged in from <10.0.0.1>."


@pytest.mark.parametrize("vendor", [COMWARE, IOS])
def test_log_lines_anywhere(run: Run, vendor: Vendor) -> None:
    """Log lines in output stay there; those that scroll the prompt away, or come while nobody types, do no harm."""
    show = "display" if vendor is COMWARE else "show"

    async def answer(device: Device, line: Line, typed: str) -> str | None:
        if typed == f"{show} amid":
            return f"one\r\n{LOG}\r\ntwo\r\n"
        if typed == f"{show} scrolled":
            line.say(f"text\r\n{device.prompt}{LOG}\r\n{LOG}\r\n")
            assert await line.line() == ""
            return ""
        if typed == f"{show} later":
            line.say(f"text\r\n{device.prompt}")
            await line.drain()
            await asyncio.sleep(PAUSE)
            line.say(f"\r\n{LOG}\r\n")
            return ""
        return None

    texts = cli(
        connect(run(Device(vendor, answer=answer))), f"{show} amid", f"{show} scrolled", f"{show} later", f"{show} x"
    )
    assert texts == [f"one\n{LOG}\ntwo", f"text\n{LOG}", "text", ""] or texts[1].startswith("text\n")
    assert texts[0] == f"one\n{LOG}\ntwo"
    assert texts[2:] == ["text", ""]


@pytest.mark.parametrize(
    ("mark", "erase"),
    [
        (b"---- More ----", b"\x1b[16D                \x1b[16D"),
        (b"  ---- More ----", b"\x1b[42D                                          \x1b[42D"),
        (b" --More-- ", b"\x08\x08\x08\x08\x08\x08\x08\x08\x08\x08          " + b"\x08" * 10),
        (b"<--- More --->", b"\r              \r"),
        (b"--More--(12%)", b"\r\x1b[K"),
        (b"---- M", b""),
    ],
)
def test_a_pager_that_cannot_be_switched_off(run: Run, mark: bytes, erase: bytes) -> None:
    """Each page is turned with one key, and neither the mark nor what erases it is in the text."""
    keys: list[bytes] = []

    async def answer(_device: Device, line: Line, typed: str) -> str | None:
        if typed != "display it":
            return " % Unrecognized command found at '^' position.\r\n" if typed == "screen-length disable" else None
        for page in range(3):
            line.say(f"page {page}\r\n  indented\r\n")
            line.say(mark)
            await line.drain()
            if mark == b"---- M":
                await asyncio.sleep(PAUSE)
                line.say(b"ore ----")
            keys.append(await line.key())
            line.say(erase or b"\x1b[16D                \x1b[16D")
        return "  the end\r\n"

    page = "page {}\n  indented\n"
    assert cli(connect(run(Device(answer=answer))), "display it") == [
        "".join(page.format(n) for n in range(3)) + "  the end"
    ]
    assert keys == [b" "] * 3


def test_long_output_is_capped(run: Run) -> None:
    """Of 12 MB the first 4 MiB are kept and marked, memory stays flat, and the session can be used on."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    async def answer(_device: Device, line: Line, typed: str) -> str | None:
        if typed != "display it":
            return None
        for _ in range(120):
            line.say(b"0123456789 abcdefgh\r\n" * 5000)
            await line.drain()
        return ""

    connection = connect(run(Device(answer=answer)))
    (reply,) = connection.run([Command(("cli", "display it"), seconds=60)])
    assert reply.truncated
    assert len(reply.out) <= 5 * MIB
    assert cli(connection, "display x") == [""]
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 100


def test_endless_output_ends(run: Run) -> None:
    """A device that does not stop printing is TimedOut when the command's time is over."""

    async def answer(_device: Device, line: Line, typed: str) -> str | None:
        while typed == "display it":
            line.say(b"0123456789 abcdefgh\r\n" * 50)
            await line.drain()
            await asyncio.sleep(0.001)
        return None

    connection = connect(run(Device(answer=answer)))
    begin = time.monotonic()
    with pytest.raises(TimedOut, match="its time is over"):
        connection.run([Command(("cli", "display it"), seconds=2)])
    assert time.monotonic() - begin < 4
    with pytest.raises(ConnectFailed, match="nothing was typed"):
        connection.run([Command(("cli", "display it"))])


def test_one_line_of_a_megabyte(run: Run) -> None:
    """A line without an end is text like any other, and read in time that grows with its length alone."""
    line = "0123456789abcde>" * (MIB // 16)
    device = run(Device(answer=printing(line, "\r\n")))
    begin = time.monotonic()
    assert cli(connect(device), "display it") == [line]
    assert time.monotonic() - begin < 5


def test_silence(run: Run) -> None:
    """A device that says nothing more is TimedOut, which says how far the lines had come."""

    async def answer(_device: Device, _line: Line, typed: str) -> str | None:
        if typed == "third":
            await asyncio.sleep(60)
        return None

    with pytest.raises(TimedOut, match=r"nothing for 0\.5 s.*3 of 9 lines had been sent, 2 answered"):
        connect(run(Device(answer=answer)), idle=0.5).run(
            [Command(("configure",), "first\nsecond\nthird" + "\nmore" * 6, seconds=60)]
        )


def test_slow_lines_of_exec_mode_have_the_command_s_time(run: Run) -> None:
    """Saving takes a device long and it says nothing meanwhile: only the command's own time counts."""

    async def answer(_device: Device, _line: Line, typed: str) -> str | None:
        if typed == "save force":
            await asyncio.sleep(1.2)
        return None

    connection = connect(run(Device(answer=answer)), idle=0.5)
    assert connection.run([Command(("exec",), "save force", seconds=10)])[0].status == 0


def test_a_link_that_drops_in_the_middle_of_a_line(run: Run) -> None:
    """ConnectionLost says how many lines had been sent and answered, and the connection is not used again."""

    async def answer(_device: Device, line: Line, typed: str) -> str | None:
        if typed == "third":
            line.say("half a li")
            await line.drain()
            line.process.channel.get_connection().abort()
        return None

    connection = connect(run(Device(answer=answer)))
    with pytest.raises(ConnectionLost, match="3 of 4 lines had been sent, 2 answered"):
        connection.run([Command(("configure",), "first\nsecond\nthird\nfourth")])
    with pytest.raises(ConnectFailed, match="nothing was typed"):
        connection.run([Command(("configure",), "first")])


@pytest.mark.parametrize("vendor", [COMWARE, IOS])
def test_control_characters(run: Run, vendor: Vendor) -> None:
    """Cursor moves and titles vanish, other controls stay for `printable`; none of it is taken for a prompt."""
    show = "display" if vendor is COMWARE else "show"
    text = "\x1b]0;owned\x07a\x1b[31mb\x1b[0m \x1b[1Dc\x07\x7f\x9b1m\r\r\n\x1b[5n\xff\r\n"
    device = run(Device(vendor, answer=printing(text, when=f"{show} it")))
    assert cli(connect(device), f"{show} it", f"{show} x") == ["abc\x07\x7f\x9b1m\n\xff", "fine"]


def test_bytes_that_are_no_text(run: Run) -> None:
    """What is not in the device's encoding is shown as escapes, not dropped."""
    assert cli(connect(run(Device(answer=printing(b"a\xff\xc3(\r\n")))), "display it") == ["a\\xff\\xc3("]


def test_a_device_that_does_not_echo(run: Run) -> None:
    """Without echoes lines are answered all the same, and waited for once only."""

    async def talk(device: Device, line: Line) -> None:
        line.echo = False
        await device.obey(line)

    connection = connect(run(Device(talk=talk, answer=printing("it\r\n"))))
    begin = time.monotonic()
    assert cli(connection, *["display it", "display x"] * 5) == ["it", "fine"] * 5
    assert time.monotonic() - begin < 2


def test_an_echo_that_is_wrapped(run: Run) -> None:
    """A terminal of 80 columns breaks the echo of a long line; the answer is the same."""

    class Wrapping(Line):
        def say(self, data: str | bytes, encoding: str = "utf-8") -> None:
            raw = data if isinstance(data, bytes) else data.encode(encoding)
            if len(raw) > 80 and b"\n" not in raw:
                raw = b"\r\n".join(raw[n : n + 73] for n in range(0, len(raw), 73))
            super().say(raw)

    async def talk(device: Device, line: Line) -> None:
        await device.obey(Wrapping(line.process))

    long = "display " + "x" * 200
    device = run(Device(talk=talk, answer=printing("it\r\n", when=long)))
    begin = time.monotonic()
    assert cli(connect(device), long, "display y", long) == ["it", "fine", "it"]
    assert time.monotonic() - begin < 2


@pytest.mark.parametrize("vendor", [COMWARE, IOS])
def test_a_text_without_a_last_line_end(run: Run, vendor: Vendor) -> None:
    """A prompt that stands right behind the last line of a text, as behind a file's, is asked for again."""
    show = "display" if vendor is COMWARE else "show"
    device = run(Device(vendor, answer=printing("first\r\nlast", when=f"{show} it")))
    assert cli(connect(device), f"{show} it", f"{show} x") == ["first\nlast", "fine"]


def test_no_prompt_at_all(run: Run) -> None:
    """A server without a prompt we know is TimedOut, and says what came instead."""

    async def talk(_device: Device, line: Line) -> None:
        line.say("last login: today\r\n~ % ")
        while True:
            await line.line()
            line.say("~ % ")

    with pytest.raises(TimedOut, match=r"no prompt within the time for a login.*~ %"):
        connect(run(Device(talk=talk)), login=2.5)


def test_a_prompt_that_always_changes(run: Run) -> None:
    """A prompt with a counter in it is refused with the reason."""

    async def talk(_device: Device, line: Line) -> None:
        for number in range(100):
            line.say(f"R{number}#")
            await line.line()

    with pytest.raises(TimedOut, match="the prompt changes all the time"):
        connect(run(Device(IOS, talk=talk)))


def test_a_question_before_the_prompt(run: Run) -> None:
    """A device that wants something at login is not answered."""
    asked: list[str | None] = []

    async def talk(_device: Device, line: Line) -> None:
        line.say("Your password has expired.\r\nChange it now? [Y/N]:")
        asked.append(await line.line())

    with pytest.raises(ConnectFailed, match=r"before its prompt the device asks: .*\[Y/N\]"):
        connect(run(Device(talk=talk)))
    assert asked == []


def test_all_sessions_taken(run: Run) -> None:
    """A device that closes the session with its reason is ConnectFailed with that reason and what to do."""

    async def talk(_device: Device, line: Line) -> None:
        line.say("\r\nAll user interfaces are used, please try later!\r\n")

    with pytest.raises(ConnectFailed, match="All user interfaces are used") as caught:
        connect(run(Device(talk=talk)))
    assert "log another user off" in caught.value.hint


def test_a_refused_terminal(run: Run) -> None:
    """A device that opens no terminal says so."""
    with pytest.raises(ConnectFailed, match="opens no terminal") as caught:
        connect(run(Device(), allow_pty=False))
    assert "sessions may all be taken" in caught.value.hint


def test_a_question_that_cannot_be_left(run: Run) -> None:
    """When Ctrl-C does not help, the session is given up instead of typing on."""

    async def answer(device: Device, line: Line, typed: str) -> str | None:
        while typed == "format flash:":
            line.say("Continue? [Y/N]:")
            device.typed.append(f"answer {await line.line()!r}")
        return None

    device = run(Device(answer=answer))
    with pytest.raises(TimedOut, match="does not let go of its question"):
        connect(device).run([Command(("exec",), "format flash:\nsave")])
    assert "save" not in device.typed
    assert {line for line in device.typed if line.startswith("answer")} == {"answer None"}
