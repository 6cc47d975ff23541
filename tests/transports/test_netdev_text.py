"""Prompts and screens: what is a prompt, what a terminal's bytes say, however they are cut into pieces."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.worlds.captures import CAPTURES, WITHOUT

from remedy import devices
from remedy.transports.devices.commands import is_reading
from remedy.transports.devices.console import Console
from remedy.transports.devices.greeting import learn
from remedy.transports.devices.keyboard import Keyboard
from remedy.transports.devices.prompts import CONFIGURE, EXEC, asks, shape_of
from remedy.transports.devices.screen import Screen, cleaned
from remedy.transports.devices.tape import MASK, Tape, Transcript
from remedy.transports.devices.words import words


def screen(cap: int = 10_000) -> Screen:
    """An empty screen."""
    return Screen(codecs.getincrementaldecoder("utf-8")("backslashreplace"), cap)


@pytest.mark.parametrize(
    ("prompt", "modes"),
    [
        ("<H3C>", {"<H3C>": EXEC, "<H3C> ": EXEC, "[H3C]": CONFIGURE, "[H3C-acl-ipv4-adv-3000]": CONFIGURE}),
        ("<核心>", {"[核心-GigabitEthernet1/0/1]": CONFIGURE, "<核>": ""}),
        ("RBM_P<FW1>", {"RBM_S<FW1>": EXEC, "<FW1>": EXEC, "RBM_P[FW1-object-group-ip-remedy-block]": CONFIGURE}),
        ("<HW>", {"[~HW]": CONFIGURE, "[*HW-acl4-advance-3000]": CONFIGURE, "HRP_M<HW>": EXEC, "[!HW]": ""}),
        ("R#", {"R(config)#": CONFIGURE, "R(config-ext-nacl)#": CONFIGURE, "R>": EXEC, "R": "", "R##": ""}),
        ("R>", {"R#": EXEC, "R(config)#": CONFIGURE, "R(config)>": ""}),
        ("fw/act#", {"fw/act(config)#": CONFIGURE, "fw/act/ctx#": "", "fw/stby#": ""}),
        ("sw(maint-mode)#", {"sw(maint-mode)(config)#": CONFIGURE, "sw#": ""}),
        ("distribution-switch-north#", {"distribution-switc(config)#": CONFIGURE, "distribution#": ""}),
        ("<H3C>", {"x<H3C>": "", "<H3C>x": "", "<H3CX>": "", "[H3CX]": "", "<H3C-x>": "", "[H3C-a]b": "", "": ""}),
    ],
)
def test_a_prompt_in_all_its_modes(prompt: str, modes: dict[str, str]) -> None:
    """What was learnt in exec mode matches the same device's views and roles, whole lines, and nothing else."""
    learnt = shape_of(prompt)
    assert learnt
    assert {line: learnt.mode(line) for line in modes} == modes
    assert learnt.mode(prompt) == EXEC


@pytest.mark.parametrize(
    "line", ["", "H3C", "[H3C]", "R(config)#", "only authorised users>", "100%", "$ ", "<a", "a>b#c", "#", ">", "<>"]
)
def test_what_cannot_be_an_exec_prompt(line: str) -> None:
    """Views, sentences, other shells and bare signs are not learnt."""
    assert shape_of(line) is None


@pytest.mark.parametrize(
    ("line", "is_question"),
    [
        ("Are you sure? [Y/N]:", True),
        ("Proceed with reload? [confirm]", True),
        ("This may take long. Continue? (y/n)?  [n] ", True),
        ("Save? [yes/no]: ", True),
        ("Password:", True),
        ("Please enter the switching password: ", True),
        ("Overwrite? [Y/N/C]:", True),
        ("Destination filename [startup-config]? ", False),
        (" rule 0 permit ip", False),
        ("interface Vlan-interface1 [Y/N]: done", False),
    ],
)
def test_questions(line: str, is_question: bool) -> None:  # noqa: FBT001 -- a parameter of the table
    """The usual blocking questions are known at once; others need silence."""
    assert asks(line) is is_question


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("a\r\nb\r\n", "a\nb\n"),
        ("a\r\0\nb\r\r\nc\n\rd", "a\nb\nc\nd"),
        ("10%\r20%\r\n", "10%\n20%\n"),
        ("\x1b[31mred\x1b[0m\x1b]0;t\x07", "red"),
        ("x \x1b[1Dy", "xy"),
        ("tab\there\x07", "tab\there\x07"),
    ],
)
def test_line_ends_and_cursor_moves(raw: str, text: str) -> None:
    """Every line end becomes one, and what moves the cursor is not text."""
    assert cleaned(raw.replace("\0", "")) == text


