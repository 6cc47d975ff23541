"""The progress of long streams: what the line says, how often it is said, and where."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator

import pytest

from remedy.cli.progress import IN_LOG, IN_STREAM, Pace, Progress, size, span
from remedy.cli.screen import Screen
from remedy.engine.job import Event


class Hands:
    """A clock that is moved by hand."""

    now = 100.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


def at(done: int, total: int = 1000_000_000, text: str = "loading", target: str = "db01") -> Event:
    """So many bytes have passed."""
    return Event(target, "progress", text, done=done, total=total)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (912, "912 B"), (4130, "4.13 kB"), (41_300, "41.3 kB"), (412_000_000, "412 MB"), (1.35e9, "1.35 GB")],
)
def test_sizes(count: float, text: str) -> None:
    """A size has three digits and the unit of powers of 1,000."""
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0:00"), (7.4, "0:07"), (760, "12:40"), (11_100, "3:05:00"), (86_400, "24:00:00"), (345_600, "4 days")],
)
def test_spans(seconds: float, text: str) -> None:
    """A length of time is written as a clock shows it, days from two days on."""
    assert span(seconds) == text


def test_rate_and_time_left() -> None:
    """The line has the bytes, the share, the rate of the last seconds (not of the whole) and the time left at it."""
    hands = Hands()
    progress = Progress(every=0.1, at_once=True, clock=hands)
    done = 0
    for second in range(20):
        done += 100_000_000 if second < 5 else 10_000_000
        hands.now += 1
        progress.heard(at(done))
    assert progress.line() == "loading   650 MB of 1.00 GB  65 %  10.0 MB/s  0:35 left"


def test_unknown_total_and_new_phase() -> None:
    """Without a total there is no share and no time left; a new phase begins a new count."""
    hands = Hands()
    progress = Progress(every=0.1, at_once=True, clock=hands)
    progress.heard(at(0, 0))
    hands.now += 2
    progress.heard(at(8_000_000, 0))
    assert progress.line() == "loading   8.00 MB  4.00 MB/s"
    progress.heard(at(0, 0, "comparing"))
    assert progress.line() == "comparing   0 B"


def test_several_streams_share_the_line() -> None:
    """Of several streams each is told in brief, and the one that ended no longer."""
    hands = Hands()
    progress = Progress(every=0.1, at_once=True, clock=hands)
    progress.heard(at(100_000_000))
    progress.heard(at(500_000_000, target="db02"))
    assert progress.line() == "db01: 10 %  ·  db02: 50 %"
    progress.ended("db01")
    assert progress.line().startswith("loading   500 MB")


def test_streams_that_ended_unsaid() -> None:
    """A stream that came to its end, or of which nothing was heard for long, does not stay in the line."""
    hands = Hands()
    progress = Progress(every=0.1, at_once=True, clock=hands)
    progress.heard(at(1000_000_000, target=""))
    progress.heard(at(100_000_000, target="silent"))
    assert progress.line() == "loading   100 MB of 1.00 GB  10 %"
    hands.now += 6
    progress.heard(at(500_000_000))
    assert progress.line() == "loading   500 MB of 1.00 GB  50 %"


def test_a_program_hears_once_a_second() -> None:
    """Of a stream's progress a program gets one a second and the last, of everything else all."""
    hands = Hands()
    pace = Pace(clock=hands)
    due = []
    for number in range(1, 41):
        hands.now += 0.25
        due.append(pace.due(at(number, 40)))
    assert due.count(True) == 11
    assert due[0]
    assert due[-1]
    assert pace.due(at(1, 40, target="db02"))
    assert all(pace.due(Event("db01", kind, "x")) for kind in ("phase", "step", "step", "reply"))
    assert IN_STREAM == 1.0


class Terminal:
    """A terminal whose screen can be read."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        """Open it."""
        self._patch = patch
        self._far, near = os.openpty()
        self.file = os.fdopen(near, "w", encoding="utf-8")

    def screen(self, *, quiet: bool = False) -> Screen:
        """A screen that talks to it; made late, because pytest puts its own standard error back before each test."""
        with self._patch.context() as patch:
            patch.setattr(sys, "stderr", self.file)
            return screen(quiet=quiet)

    def shown(self) -> str:
        """Everything written to it, as it came."""
        self.file.flush()
        os.set_blocking(self._far, False)
        parts = []
        while True:
            try:
                parts.append(os.read(self._far, 65536))
            except BlockingIOError:
                return b"".join(parts).decode()

    def close(self) -> None:
        """Close both ends."""
        self.file.close()
        os.close(self._far)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """A terminal 60 columns wide."""
    made = Terminal(monkeypatch)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm-256color")
    yield made
    made.close()


def screen(*, quiet: bool = False) -> Screen:
    """A screen without colour."""
    return Screen(color=False, quiet=quiet, verbose=0, redact=lambda text: text.replace("secret", "***"))


def test_one_line_is_rewritten_on_a_terminal(terminal: Terminal) -> None:
    """On a terminal the line replaces itself, fits, is gone before anything else is said, and needs no escape byte."""
    shown = terminal.screen()
    shown.event(at(1, text="a very long name " * 5))
    shown.event(Event("db01", "progress", "short", done=5, total=10))
    shown.event(Event("db01", "reply", "loaded"))
    text = terminal.shown()
    assert "\x1b" not in text
    first, *rest = text.split("\r")[1:]
    assert first.startswith("  … a very long name")
    assert len(first) < 60
    assert [line.strip() for line in rest] == ["", "✓ loaded", ""]  # the second came within a tenth of a second
    assert len(rest[0]) >= len(first)


def test_hostile_names_and_secrets(terminal: Terminal) -> None:
    """What a target calls a stream is shown without its controls, and no secret in it."""
    terminal.screen().event(at(1, text="cms\x1b]0;owned\x07\nsecret"))
    text = terminal.shown()
    assert not {"\x1b", "\x07", "\n"} & set(text)
    assert re.search(r"\\x1b\]0;owned\\x07\\n\*\*\*", text)


def test_a_log_gets_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    """Where standard error is a file, what is over within ten seconds leaves no line, and nothing is rewritten."""
    shown = screen()
    for number in range(200):
        shown.event(at(number))
    assert "".join(capsys.readouterr()) == ""
    hands = Hands()
    progress = Progress(every=IN_LOG, at_once=False, clock=hands)
    due = []
    for second in range(35):
        hands.now = 100.0 + second
        due.append(progress.heard(at(second)))
    assert [second for second, one in enumerate(due) if one] == [10, 20, 30]


def test_quiet_shows_none(terminal: Terminal) -> None:
    """With -q there is no progress."""
    terminal.screen(quiet=True).event(at(1))
    assert terminal.shown() == ""
    terminal.screen().event(at(1))
    assert terminal.shown() != ""


def test_a_handler_of_ctrl_c_may_speak_in_the_middle_of_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """What interrupts the thread that is just showing something, and shows something itself, does not wait for ever."""
    heard: list[str] = []

    def redact(text: str) -> str:
        heard.append(text)
        if len(heard) == 1:
            signal.raise_signal(signal.SIGINT)
        return text

    screen = Screen(color=False, quiet=False, verbose=0, redact=redact)
    before = signal.signal(signal.SIGINT, lambda *_: screen.say("interrupted", talk=True))
    try:
        screen.say("a line", talk=True)
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == ["a line", "interrupted"]
    assert capsys.readouterr().err == "interrupted\na line\n"
