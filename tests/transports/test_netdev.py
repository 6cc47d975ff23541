"""A device's three commands over real SSH: what is typed, what comes back, what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.transports.conftest import Sshd
from tests.worlds.terminals import COMWARE, ELEVATION, IOS, PASSWORD, Device, Line, serve

from remedy.core.errors import (
    AuthenticationFailed,
    ConnectFailed,
    ElevationFailed,
    HostKeyError,
    Refused,
    UsageError,
)
from remedy.core.values import Command, Secret, Target
from remedy.transports.limits import Limits
from remedy.transports.netdev import DeviceConnection, DeviceConnector, Platform
from remedy.transports.ssh import SshConnection

LIMITS = Limits(connect=2.0, banner=3.0, login=8.0, idle=4.0)
Run = Callable[..., Device]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Run devices until the test ends; options are those of asyncssh.create_server."""
    with ExitStack() as stack:
        yield lambda device, **options: stack.enter_context(serve(device, tmp_path, **options))


def connector(device: Device, **options: Any) -> DeviceConnector:  # noqa: ANN401 -- those of the connector
    """A connector for which every target with a device's port is that device."""
    encoding = options.pop("encoding", "utf-8")

    def platform(target: Target) -> Platform | None:
        return Platform(device.vendor, encoding) if target.port == device.port else None

    return DeviceConnector(lambda secret: secret.value, platform, **{"limits": LIMITS, **options})


def connect(device: Device, **settings: Any) -> DeviceConnection:  # noqa: ANN401 -- those of Target
    """A connection to a device."""
    made = connector(device)(device.target(**settings))
    assert isinstance(made, DeviceConnection)
    return made


def cli(connection: DeviceConnection, *lines: str) -> list[str]:
    """What lines that show print."""
    (reply,) = connection.run([Command(("cli", *lines))])
    assert (reply.status, reply.err) == (0, b"")
    texts: list[str] = json.loads(reply.out)
    return texts


def push(connection: DeviceConnection, text: str, *argv: str) -> tuple[int, dict[str, Any], str]:
    """Status, answer and error of lines typed in configuration mode, or as `argv` says."""
    (reply,) = connection.run([Command(argv or ("configure",), text)])
    return reply.status, json.loads(reply.out), reply.err.decode()


async def replies(_device: Device, _line: Line, typed: str) -> str | None:
    """Some answers, and a refusal of whatever begins with `bad`."""
    if typed.startswith("bad"):
        return " % Unrecognized command found at '^' position.\r\n"
    return {
        "display clock": "12:00:00 UTC Fri 11/20/2026\r\n",
        "display acl": "Advanced IPv4 ACL 3000, 1 rule,\r\0\n rule 0 permit ip (3 times matched)\r\0\n\r\0\n",
        "show clock": "*12:00:00.000 UTC\r\n",
        "note this": "Info: noted.\r\n",
    }.get(typed)


@pytest.mark.parametrize(
    ("vendor", "name", "question", "answer"),
    [
        (COMWARE, "H3C", "display clock", "12:00:00 UTC Fri 11/20/2026"),
        (COMWARE, "核心-1", "display clock", "12:00:00 UTC Fri 11/20/2026"),
        (COMWARE, "RBM_P", "display clock", "12:00:00 UTC Fri 11/20/2026"),
        (IOS, "R1", "show clock", "*12:00:00.000 UTC"),
        (IOS, "edge-router-of-the-second-building", "show clock", "*12:00:00.000 UTC"),
        (IOS, "fw/act", "show clock", "*12:00:00.000 UTC"),
        (IOS, "sw(maint-mode)", "show clock", "*12:00:00.000 UTC"),
    ],
)
def test_lines_are_answered(run: Run, vendor: Any, name: str, question: str, answer: str) -> None:  # noqa: ANN401
    """Each line gives its text, without echo and prompt; configuration lines are typed in order and left again."""
    device = run(Device(vendor, name, answer=replies))
    connection = connect(device)
    assert cli(connection, question, question) == [answer, answer]
    assert push(connection, "first\nsecond\n\nthird") == (0, {"sent": 3, "of": 3, "refused": [], "said": []}, "")
    assert not device.configuring
    enter, leave = ("system-view", "return") if vendor is COMWARE else ("configure terminal", "end")
    assert device.typed[-5:] == [enter, "first", "second", "third", leave]
    connection.close()


def test_line_ends_are_plain(run: Run) -> None:
    """CR NUL LF ends a line like any other, and leading spaces of the device's text stay."""
    connection = connect(run(Device(answer=replies)))
    assert cli(connection, "display acl") == ["Advanced IPv4 ACL 3000, 1 rule,\n rule 0 permit ip (3 times matched)"]


