"""A device behind its SSH server: netmiko's own driver, the terminal's bytes, logins, sessions, saving, going back."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import netmiko
import paramiko
import pytest
from tests.lab.devices.rig import Rig, Wire, rig

from remedy.lab.devices.h3c import messages

PROMPT = rb"[>\]]$"


def connect(at: Rig, **more: object) -> netmiko.BaseConnection:
    """Netmiko's driver for Comware, unmodified."""
    settings = {"username": "admin", "password": "Admin-1", "fast_cli": True, **more}
    return netmiko.ConnectHandler(device_type="hp_comware", host="127.0.0.1", port=at.port, **settings)


def within(seconds: float, question: Callable[[], bool]) -> bool:
    """Whether it becomes true in that time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if question():
            return True
        time.sleep(0.02)
    return question()


@pytest.mark.parametrize("face", ["comware", "secpath"])
def test_netmikos_driver_connects_shows_configures_and_saves(face: str) -> None:
    """Every step of the driver's own works, and what it configured and saved is what the device has."""
    with rig(face) as at:
        link = connect(at)
        assert link.find_prompt() == "<H3C>"
        assert "Comware Software" in str(link.send_command("display version"))
        said = link.send_config_set(["object-group ip address remedy-block", "network host address 203.0.113.7"])
        assert "[H3C-obj-grp-ip-remedy-block]" in said
        assert "network host address 203.0.113.7" in str(link.send_command("display object-group"))
        assert "successfully" in link.save_config()
        link.disconnect()
        assert "203.0.113.7" in (at.device.stores.read("startup.cfg") or "")
        assert within(5, lambda: not at.device.visitors)


def test_netmiko_sees_what_is_refused() -> None:
    """With its error pattern the driver stops at the refused line."""
    with rig("comware") as at:
        link = connect(at)
        with pytest.raises(netmiko.ConfigInvalidException):
            link.send_config_set(["acl advanced 3000", "rule deny nonsense"], error_pattern=r"% ")
        link.disconnect()


def test_the_terminal_echoes_edits_and_ends_lines_as_asked() -> None:
    """Backspace erases, Ctrl-C ends the line, Ctrl-Z goes to user view; CR, LF and CR LF are one Enter."""
    with rig("comware") as at, at.wire() as wire:
        wire.send(b"displax\x08y cloc")
        wire.until(rb"displax\x08 \x08y cloc")
        assert "UTC" in wire.line("k")
        wire.send(b"nonsense\x03")
        assert wire.until(PROMPT).endswith(b"^C\r\n<H3C>")
        assert wire.line("system-view").endswith("[H3C]")
        wire.send(b"acl advanced 3000\x1a")
        assert wire.until(rb"<H3C>$").endswith(b"\r\n<H3C>")
        wire.send(b"system-view\r\nquit\rsystem-view\r\0")
        wire.until(rb"(?s)\[H3C\].*<H3C>.*\[H3C\]$")
        assert wire.line("undo\x1b[D\x1b[A").startswith(f"undo\r\n{' ' * 9}^\r\n % Incomplete command")


def test_the_greeting_is_that_of_a_real_device() -> None:
    """The notice in its frame, a blank line, the prompt; and a line's echo ends CR LF, as a captured session's does."""
    with rig("comware") as at:
        wire = at.wire()
        said = wire.until(PROMPT).decode().split("\r\n")
        assert said[-2:] == ["", "<H3C>"]
        frame = [line for line in said if line.startswith("*")]
        assert len(frame) == 5
        assert {len(line) for line in frame} == {78}
        assert wire.line("screen-length disable") == "screen-length disable\r\n<H3C>"
        wire.client.close()


def test_no_bytes_break_the_terminal() -> None:
    """Whatever is typed, Ctrl-C and Enter bring the prompt back, and the next line is understood."""
    with rig("comware") as at, at.wire() as wire:
        for seed in range(60):
            data = random.Random(seed).randbytes(80)  # noqa: S311 -- the same bytes every time
            wire.send(data + b"\x03\r")
            said = wire.line("\x03display startup", rb"(?s)MainBoard:.*NULL\r\n<H3C>$")
            assert "Next main startup" in said


def test_help_names_the_words_that_could_follow() -> None:
    """A question mark lists them at once and leaves what was typed to go on with."""
    with rig("comware") as at, at.wire() as wire:
        wire.send(b"display ac?")
        assert b"?\r\n  acl\r\n\r\n<H3C>display ac" in wire.until(rb"\r\n<H3C>display ac$")
        assert "rule" not in wire.line("l all")


def test_output_comes_a_page_at_a_time_until_paging_is_off() -> None:
    """24 lines, then `---- More ----`: Enter gives a line, the space bar a page, q ends."""
    with rig("comware", ports=[f"GigabitEthernet1/0/{n}" for n in range(1, 20)]) as at, at.wire() as wire:
        more = rb"  ---- More ----$"
        wire.send(b"display current-configuration\n")
        first = wire.until(more)
        assert first.count(b"\r\n") == 25  # the echo and 24 lines
        wire.send(b"\r")
        assert wire.until(more).count(b"\r\n") == 1
        wire.send(b"q")
        assert wire.until(PROMPT).endswith(b"\x1b[16D<H3C>")
        assert b"More" not in wire.line("screen-length disable").encode()
        assert wire.line("display current-configuration").endswith("return\r\n<H3C>")


