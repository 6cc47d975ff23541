"""Everything a device can be made to do wrong, as it looks from the other end."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import netmiko
import paramiko
import pytest
from paramiko.transport import ServiceRequestingTransport
from tests.lab.devices.rig import Wire, options, rig, write

from remedy.lab.devices import faces
from remedy.lab.devices.faults import Control, Faults, ask
from remedy.lab.devices.h3c import messages

CONFIG = ("system-view", "object-group ip address g")


def test_a_save_that_fails_says_so_and_keeps_the_old_file() -> None:
    """The startup file is as before; a slow save takes its time."""
    with rig("comware") as at, at.wire() as wire:
        wire.line("save force")
        at.set(save_fails=True, save_seconds=0.3)
        wire.line("system-view")
        wire.line("sysname NEW")
        assert messages.SAVE_FAILED in wire.line("save force")
        assert "NEW" not in (at.device.stores.read("startup.cfg") or "")


def test_log_lines_land_in_the_middle_of_output_until_switched_off() -> None:
    """A monitoring session gets a log line inside an answer and after a prompt; `undo terminal monitor` ends that."""
    with rig("comware") as at:
        at.set(monitor=True, log_every=1, log_at_prompt=3)
        with at.wire() as wire:
            said = wire.line("display startup")
            inside = said.splitlines()
            assert inside[0] == "display startup"
            assert any(line.startswith("%") and "SHELL/6/SHELL_CMD" in line for line in inside[2:-1])
            wire.send(b"display clock\n")
            wire.until(rb"(?s)<H3C>\r\n%[^\r]*SHELL_CMD: [^\r]*\r\n$")
            wire.send(b"undo terminal monitor\n")
            wire.until(rb"disabled to display logs\.\r\n<H3C>$")
            for _ in range(4):
                assert "%" not in wire.line("display startup")


def test_the_link_is_cut_in_the_middle_of_a_line() -> None:
    """The n-th line from now gets half its answer and the connection ends; what it did is done."""
    with rig("comware") as at, at.wire() as wire:
        for line in CONFIG:
            wire.line(line)
        at.set(drop_after=2)
        wire.line("network host address 203.0.113.7")
        wire.send(b"network host address 203.0.113.8\n")
        said = wire.ended()
        assert b"203.0.113.8" in said
        assert not said.endswith(b"]")
        assert "203.0.113.8" in at.device.face.running()
        with at.wire() as again:
            assert again.line("display clock").endswith("<H3C>")


def test_a_device_falls_silent_with_the_connection_open() -> None:
    """Nothing comes any more, and the connection does not end."""
    with rig("comware") as at, at.wire() as wire:
        at.set(mute_after=1)
        wire.channel.settimeout(0.5)
        wire.send(b"display clock\n")
        with pytest.raises(TimeoutError):
            wire.until(rb"<H3C>$")
        assert not wire.channel.closed


def test_the_session_limit_is_kept() -> None:
    """Who comes when all lines are taken is told so and let go; when one is free he may stay."""
    with rig("comware") as at:
        at.set(sessions=1)
        with at.wire():
            late = Wire(at.port, "admin", "Admin-1")
            assert messages.CROWDED.encode() in late.ended()
            late.client.close()


def test_another_administrator_has_the_configuration() -> None:
    """Showing works, changing is refused with his name."""
    with rig("comware") as at, at.wire() as wire:
        at.set(locked_by="root")
        assert "UTC" in wire.line("display clock")
        assert "exclusively by user root" in wire.line("system-view")


def test_a_full_group_takes_no_more() -> None:
    """The member above the limit is refused; others can be replaced."""
    with rig("comware") as at, at.wire() as wire:
        at.set(group_limit=1)
        for line in (*CONFIG, "network host address 203.0.113.7"):
            wire.line(line)
        assert messages.GROUP_FULL in wire.line("network host address 203.0.113.8")


def test_chosen_lines_are_refused() -> None:
    """A line that is to be refused is, in the words asked for, and nothing else is."""
    with rig("comware") as at, at.wire() as wire:
        at.set(refuse=r"203\.0\.113\.8$", refusal="No room.")
        for line in (*CONFIG, "network host address 203.0.113.7"):
            wire.line(line)
        assert "No room." in wire.line("network host address 203.0.113.8")
        assert "No room." not in wire.line("network host address 203.0.113.9")
        assert "203.0.113.8" not in at.device.face.running()


def test_the_clock_can_be_wrong() -> None:
    """The device's clock is off by what was asked for."""
    with rig("comware") as at, at.wire() as wire:
        at.set(clock_offset=-400 * 86400.0)
        year = at.device.now().year
        assert f"/{year}" in wire.line("display clock")


