"""One line typed, and what the device says to it: the loop that everything on a device goes through.

Decides when a line is done: its echo was seen, and then, on a line by itself and with nothing after it, the prompt
that was learnt at login. So neither a banner nor a log line nor a configuration's text is taken for a prompt; text
that comes before the next echo belonged to the line before. The pager is turned, questions of ours are answered, any
other is left with Ctrl-C. Nothing sleeps: each wait ends with the first byte.
Leaves to others: what is typed (`netdev`), the words (`words`), the bytes (`tape`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from remedy.core.errors import TimedOut
from remedy.transports.devices.echoes import LOGGED_BEHIND, echo_end, is_logged, resembles
from remedy.transports.devices.keyboard import Keyboard, shown
from remedy.transports.devices.prompts import EXEC, Prompt, asks, may_ask
from remedy.transports.devices.screen import Screen, cleaned

__all__ = ["Answers", "Console", "Said"]

#: Blocking questions that are ours (regular expression) and what is typed to them.
Answers = Sequence[tuple[re.Pattern[str], str]]

_INTERRUPT: Final = b"\x03"
_PAGE: Final = b" "
#: How long an echo may stay away before a prompt counts without it, in seconds: the first one, and any later one.
_FIRST_ECHO: Final = 2.0
_NO_ECHO: Final = 1.0
#: Silence after which an unfinished line counts as a question: one that looks like it, one that might be, one that is
#: waited for.
_ASKS: Final = 0.3
_MAY_ASK: Final = 3.0
_EXPECTED: Final = 0.02
#: Silence after which a prompt that a log line has scrolled away is asked for again.
_SCROLLED: Final = 0.5
_AT_ONCE: Final = 0.001
_MOST_NUDGES: Final = 5
_LEAVING: Final = 5.0
#: How much may come in for one line, kept or not.
_FLOOD: Final = 256 * 1024 * 1024
# An echo ends its line.
_LINE_END: Final = re.compile(r"[^\S\n]*(\n|\Z)?")


@dataclass(frozen=True, slots=True)
class Said:
    """What came of one line. `mode` is that of the prompt that followed, `prompt` that prompt.

    `late` is what came before the line's echo, and belongs to the line before: then what ended that was no prompt, but
    text. `asked` is the question that was left unanswered, "" if there was none.
    """

    text: str
    mode: str
    prompt: str = ""
    late: str = ""
    asked: str = ""
    truncated: bool = False


@dataclass(slots=True)
class _Wait:
    """Waiting for the prompt: when it has to end, what was seen so far, and how long the next read may take."""

    end: float
    silence: float
    echoed: bool
    asks: float
    late: str = ""
    nudges: int = 0
    next: float = 0.0


class Console:
    """A device's command line on an open terminal. One thread at a time."""

    def __init__(self, keyboard: Keyboard, prompt: Prompt, cap: int) -> None:
        """At the prompt that `greeting` learnt. Of what one line prints, `cap` characters are kept."""
        self._keyboard = keyboard
        self._clock = keyboard.clock
        self._where = keyboard.where
        self._cap = cap
        self._echoes = True
        self._seen_echo = False
        self._standing = prompt.first
        self.prompt = prompt
        self.mode = EXEC

    @property
    def is_privileged(self) -> bool | None:
        """Whether the prompt that stands says that the user is privileged; None where prompts do not say."""
        return None if self.prompt.is_angled else self._standing.rstrip().endswith("#")

    def sayable(self, line: str) -> bool:
        """Whether the line can be said in the device's encoding."""
        return self._keyboard.sayable(line) is not None

    def type(self, line: str, *, end: float, silence: float, answers: Answers = ()) -> Said:
        """Type a line and read to the prompt.

        `end` is when the whole has to be over (by the clock), `silence` how long nothing may come.
        Raises ConnectionLost when the session breaks, TimedOut when the device stays silent or does not stop.
        """
        screen = self._keyboard.screen(self._cap)
        self._keyboard.enter(line)
        return self._to_prompt(screen, line if self._echoes else "", end, silence, answers)

    def secret(self, value: str, *, end: float) -> Said:
        """Type a secret to the question that is on the screen; the answer is that to a line."""
        self._keyboard.tape.transcript.hide(value.encode(self._keyboard.encoding, "replace"))
        screen = self._keyboard.screen(self._cap)
        self._keyboard.enter(value)
        return self._to_prompt(screen, "", end, end - self._clock(), (), interrupt=False)

    def ask(self, line: str, *, end: float) -> Said:
        """Type a line that is likely to end in a question, which is left standing (`Said.asked`)."""
        screen = self._keyboard.screen(self._cap)
        self._keyboard.enter(line)
        echo = line if self._echoes else ""
        return self._to_prompt(screen, echo, end, end - self._clock(), (), interrupt=False)

    def interrupt(self) -> None:
        """Leave a question with Ctrl-C. Raises TimedOut when no prompt comes."""
        self._keyboard.press(_INTERRUPT)
        now = self._clock()
        said = self._to_prompt(self._keyboard.screen(self._cap), "", now + _LEAVING, _LEAVING, (), interrupt=False)
        if said.asked:
            raise TimedOut(
                f"the device does not let go of its question: {shown(said.asked)}",
                where=self._where,
                hint="log in by hand and answer it",
            )

    def _to_prompt(
        self, screen: Screen, line: str, end: float, silence: float, answers: Answers, *, interrupt: bool = True
    ) -> Said:
        """Read until the prompt; `line` is the echo that has to come first, "" for none."""
        wait = _Wait(end, silence, not line, _ASKS if interrupt else _EXPECTED)
        heard_at = self._first(screen, wait)
        while True:
            quiet = self._clock() - heard_at
            wait.next = silence - quiet
            if not wait.echoed and (found := self._echo(screen, line)) is not None:
                wait.late, wait.echoed = found, True
            last = screen.last
            if mode := self.prompt.mode(last):
                if self._is_done(screen, line, wait, quiet):
                    self.mode, self._standing = mode, last
                    return self._said(screen, mode, wait)
            elif screen.paged():
                self._keyboard.press(_PAGE)
            elif wait.echoed and self._standing and last.rstrip().endswith(self._standing.rstrip()):
                self._nudge(screen, wait, quiet, scrolled=True)
            elif last and may_ask(last):
                if self._is_stuck(screen, wait, quiet, answers):
                    return self._left(screen, wait, last, interrupt=interrupt)
            elif not last.strip() and wait.echoed:
                self._nudge(screen, wait, quiet, scrolled=False)
            heard_at = self._wait(screen, wait, heard_at)

    def _first(self, screen: Screen, wait: _Wait) -> float:
        """Wait until something is printed: when that was. Raises TimedOut."""
        heard_at = self._clock()
        while not screen.printed:
            wait.next = wait.silence - (self._clock() - heard_at)
            heard_at = self._wait(screen, wait, heard_at)
        return heard_at

    def _is_done(self, screen: Screen, line: str, wait: _Wait, quiet: float) -> bool:
        """At something that looks like the prompt: whether it is, else how long to wait for more."""
        if not wait.echoed:
            patience = min(_NO_ECHO if self._seen_echo else _FIRST_ECHO, wait.silence / 2)
            if quiet < patience and not resembles(screen.raw(), line):
                wait.next = min(wait.next, patience - quiet)
                return False
            self._drop_echo(screen, line, late=quiet >= patience)
            wait.echoed = True
        wait.next = _AT_ONCE
        return not self._keyboard.has_more

    def _is_stuck(self, screen: Screen, wait: _Wait, quiet: float, answers: Answers) -> bool:
        """At something that may be a question: answer it if it is ours, else say whether it stands there for good."""
        last = screen.last
        if self._keyboard.has_more:
            return False
        recent = screen.recent(2000)
        for pattern, text in answers:
            if _ends_in(pattern, recent, last):
                screen.finish_line()
                self._keyboard.enter(text)
                return False
        patience = wait.asks if asks(last) else _MAY_ASK
        wait.next = min(wait.next, patience - quiet)
        return quiet >= patience

    def _nudge(self, screen: Screen, wait: _Wait, quiet: float, *, scrolled: bool) -> None:
        """Silence: ask for the prompt anew if log lines have `scrolled` it away, or it stands right behind a text."""
        if wait.nudges >= _MOST_NUDGES:
            return
        if quiet < _SCROLLED:
            wait.next = min(wait.next, _SCROLLED - quiet)
        elif scrolled or self._scrolled(screen):
            wait.nudges += 1
            self._keyboard.enter()

    def _wait(self, screen: Screen, wait: _Wait, heard_at: float) -> float:
        """Read once; when something was last heard. Raises TimedOut when that was too long ago."""
        end, silence = wait.end, wait.silence
        if data := self._keyboard.hear(min(wait.next, end - self._clock())):
            screen.feed(data)
            heard_at = self._clock()
        now = self._clock()
        if screen.printed > _FLOOD:
            raise TimedOut(
                "the device does not stop printing", where=self._where, hint="log in by hand and see what it does"
            )
        if now >= end or now - heard_at >= silence:
            said = shown(screen.recent(200))
            waited = "its time is over" if now >= end else f"nothing for {silence:g} s"
            raise TimedOut(
                f"no prompt came back ({waited}); the last it said: {said or 'nothing'}",
                where=self._where,
                hint="whether the line took effect is unknown",
            )
        return heard_at

    def _echo(self, screen: Screen, line: str) -> str | None:
        """Find the line's echo and cut it off with all before it, which is returned; None while it has not come."""
        raw = screen.raw()
        at = raw.find(line)
        while at >= 0:
            stop = at + len(line)
            ending = _LINE_END.match(raw, stop)
            assert ending is not None  # noqa: S101 -- it matches nothing, too
            if ending[1] == "":
                return None  # the rest of the echo's line is on its way
            earlier, _, same = cleaned(raw[:at]).rpartition("\n") if at else ("", "", "")
            if ending[1] and (not at or self._fits(earlier, same)):
                screen.cut(ending.end())
                self._seen_echo = True
                return self._belated(earlier)
            at = raw.find(line, at + 1)
        return None

    def _fits(self, earlier: str, same: str) -> bool:
        """Whether an echo may stand here: at the beginning, after a prompt, or after log lines alone."""
        if same.strip():
            return bool(self.prompt.mode(same))
        return all(not text.strip() or is_logged(text) or self.prompt.mode(text) for text in earlier.split("\n"))

    def _belated(self, text: str) -> str:
        """What of the text before an echo is no prompt, and not logged while nobody typed."""
        if not text:
            return ""
        lines = text.split("\n")
        if all(not one.strip() or is_logged(one) or self.prompt.mode(one) for one in lines):
            return ""
        while not lines[-1].strip() or self.prompt.mode(lines[-1]):
            del lines[-1]
        return "\n".join(lines)

    def _without_prompts(self, text: str) -> str:
        return "\n".join(one for one in text.split("\n") if not self.prompt.mode(one))

    def _drop_echo(self, screen: Screen, line: str, *, late: bool) -> None:
        """An echo that came mangled (wrapped, scrolled) or not at all: take its line off, if there is one."""
        raw = screen.raw()
        if resembles(raw, line):
            self._seen_echo = True
            screen.cut(echo_end(raw, line))
        elif late and not self._seen_echo:
            self._echoes = False  # this one does not echo; waiting for it each time would cost seconds a line

    def _scrolled(self, screen: Screen) -> bool:
        """Whether a prompt stands above what came last: log lines have come after it, and it is not shown again."""
        return any(self.prompt.mode(one) or self._begins(one) for one in screen.recent().split("\n"))

    def _begins(self, line: str) -> bool:
        """Whether a log line begins right behind a prompt."""
        cut = LOGGED_BEHIND.search(line)
        return cut is not None and bool(self.prompt.mode(line[: cut.end()]))

    def _said(self, screen: Screen, mode: str, wait: _Wait) -> Said:
        text = screen.text()
        if wait.nudges:
            text = self._without_prompts(text).replace(f"{self._standing.rstrip()}\n", "\n")
        return Said(text.strip("\n"), mode, self._standing, wait.late, truncated=screen.truncated)

    def _left(self, screen: Screen, wait: _Wait, question: str, *, interrupt: bool) -> Said:
        """A question that is not ours: leave it."""
        text = (screen.text() + question).strip("\n")
        if interrupt:
            self.interrupt()
        return Said(text, self.mode, self._standing, wait.late, asked=question.strip(), truncated=screen.truncated)


def _ends_in(pattern: re.Pattern[str], recent: str, last: str) -> bool:
    """Whether a pattern's match reaches into the last line: an older question was answered, or was none."""
    begin = len(recent) - len(last)
    return any(found.end() > begin for found in pattern.finditer(recent))