def test_saving_asks_where_and_whether() -> None:
    """The prompts of `save` block, take Enter for the name, and no for no."""
    with rig("comware") as at, at.wire() as wire:
        wire.line("save", rb"\[Y/N\]:$")
        said = wire.line("y", rb"enter key\):$")
        assert "Please input the file name(*.cfg)[flash:/startup.cfg]" in said
        assert "Saved the current configuration" in wire.line("")
        wire.line("save", rb"\[Y/N\]:$")
        wire.line("y", rb"enter key\):$")
        assert "exists, overwrite" in wire.line("", rb"\[Y/N\]:$")
        assert wire.line("n") == "n\r\n<H3C>"
        wire.line("save", rb"\[Y/N\]:$")
        wire.send(b"\x03")
        wire.until(rb"<H3C>$")


def test_an_unconfirmed_change_goes_back_by_itself() -> None:
    """When the commit delay is over the configuration is that from before, sessions stay, monitors are told."""
    with rig("secpath", minute=0.3) as at, at.wire() as wire:
        for line in ("terminal monitor", "system-view", "configuration commit delay 1", "blacklist ip 203.0.113.7"):
            wire.line(line)
        assert "203.0.113.7" in at.device.face.running()
        wire.until(rb"CFGMAN_ROLLBACK: Configuration rollback finished\.\r\n")
        assert "203.0.113.7" not in at.device.face.running()
        assert wire.line("display blacklist ip").count("203.0.113.7") == 0
        assert messages.NO_DELAY in wire.line("configuration commit")


def test_a_confirmed_change_stays_and_the_point_to_go_back_to_does_not_move() -> None:
    """Setting the timer anew asks and keeps the first point; committing stops it."""
    with rig("secpath", minute=0.4) as at, at.wire() as wire:
        for line in ("system-view", "configuration commit delay 100", "blacklist ip 203.0.113.7"):
            wire.line(line)
        assert "already set 100 minutes" in wire.line("configuration commit delay 1", rb"\[Y/N\]:$")
        wire.line("y")
        assert within(5, lambda: "203.0.113.7" not in at.device.face.running())
        for line in ("configuration commit delay 1", "blacklist ip 203.0.113.8", "configuration commit"):
            wire.line(line)
        time.sleep(0.6)  # longer than the timer would have run
        assert "203.0.113.8" in at.device.face.running()


def test_a_reboot_loses_what_was_not_saved() -> None:
    """Sessions are cut, the port answers again soon, and the configuration is the startup file's."""
    with rig("secpath") as at:
        with at.wire() as wire:
            for line in ("system-view", "sysname BOOTED", "save force", "blacklist ip 203.0.113.7", "return"):
                wire.line(line)
            assert "may be lost" in wire.line("reboot", rb"\[Y/N\]:$")
            wire.line("n", rb"reboot the device. Continue\? \[Y/N\]:$")
            wire.send(b"y\n")
            wire.ended()

        def back() -> bool:
            try:
                return at.wire().until(rb"<BOOTED>$") != b""
            except (OSError, EOFError, paramiko.SSHException):
                return False

        assert within(10, back)
        assert "203.0.113.7" not in at.device.face.running()


def test_a_read_only_account_shows_and_changes_nothing_until_super() -> None:
    """`Permission denied.` for what changes, the super password raises the role, a wrong one does not."""
    with rig("comware") as at, at.wire("guest", "Guest-1") as wire:
        assert "UTC" in wire.line("display clock")
        assert "Permission denied." in wire.line("system-view")
        wire.line("super", rb"Password: $")
        assert messages.BAD_PASSWORD in wire.line("wrong")
        wire.line("super", rb"Password: $")
        said = wire.line("Super-1")
        assert "User privilege role is network-admin" in said
        assert "Super-1" not in said
        assert wire.line("system-view").endswith("[H3C]")


def test_a_configuration_file_replaces_the_running_one() -> None:
    """`configuration replace file` loads a saved file in place, without a reboot."""
    with rig("secpath") as at, at.wire() as wire:
        for line in ("system-view", "blacklist ip 203.0.113.7"):
            wire.line(line)
        wire.line("save good.cfg", rb"\[Y/N\]:$")
        wire.line("y")
        wire.line("undo blacklist ip 203.0.113.7")
        wire.line("configuration replace file good.cfg", rb"\[Y/N\]:$")
        assert "Succeeded in replacing" in wire.line("n")
        assert "203.0.113.7" in at.device.face.running()
        assert "good.cfg" in wire.line("return") + wire.line("dir")


def test_thousands_of_members_are_taken_as_fast_as_they_are_typed() -> None:
    """5,000 members pasted at once cost the device less than two seconds of processor time, and all are there."""
    with rig("comware") as at, at.wire() as wire:
        for line in ("system-view", "object-group ip address g"):
            wire.line(line)
        lines = [f"network host address 10.{n >> 8}.{n & 255}.1\n".encode() for n in range(5000)]
        before = time.process_time()
        wire.send(b"".join(lines) + b"description done\n")
        wire.until(rb"description done\r\n\[H3C-obj-grp-ip-g\]$")
        assert time.process_time() - before < 4  # the client's share, in the same process, is the larger
        assert at.device.face.running().count("network host address") == 5000


def test_a_wrong_password_is_refused() -> None:
    """Neither a wrong password nor an unknown user logs in."""
    with rig("comware") as at:
        for user, password in (("admin", "wrong"), ("nobody", "Admin-1")):
            with pytest.raises(paramiko.AuthenticationException):
                Wire(at.port, user, password)
