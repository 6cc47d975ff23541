r"""The three commands of a device: what is typed for each, and what comes back.

Decides what `("cli", LINE, …)`, `("configure",)`, `("configure", "through")` and `("exec",)` mean, which lines may be
typed to answer a question, and what of a device's words is a refusal. Leaves to others: typing one line (`console`),
and what to type (`remedy.devices`).

    ("cli", "display acl all")                                    out: ["Advanced IPv4 ACL 3000, 2 rules, …"]
    ("configure",), stdin "acl advanced 3000\nrule 5 deny ip"     out: {"of":2,"refused":[],"said":[],"sent":2}
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from remedy.core.canon import Json, canonical
from remedy.core.errors import ConnectFailed, ConnectionLost, Refused, TimedOut, UsageError
from remedy.core.text import printable
from remedy.core.values import Command, Reply, Target
from remedy.devices import Vendor
from remedy.transports.limits import Limits

if TYPE_CHECKING:
    from remedy.transports.devices.console import Console, Said
    from remedy.transports.devices.tape import Tape, Transcript
    from remedy.transports.devices.words import Words

__all__ = ["DeviceConnection", "Platform", "is_reading", "short"]

_SAID: Final = 500
_MOST_SAID: Final = 2000
_LOCKED: Final = re.compile(r"lock|busy|in use|another (?:user|session|process)|exclusive", re.IGNORECASE)
_WRITING: Final = ("redirect", "tee", "append", "save", "file")
_FILTERS: Final = frozenset({"begin", "include", "exclude", "section", "count", "by-linenum", "no-more", "grep"})


@dataclass(frozen=True, slots=True)
class Platform:
    """What a target is when it is a device: whose, and in which encoding its terminal speaks."""

    vendor: Vendor
    encoding: str = "utf-8"


@dataclass(slots=True)
class _Progress:
    """How far a batch of lines has come."""

    of: int
    sent: int = 0
    answered: int = 0

    def __str__(self) -> str:
        return f"{self.sent} of {self.of} lines had been sent, {self.answered} answered"


class DeviceConnection:
    """One session on a device's command line. Implements core.ports.Connection; one command at a time."""

    def __init__(
        self,
        target: Target,
        platform: Platform,
        console: Console,
        *,
        words: Words,
        tape: Tape,
        host_key: str,
        greeting: str,
        limits: Limits,
        on_close: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Use `DeviceConnector` to make one."""
        self.target = target
        #: The login user, as the target knows it.
        self.user = target.user
        #: Address and port dialled; behind a jump host, as the jump host sees them.
        self.peer = f"{target.address} port {target.port}"
        #: SHA-256 fingerprint of the host key that was accepted.
        self.host_key = host_key
        #: What the device said before its first prompt.
        self.greeting = greeting
        self._platform = platform
        self._console = console
        self.words = words
        self._tape = tape
        self._limits = limits
        self._clock = clock
        self._on_close = on_close
        self._lock = threading.Lock()
        self._gone = False
        terminal = platform.vendor.terminal
        self._refusals = tuple(re.compile(text, re.MULTILINE) for text in terminal.refusals)
        self._secrets = tuple(re.compile(text, re.MULTILINE) for text in platform.vendor.secrets)
        self._answers = tuple((re.compile(pattern), text) for pattern, text in terminal.answers)

    @property
    def transcript(self) -> Transcript:
        """What passed, both ways, secrets masked."""
        return self._tape.transcript

    def run(self, commands: Sequence[Command]) -> tuple[Reply, ...]:
        """Run the commands in order, each whatever the one before returned.

        Raises Refused for a line that would do more than show, before any line is typed; UsageError for what cannot
        be typed; ConnectFailed when the session was gone before anything was typed, ConnectionLost and TimedOut later,
        which say how far it came.
        """
        for command in commands:
            self._check(command)
        with self._lock:
            if self._gone or self._tape.ended:
                self._gone = True
                raise ConnectFailed("the session is gone; nothing was typed", where=self.target.name)
            try:
                return tuple(self._one(command) for command in commands)
            except (ConnectionLost, TimedOut):
                self._gone = True
                raise

    def _check(self, command: Command) -> None:
        """Refuse what cannot or must not be typed, while nothing has been."""
        kind = command.argv[0] if command.argv else ""
        if kind == "cli":
            lines = command.argv[1:]
            for line in lines:
                self._check_reading(line)
        elif command.argv in {("configure",), ("configure", "through"), ("exec",)}:
            lines = tuple(command.stdin.splitlines())
        else:
            said = printable(" ".join(command.argv), 80, one_line=True)
            raise UsageError(
                f"a device takes the commands cli, configure and exec, not {said!r}",
                where=self.target.name,
                hint="it is no host: `remedy block`, `acl` and `device` are for it",
            )
        for line in lines:
            bad = "?" if "?" in line else ""
            if not line.isprintable():
                bad = next(one for one in line if not one.isprintable())
            if bad or not self._console.sayable(line):
                why = (
                    "asks a device for help instead of being typed"
                    if bad == "?"
                    else f"cannot be typed in {self._platform.encoding}"
                    if not bad
                    else "is no text"
                )
                raise UsageError(
                    f"the line {printable(line, 120, one_line=True)!r} cannot be typed: {bad or 'a character'!r} {why}",
                    where=self.target.name,
                )

    def _check_reading(self, line: str) -> None:
        reading = self._platform.vendor.terminal.reading
        if not is_reading(line, reading):
            raise Refused(
                f"{printable(line, 80, one_line=True)!r} is no line that only shows",
                where=self.target.name,
                hint=f"such lines begin with {', '.join(reading)} and write to no file; nothing was typed",
            )

    def _one(self, command: Command) -> Reply:
        end = self._clock() + command.seconds
        if command.argv[0] == "cli":
            return self._show(command.argv[1:], end)
        return self._batch(command, end)

    # -- cli -----------------------------------------------------------------------------------------------------

    def _show(self, lines: Sequence[str], end: float) -> Reply:
        """Type lines that only show; their texts, what came late put where it belongs."""
        progress = _Progress(len(lines))
        texts: list[str] = []
        truncated, prompt = False, ""
        for line in lines:
            said = self._type(line, progress, end, answers=False)
            _append(texts, prompt, said.late)
            texts.append(said.text)
            prompt = said.prompt
            truncated = truncated or said.truncated
        # A line without effect: its echo proves that the last answer was whole.
        if texts and (quiet := self._platform.vendor.terminal.quiet[:1]):
            _append(texts, prompt, self._type(quiet[0], progress, end, answers=False, counts=False).late)
        return Reply(0, canonical([*texts]), truncated=truncated)

    # -- configure and exec --------------------------------------------------------------------------------------

    def _batch(self, command: Command, end: float) -> Reply:
        """Type the lines of a command in their mode, one after the other's prompt, and come back to exec mode."""
        configure = command.argv[0] == "configure"
        lines = [(number, line) for number, line in enumerate(command.stdin.splitlines(), 1) if line.strip()]
        progress = _Progress(len(lines))
        tally = _Tally(self._refusals, self._secrets)
        if configure:
            entered = self._type(self.words.enter, progress, end, answers=False, counts=False)
            if self._console.mode != "configure":
                return self._not_entered(entered, progress)
        silence = self._limits.idle if configure else float(command.seconds)
        try:
            for number, line in lines:
                tally.take(number, line, self._type(line, progress, end, silence=silence))
                if tally.refused and "through" not in command.argv:
                    break
            if self._console.mode == "configure":
                tally.take(0, "", self._leave(progress, end))
        except (ConnectionLost, TimedOut) as error:
            raise type(error)(f"{error.message}; {progress}", where=error.where, hint=error.hint) from error
        return tally.reply(progress, through="through" in command.argv)

    def _leave(self, progress: _Progress, end: float) -> Said:
        """Back to exec mode, from whatever view. Raises TimedOut when the device does not go."""
        said = self._type(self.words.leave, progress, end, counts=False)
        if self._console.mode != "exec":
            raise TimedOut(
                f"the device does not leave configuration mode: {short(said.text)}",
                where=self.target.name,
                hint="log in by hand; the session is closed",
            )
        return said

    def _not_entered(self, said: Said, progress: _Progress) -> Reply:
        words = short(said.text) or "nothing"
        why = (
            "another administrator holds the configuration; see who with `display users` or `show users`"
            if _LOCKED.search(words)
            else "the account may only read, or the enable or super password is missing"
        )
        tally = _Tally(self._refusals, self._secrets)
        tally.refused.append({"line": 0, "typed": self.words.enter, "said": f"{words} ({why})"})
        return tally.reply(progress, through=False)

    def _type(
        self,
        line: str,
        progress: _Progress,
        end: float,
        *,
        answers: bool = True,
        counts: bool = True,
        silence: float = 0.0,
    ) -> Said:
        """Type one line and wait for the prompt; the answer to it counts only when it has come."""
        progress.sent += counts
        said = self._console.type(
            line,
            end=end,
            silence=silence or self._limits.idle,
            answers=self._answers if answers else (),
        )
        progress.answered += counts
        return said

    def close(self) -> None:
        """Close; never raises, may be called twice. The transcript stays readable."""
        self._gone = True
        on_close, self._on_close = self._on_close, _nothing
        with contextlib.suppress(Exception):
            self._tape.close()
        with contextlib.suppress(Exception):
            on_close()


class _Tally:
    """What the device said to the lines of a batch: refusals, and other words."""

    def __init__(self, refusals: Sequence[re.Pattern[str]], secrets: Sequence[re.Pattern[str]]) -> None:
        self._refusals = refusals
        self._secrets = secrets
        self._last = (0, "")
        self.refused: list[dict[str, Json]] = []
        self.said: list[dict[str, Json]] = []

    def take(self, number: int, line: str, said: Said) -> None:
        """What came of a line; with number 0, of leaving, which is nobody's line."""
        if said.late:
            self._note(*self._last, said.late, asked="")
        if number:
            self._last = (number, line)
            self._note(number, line, said.text, asked=said.asked)

    def _note(self, number: int, line: str, text: str, *, asked: str) -> None:
        if not text.strip():
            return
        refused = asked or any(pattern.search(text) for pattern in self._refusals)
        kept = self.refused if refused else self.said
        if len(kept) < _MOST_SAID:
            kept.append({"line": number, "typed": self._masked(line), "said": short(self._masked(text))})

    def _masked(self, text: str) -> str:
        """Text without the secrets that a configuration has in such lines: this goes into messages and the record."""
        for pattern in self._secrets:
            for found in reversed(list(pattern.finditer(text))):
                if found[1] is not None:
                    text = f"{text[: found.start(1)]}<secret>{text[found.end(1) :]}"
        return text

    def reply(self, progress: _Progress, *, through: bool) -> Reply:
        """Status 1 after a refusal that stopped the batch, with line and words in `err`."""
        out: dict[str, Json] = {
            "sent": progress.sent,
            "of": progress.of,
            "refused": [*self.refused],
            "said": [*self.said],
        }
        if not self.refused or through:
            return Reply(0, canonical(out))
        first = self.refused[0]
        return Reply(1, canonical(out), f"line {first['line']} ({first['typed']}): {first['said']}".encode())


def is_reading(line: str, reading: Sequence[str]) -> bool:
    """Whether a line only shows: its first word is one of these, and its output goes to no file.

    `|` opens one filter; those after it stand in a regular expression, unless a device takes them for a file's.
    """
    shown, *pipes = [part.split() for part in line.split("|")]
    return (
        shown[:1] != []
        and shown[0] in reading
        and ">" not in line
        and all(part[:1] and part[0] in _FILTERS for part in pipes[:1])
        and not any(word.startswith(part[0].lower()) for part in pipes[1:] if part for word in _WRITING)
    )


def _nothing() -> None:
    """Close nothing."""


def _append(texts: list[str], prompt: str, late: str) -> None:
    """What came after the prompt that ended a text, and was part of it: so that prompt was text, too."""
    if late and texts:
        texts[-1] = f"{texts[-1]}\n{prompt}{late}".removeprefix("\n")


def short(text: str) -> str:
    """A device's words on one line, short enough for a message; the caret under a word means nothing there."""
    lines = (line.strip() for line in text.split("\n") if line.strip(" ^\t"))
    return printable(" ".join(lines), _SAID, one_line=True)