def test_the_first_refusal_stops(run: Run) -> None:
    """After a refused line nothing more is typed; number, line and the device's words are named; the mode is left."""
    device = run(Device(answer=replies))
    status, out, err = push(connect(device), "good\n\nbad line\nnever")
    words = "% Unrecognized command found at '^' position."
    assert (status, err) == (1, f"line 3 (bad line): {words}")
    assert out == {
        "sent": 2,
        "of": 3,
        "refused": [{"line": 3, "typed": "bad line", "said": words}],
        "said": [],
    }
    assert "never" not in device.typed
    assert not device.configuring


def test_through_goes_on_after_refusals(run: Run) -> None:
    """Taking back types every line; refusals and other words are in the answer, the status is 0."""
    device = run(Device(answer=replies))
    status, out, err = push(connect(device), "bad one\nnote this\nbad two", "configure", "through")
    assert (status, err) == (0, "")
    assert [refusal["line"] for refusal in out["refused"]] == [1, 3]
    assert out["said"] == [{"line": 2, "typed": "note this", "said": "Info: noted."}]
    assert device.typed[-1] == "return"


def test_secrets_of_a_configuration_are_masked(run: Run) -> None:
    """A refused line with a password in it is named without the password, and so are the device's words."""

    async def repeating(_device: Device, _line: Line, typed: str) -> str | None:
        return f"{typed}\r\n % Wrong parameter found at '^' position.\r\n" if "simple" in typed else None

    vendor = replace(COMWARE, secrets=(r"\bpassword simple (\S+)",))
    status, out, err = push(connect(run(Device(vendor, answer=repeating))), "password simple Hunter-2")
    assert status == 1
    assert "Hunter-2" not in err + json.dumps(out)
    assert err.startswith("line 1 (password simple <secret>): password simple <secret> % Wrong")


async def saving(device: Device, line: Line, typed: str) -> str | None:
    """Ask what a real `save` asks, and what ours must not answer."""
    if typed == "save":
        line.say("The current configuration will be written to the device. Are you sure? [Y/N]:")
        if await line.line() != "Y":
            return "aborted\r\n"
        line.say("Please input the file name(*.cfg)[flash:/startup.cfg]\r\n")
        line.say("(To leave the existing filename unchanged, press the enter key):")
        device.typed.append(f"file {await line.line()!r}")
        return "Saved the current configuration successfully.\r\n"
    if typed == "reboot":
        line.say("Start to check configuration with next startup file.\r\nThis command will reboot. Continue? [Y/N]:")
        device.typed.append(f"reboot answered {await line.line()!r}")
        return ""
    return None


def test_only_our_questions_are_answered(run: Run) -> None:
    """`save`'s questions get the vendor's answers; any other is left with Ctrl-C and is a refusal."""
    device = run(Device(answer=saving))
    connection = connect(device)
    status, out, _ = push(connection, "save", "exec")
    assert (status, out["said"][0]["said"].endswith("successfully.")) == (0, True)
    assert "file ''" in device.typed
    status, out, err = push(connection, "reboot\nnever", "exec")
    assert (status, out["sent"]) == (1, 1)
    assert "This command will reboot. Continue? [Y/N]:" in err
    assert device.typed[-1] == "reboot answered None"
    assert cli(connection, "display x") == [""]


def test_a_question_while_reading_is_left(run: Run) -> None:
    """To lines that only show nothing is answered, not even what `save` would get."""
    device = run(Device(answer=lambda d, line, typed: saving(d, line, "save" if typed == "display y" else typed)))
    (text,) = cli(connect(device), "display y")
    assert "Are you sure? [Y/N]:" in text
    assert "Y" not in device.typed


@pytest.mark.parametrize(
    "line",
    [
        "reset counters",
        "Display clock",
        "",
        "display clock > flash:/x",
        "display clock | redirect flash:/x",
        "display clock | begin a | tee x",
        "display clock | include a | redirect flash:/x",
        "display clock | include a |  app flash:/x",
        "display clock |",
        "undo display",
    ],
)
def test_only_lines_that_show_are_typed_to_ask(run: Run, line: str) -> None:
    """Anything else is refused before the first line goes out, and the session stays usable."""
    device = run(Device(answer=replies))
    connection = connect(device)
    before = list(device.typed)
    with pytest.raises(Refused, match="no line that only shows"):
        connection.run([Command(("cli", "display clock", line))])
    assert device.typed == before
    assert cli(connection, "display acl | include ^rule|packet-filter", "dir") == ["", ""]