@given(st.text(st.sampled_from("ab <>[]#\r\n\x1b\x08\0-More3;D\xe9核"), max_size=200), st.lists(st.integers(1, 20)))
def test_pieces_make_no_difference(text: str, sizes: list[int]) -> None:
    """Whatever the pieces in which bytes come, the text is the same, and each character is kept once."""
    data = text.encode()
    whole, pieces = screen(), screen()
    whole.feed(data)
    at = 0
    for size in [*sizes, len(data)]:
        pieces.feed(data[at : at + size])
        at += size
    assert pieces.raw() == whole.raw() == text.replace("\0", "")
    assert pieces.last == whole.last
    assert "\n" not in whole.last


@given(st.lists(st.binary(max_size=300), max_size=30))
def test_a_screen_is_bounded(data: list[bytes]) -> None:
    """Any bytes are taken; of finished lines no more is kept than allowed, and the rest is owned up to."""
    small = screen(cap=100)
    for part in data:
        small.feed(part + b"\n")
    assert len(small.text()) <= 100
    assert small.truncated == (small.printed > 100)


class Recorded(Tape):
    """A tape that plays pieces in place of a channel: each read gives the next, and a typed line brings its own."""

    def __init__(self, answers: Callable[[str], Sequence[str]], more: Callable[[], bool]) -> None:
        """`answers` gives the pieces that a line brings; `more` says whether the next is there already."""
        self.transcript = Transcript()
        self._pieces: list[bytes] = []
        self._answers = answers
        self._more = more
        self.clock = 0.0

    def read(self, seconds: float) -> bytes:
        """The next piece; time passes when there is none."""
        if self._pieces:
            self.clock += 0.001
            return self._pieces.pop(0)
        self.clock += seconds
        return b""

    def recv_ready(self) -> bool:
        """Whether the device was quick."""
        return bool(self._pieces) and self._more()

    def sendall(self, data: bytes) -> None:
        """Type."""
        self._pieces += [piece.encode() for piece in self._answers(data.decode())]

    def settimeout(self, seconds: float | None) -> None:
        """Not waited for."""


TEXTS = st.lists(
    st.sampled_from(["", " rule 0 permit ip", "<H3C>", "[H3C]", "<H3C>text", "display", "#", "return", "a:", "x>"])
    | st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=30),
    max_size=6,
)


def bare(text: str) -> list[str]:
    """Lines with something in them that is no prompt."""
    return [line for line in text.split("\n") if line.strip() not in {"", "<H3C>", "[H3C]"}]


@given(st.data())
def test_whatever_is_printed_is_read_back_whole(data: st.DataObject) -> None:
    """Any lines, prompts among them, cut anywhere, are the answer to the line that printed them: none lost or moved.

    Lines that are nothing but the prompt are left out here: at an end they look like prompts that nobody waited for.
    """
    wanted = data.draw(st.lists(TEXTS, min_size=1, max_size=4))
    lines = [f"display thing {number}" for number in range(len(wanted))] + ["display end"]
    assume(not any(line in text for texts in wanted for text in texts for line in lines))
    assume(not any(asks(text) or "ore" in text for texts in wanted for text in texts))

    def answers(typed: str) -> list[str]:
        if typed == "\n":
            return ["\r\n<H3C>"]
        line = typed.removesuffix("\n")
        body = "".join(f"{text}\r\n" for text in [*wanted, []][lines.index(line)])
        whole = f"{line}\r\n{body}<H3C>"
        cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=4)))
        return [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True) if a < b]

    tape = Recorded(answers, lambda: data.draw(st.booleans()))
    keyboard = Keyboard(cast("Any", tape), encoding="utf-8", newline="\n", where="sw01", clock=lambda: tape.clock)
    tape.sendall(b"\n")
    console = Console(keyboard, learn(keyboard, 10)[0], 100_000)
    got: list[str] = []
    prompt = ""
    for line in lines:
        said = console.type(line, end=tape.clock + 100, silence=50)
        if said.late:
            got[-1] = f"{got[-1]}\n{prompt}{said.late}".removeprefix("\n")
        got.append(said.text)
        prompt = said.prompt
    assert [bare(text) for text in got] == [bare("\n".join(texts)) for texts in wanted] + [[]]