def test_lines_may_end_in_cr_nul_lf() -> None:
    """Every line ends CR NUL LF, the echo's too."""
    with rig("comware", cr_nul=True) as at, at.wire() as wire:
        assert wire.line("display startup").startswith("display startup\r\0\nMainBoard:\r\0\n")


def test_a_device_may_speak_gbk() -> None:
    """What is typed in GB 18030 is kept and shown again in it."""
    with rig("comware", encoding="gb18030") as at, at.wire() as wire:
        text = "核心机房"
        for line in (b"system-view\n", b"interface g1/0/1\n", b"description " + text.encode("gb18030") + b"\n"):
            wire.send(line)
            wire.until(rb"\]$")
        assert text in at.device.face.running()
        wire.send(b"display this\n")
        assert text in wire.until(rb"\]$").decode("gb18030")


def test_keyboard_interactive_only() -> None:
    """A plain password is refused, the answer to the question is taken."""
    with rig("comware", keyboard=True) as at:
        transport = ServiceRequestingTransport(("127.0.0.1", at.port))
        try:
            transport.start_client(timeout=10)
            with pytest.raises(paramiko.BadAuthenticationType):
                transport.auth_password("admin", "Admin-1", fallback=False)
            transport.auth_interactive("admin", lambda _title, _text, fields: ["Admin-1"] * len(fields))
            assert transport.is_authenticated()
        finally:
            transport.close()


def test_old_gear_offers_old_algorithms_only() -> None:
    """A client of today finds no common key exchange; what is offered is SHA-1 and `ssh-rsa`."""
    with rig("comware", legacy=True) as at:
        with pytest.raises((paramiko.SSHException, netmiko.NetmikoTimeoutException)):
            Wire(at.port, "admin", "Admin-1")
        offered = _offered(at.port)
        assert "diffie-hellman-group14-sha1" in offered
        assert "ssh-rsa" in offered
        assert "rsa-sha2-256" not in offered
        assert "curve25519" not in offered


def _offered(port: int) -> str:
    """The names in a server's first packet."""

    async def read() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"SSH-2.0-probe\r\n")
        await reader.readline()
        data = await reader.readexactly(4)
        data = await reader.readexactly(int.from_bytes(data, "big"))
        writer.close()
        return data

    return asyncio.run(read()).decode("latin-1")


def test_a_device_is_a_process_with_a_control_socket(tmp_path: Path) -> None:
    """It says when it is ready, keeps its startup file in its folder, and does what the socket asks."""
    first = write(tmp_path / "first.cfg", "#\n sysname FW01\n#\n")
    control = tmp_path / "control"
    made = options("secpath", state=str(tmp_path / "flash"), control=str(control), startup=str(first),
                   host_key=str(tmp_path / "key"))  # fmt: skip
    path = write(tmp_path / "device.json", json.dumps(made))
    with subprocess.Popen(
        [sys.executable, "-m", "remedy.lab.devices", str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        word, port = process.stdout.readline().split()
        try:
            assert word == "ready"
            with Wire(int(port), "admin", "Admin-1") as wire:
                assert wire.line("display clock").endswith("<FW01>")
                assert ask(control, {"ask": "users"})["answer"] == ["admin"]
                assert ask(control, {"set": {"save_fails": True}})["faults"]["save_fails"] is True
                assert messages.SAVE_FAILED in wire.line("save force")
                assert "FW01" in str(ask(control, {"ask": "running"})["answer"])
                with pytest.raises(ValueError, match="no fault"):
                    ask(control, {"set": {"nonsense": 1}})
                ask(control, {"do": "cut"})
                wire.ended()
        finally:
            process.terminate()
    assert process.returncode == 0
    assert "FW01" in (tmp_path / "flash" / "startup.cfg").read_text()


def test_control_answers_bad_wishes() -> None:
    """What is no JSON, no wish, or of the wrong type is answered with an error."""
    control = Control(Faults(), {}, {})

    async def answers() -> list[dict[str, object]]:
        lines = (b"nonsense\n", b'{"ask": "x"}\n', b"[]\n", b'{"set": {"slow": "x"}}\n')
        return [await control._answer(line) for line in lines]

    assert all("error" in answer for answer in asyncio.run(answers()))


def test_the_faces_are_found() -> None:
    """The faces of H3C are there by name."""
    assert {"comware", "comware5", "secpath"} <= set(faces())