@pytest.mark.parametrize("text", ["a\x03b", "tab\there", "a?", "\x1b[A", "null\0"])
def test_what_is_no_text_is_not_typed(run: Run, text: str) -> None:
    """Control characters and question marks act on a terminal at once: such lines are refused whole."""
    device = run(Device())
    connection = connect(device)
    with pytest.raises(UsageError, match="cannot be typed"):
        connection.run([Command(("configure",), f"fine\n{text}")])
    with pytest.raises(UsageError, match="cannot be typed"):
        connection.run([Command(("cli", f"display {text}"))])
    assert "fine" not in device.typed


def test_other_commands_are_no_device_s(run: Run) -> None:
    """A command line for a server is refused at a device."""
    with pytest.raises(UsageError, match="cli, configure and exec"):
        connect(run(Device())).run([Command(("nft", "list", "ruleset"))])


async def gb18030(_device: Device, line: Line, typed: str) -> str | None:
    """Answer in GB 18030, in which some second bytes are `]` and other ASCII; and note what was typed in it."""
    if typed == "display description":
        line.say("描述 陘]镜像\r\n", "gb18030")
        return ""
    if typed.startswith("description"):
        _device.typed.append(typed.encode("utf-8", "surrogateescape").decode("gb18030"))
        return ""
    return None


def test_another_encoding(run: Run) -> None:
    """A device that speaks GB 18030 is read and typed to in it; what it cannot say is refused before it is typed."""
    device = run(Device(name="SW", answer=gb18030))
    connection = connector(device, encoding="gb18030")(device.target())
    (reply,) = connection.run([Command(("cli", "display description"))])
    assert json.loads(reply.out) == ["描述 陘]镜像"]
    assert connection.run([Command(("configure",), "description 隔离区")])[0].status == 0
    assert "description 隔离区" in device.typed
    latin = connector(device, encoding="latin-1")(device.target())
    with pytest.raises(UsageError, match="cannot be typed in latin-1"):
        latin.run([Command(("configure",), "description 隔离区")])


def elevating(device: Device) -> Callable[[Device, Line, str], Any]:
    """Ask for a password before anything is privileged."""

    async def answer(_device: Device, line: Line, typed: str) -> str | None:
        if typed not in {"enable", "super"}:
            return None
        for _ in range(3):
            line.say("Password: ")
            given = await line.line(echo=False)
            if given is None:
                return ""
            if given == ELEVATION:
                device.privileged = True
                return "User privilege role is network-admin.\r\n" if device.angled else ""
        return "% Bad secrets\r\n" if not device.angled else "Error: Failed to switch the user role.\r\n"

    return answer


@pytest.mark.parametrize("vendor", [COMWARE, IOS])
def test_elevation(run: Run, vendor: Any) -> None:  # noqa: ANN401 -- a Vendor
    """`super` or `enable` is typed with its password when the target says so, and then configuring works."""
    device = Device(vendor, privileged=False)
    device.answer = elevating(device)
    connection = connect(run(device), become=True, become_password=Secret("test", ELEVATION))
    assert push(connection, "line")[0] == 0
    typed = b"".join(data for _, _, data in connection.transcript.records())
    assert ELEVATION.encode() not in typed
    assert b"<secret>" in typed


@pytest.mark.parametrize("vendor", [COMWARE, IOS])
@pytest.mark.parametrize("secret", [Secret("test", "wrong-one"), None])
def test_a_wrong_elevation_password(run: Run, vendor: Any, secret: Secret | None) -> None:  # noqa: ANN401 -- a Vendor
    """A wrong enable or super password, or none, is ElevationFailed, and the session is closed."""
    device = Device(vendor, privileged=False)
    device.answer = elevating(device)
    run(device)
    with pytest.raises(ElevationFailed, match=r"refused|asks for a password") as caught:
        connect(device, become=True, become_password=secret)
    assert "ansible_become_password" in caught.value.hint


def test_an_account_that_may_only_read(run: Run) -> None:
    """Without the right to configure nothing is typed there: status 1, the device's words, and what to see to."""
    device = run(Device(privileged=False, answer=replies))
    connection = connect(device)
    status, out, err = push(connection, "line")
    assert (status, out["sent"], "line" in device.typed) == (1, 0, False)
    assert err.startswith("line 0 (system-view): % Permission denied.")
    assert "may only read" in err
    assert cli(connection, "display clock") == ["12:00:00 UTC Fri 11/20/2026"]


def test_a_locked_configuration(run: Run) -> None:
    """A configuration that another administrator holds is named as that."""

    async def locked(_device: Device, _line: Line, typed: str) -> str | None:
        said = "Configuration mode is locked by process '112' user 'ann' from terminal '2'.\r\n"
        return said if typed == "configure terminal" else None

    status, _, err = push(connect(run(Device(IOS, answer=locked))), "line")
    assert status == 1
    assert "locked by process '112'" in err
    assert "show users" in err