def questions(vendor: devices.Vendor) -> Iterator[str]:
    """Every line that a vendor's file would have typed to ask something."""
    yield vendor.terminal.running
    groups = [devices.Group("remedy-block", 4), devices.Group("remedy-block6", 6)]
    gate = devices.Gate("3000", "GigabitEthernet1/0/1", "in", "Untrust")
    for group in groups if vendor.groups else ():
        assert vendor.groups
        yield from (*vendor.groups.ask_members(group), *vendor.groups.ask_gate(gate, group))
    if vendor.filters:
        yield from vendor.filters.ask_lists()
    if vendor.timer:
        yield from (*vendor.timer.ask_able(), *vendor.timer.revert(60).ask)
    if vendor.switch:
        yield from vendor.switch.ask_mac("00:11:22:33:44:55")
        yield from (*vendor.switch.ask_arp("198.18.0.1"), *vendor.switch.ask_port("GigabitEthernet1/0/1"))


@pytest.mark.parametrize("name", devices.registered())
def test_every_vendor_can_be_connected_to(name: str) -> None:
    """Netmiko has each vendor's words, its patterns are patterns, and each of its questions would be typed."""
    vendor = devices.registered()[name]
    found = words(vendor.driver)
    assert found.enter in {"system-view", "configure terminal"}
    assert found.leave in {"return", "end"}
    assert found.elevate in {"super", "enable"}
    terminal = vendor.terminal
    for pattern in (*terminal.refusals, *terminal.absent, *(one for one, _ in terminal.answers), *vendor.secrets):
        re.compile(pattern, re.MULTILINE)
    assert [line for line in questions(vendor) if not is_reading(line, terminal.reading)] == []


SECRETS = st.binary(min_size=4, max_size=12)


@given(st.lists(SECRETS, min_size=1, max_size=3), st.data())
def test_secrets_are_masked_wherever_they_are_cut(secrets: list[bytes], data: st.DataObject) -> None:
    """A secret is not in the transcript, in whatever pieces it comes; everything else is, in order."""
    parts = data.draw(st.lists(st.sampled_from(secrets) | st.binary(max_size=6), max_size=12))
    transcript = Transcript()
    for secret in secrets:
        transcript.hide(secret)
    stream = b"".join(parts)
    at = 0
    while at < len(stream):
        size = data.draw(st.integers(1, 5))
        transcript.printed(stream[at : at + size])
        at += size
    kept = b"".join(part for _, _, part in transcript.records())
    assert not any(secret in kept.replace(MASK, b"") and secret in kept for secret in secrets if secret not in MASK)
    if not any(secret in stream for secret in secrets):
        assert kept == stream


FILES = sorted((CAPTURES / "terminal_captures").glob("*.yaml"))


@pytest.mark.skipif(not FILES, reason=WITHOUT)
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_captured_terminals(file: Path) -> None:
    """What real devices printed is read command by command: all between the echo and the prompt that they showed."""
    recorded = yaml.safe_load(file.read_text().replace("\\r\n", "\n").replace("\\x20", " "))
    commands = {line: text for entry in recorded["commands"] for line, text in entry.items() if text}
    prompt = shape_of(recorded["init_prompt"].rpartition("\n")[2])
    assert prompt
    tape = Recorded(lambda typed: [commands.get(typed, "\n" + prompt.first).replace("\n", "\r\n")], lambda: False)
    keyboard = Keyboard(cast("Any", tape), encoding="utf-8", newline="\n", where="sw01", clock=lambda: tape.clock)
    tape.sendall(b"\n")
    console = Console(keyboard, learn(keyboard, 10)[0], 10**6)
    for line, text in commands.items():
        said = console.type(line.removesuffix("\n"), end=tape.clock + 100, silence=50)
        assert said.mode == EXEC
        assert said.text == text.removeprefix(line).removesuffix(prompt.first).strip("\n")