def test_a_timer_line_that_enters_configuration_mode(run: Run) -> None:
    """IOS's `configure terminal revert timer` is typed in exec mode and leaves one in the other: we come back."""

    async def answer(device: Device, _line: Line, typed: str) -> str | None:
        if typed.startswith("configure terminal revert"):
            device.view = "(config)"
            return "Rollback Confirmed Change: Backing up current running config\r\n"
        return None

    device = run(Device(IOS, answer=answer))
    connection = connect(device)
    assert push(connection, "configure terminal revert timer 5", "exec")[0] == 0
    assert device.typed[-1] == "end"
    assert cli(connection, "show x") == [""]


def test_wrong_password(run: Run) -> None:
    """A refused password says so, and was offered once: no key is tried where a password is named."""
    device = run(Device())
    with pytest.raises(AuthenticationFailed, match="refused password"):
        connect(device, password=Secret("test", "wrong"))
    assert device.sessions == 0


def test_strange_host_keys(run: Run, tmp_path: Path) -> None:
    """An unknown host key is an error that says where on a device to compare it."""
    empty = tmp_path / "empty"
    empty.write_text("")
    with pytest.raises(HostKeyError, match="not known") as caught:
        connect(run(Device()), known_hosts=str(empty))
    assert "device's console" in caught.value.hint
    assert "/etc/ssh" not in caught.value.hint


def test_nobody_there(run: Run) -> None:
    """A port that refuses is ConnectFailed."""
    device = run(Device())
    device_port, device.port = device.port, 1
    with pytest.raises(ConnectFailed, match="refused the connection"):
        connect(device)
    device.port = device_port


def test_through_a_jump_host(run: Run, sshd: Sshd) -> None:
    """A device behind a jump host is reached through it; the jump host is no device."""
    server = sshd()
    device = run(Device(answer=replies))
    connection = connect(device, jump=(server.target,))
    assert cli(connection, "display clock") == ["12:00:00 UTC Fri 11/20/2026"]
    connection.close()


def test_servers_are_reached_as_ever(run: Run, sshd: Sshd) -> None:
    """A target that is no device gets an ordinary connection from the same connector."""
    made = connector(run(Device()))(sshd().target)
    assert isinstance(made, SshConnection)
    assert made.run([Command(("echo", "hello"), root=False)])[0].out == b"hello\n"
    made.close()


def test_the_transcript_has_everything(run: Run) -> None:
    """Both ways, in order, kept when the session ends, also one that failed; the password is not in it."""
    kept: list[tuple[str, bytes]] = []
    device = run(Device(answer=replies, banner=f"password is {PASSWORD}\r\n"))

    def keep(target: Target, transcript: Any) -> None:  # noqa: ANN401 -- a Transcript
        kept.append((target.name, b"".join(data for _, _, data in transcript.records())))

    made = connector(device, keep=keep)(device.target())
    made.run([Command(("cli", "display clock"))])
    assert kept == []
    made.close()
    made.close()
    ((name, data),) = kept
    assert name == "sw01"
    assert b"display clock\n" in data
    assert b"12:00:00 UTC" in data
    assert PASSWORD.encode() not in data
    assert b"password is <secret>" in data


def test_a_connection_that_died_in_silence(run: Run) -> None:
    """A session that the device ended while nobody typed is ConnectFailed: it may be opened anew."""

    async def talk(device: Device, line: Line) -> None:
        if device.sessions > 1:
            await device.obey(line)
        await asyncio_wait(device, line)

    gone = threading.Event()

    async def asyncio_wait(device: Device, line: Line) -> None:
        line.say(device.prompt)
        for _ in range(3):
            await line.line()
            line.say(device.prompt)
        gone.set()

    device = run(Device(talk=talk))
    connection = connect(device)
    assert gone.wait(5)
    end = time.monotonic() + 5
    while not connection._tape.ended and time.monotonic() < end:
        time.sleep(0.01)
    with pytest.raises(ConnectFailed, match="nothing was typed"):
        connection.run([Command(("cli", "display clock"))])
    assert connect(device).run([Command(("cli", "display clock"))])


def test_nothing_of_netmiko_before_a_device() -> None:
    """The connector is made without netmiko or asyncssh; only dialling a device imports it."""
    code = (
        "import sys; from remedy.transports.netdev import DeviceConnector;"
        "DeviceConnector(lambda s: '', lambda t: None);"
        "print([m for m in sys.modules if m.split('.')[0] in {'netmiko', 'paramiko', 'textfsm'}])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
