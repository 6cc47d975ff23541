"""What a device's language is made of: a `Face`, its views, its commands.

A face holds everything that can be configured on its device, reads lines, answers them, and says what has to be
enforced now. It is the one thing to write for a further vendor; `FACE` of its module names the class.

Leaves to others: the terminal, sessions and roles (`sessions`), stores, timers and faults (`device`), and making the
rules hold (`enforce`).
"""

from __future__ import annotations

import abc
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from remedy.lab.devices.enforce import Wanted
from remedy.lab.devices.grammar import KINDS, Call, Grammar, Kind, Misread
from remedy.lab.devices.terminal import Style

if TYPE_CHECKING:
    from remedy.lab.devices.device import Device
    from remedy.lab.devices.sessions import Login

__all__ = ["ANY_VIEW", "Command", "Face", "Part", "Refusal", "View", "command"]

#: What a command answers: text to show, or something to wait for that gives it (a dialogue).
Answer = str | Awaitable[str | None] | None
Handler = Callable[["Login", Call], Answer]
_Method = TypeVar("_Method", bound=Callable[..., Any])

#: A command of every view.
ANY_VIEW = "*"


class Refusal(Exception):
    """The line was understood and cannot be done: the device's own words, shown as they are.

    Where the reference says which argument is wrong, `argument` names it, and the caret stands there instead.
    """

    def __init__(self, text: str = "", *, argument: str = "") -> None:
        """Either of the two."""
        super().__init__(text)
        self.text = text
        self.argument = argument


@dataclass(frozen=True, slots=True)
class View:
    """Where a session is. `kind` chooses the commands; `label` is the face's for the prompt; `key` says of what."""

    kind: str
    label: str = ""
    key: Any = None


@dataclass(frozen=True, slots=True)
class Command:
    """A declared command: see `grammar` for the pattern. `reads` lets a read-only account use it."""

    pattern: str
    views: tuple[str, ...]
    reads: bool
    handler: Handler


def command(*patterns: str, views: Iterable[str] = (ANY_VIEW,), reads: bool = False) -> Callable[[_Method], _Method]:
    """Declare a method of a `Part` as the handler of these patterns in these kinds of view."""

    def mark(method: _Method) -> _Method:
        declared = getattr(method, "declared", ())
        method.declared = (*declared, *((p, tuple(views), reads) for p in patterns))  # type: ignore[attr-defined]
        return method

    return mark


class Part:
    """One subject of a face (access lists, ports …): its commands, and its own part of the configuration."""

    def __init__(self, face: Face) -> None:
        """Made anew whenever the configuration is loaded: nothing is configured yet."""
        self.face = face
        self.device = face.device

    #: Methods whose commands this device does not have, though a device of the family has.
    without: ClassVar[tuple[str, ...]] = ()

    def commands(self) -> Iterator[Command]:
        """The methods marked with `command`, in the order they are written."""
        names = [name for kind in reversed(type(self).__mro__) for name in vars(kind) if name not in self.without]
        for name in dict.fromkeys(names):
            for pattern, views, reads in getattr(getattr(type(self), name, None), "declared", ()):
                yield Command(pattern, views, reads, getattr(self, name))

    def configured(self) -> list[str]:
        """The lines of the running configuration that are this part's, sections and all."""
        return []

    def inherit(self, old: Part) -> None:
        """Take over what is in no configuration from the part that was here before another one was loaded."""


class Face(abc.ABC):
    """One vendor's device. `parts` are made in that order; so is the running configuration."""

    #: Name on the command line and netmiko's driver that speaks to it.
    name: ClassVar[str]
    driver: ClassVar[str]
    parts_of: ClassVar[tuple[type[Part], ...]]
    kinds: ClassVar[Mapping[str, Kind]] = KINDS
    style: ClassVar[Style]
    #: What separates sections of a configuration file (`#`, `!`); such lines lead back to the first view of them.
    separator: ClassVar[str] = "#"
    #: First words of commands whose output may be filtered with `| include …`.
    filtered: ClassVar[tuple[str, ...]] = ("display", "show")
    #: What the words of such filters begin with: `begin`, `exclude`, `include`, `section`.
    filters: ClassVar[str] = "bei"
    #: Kinds of view whose surroundings' commands may not be typed in them.
    innermost: ClassVar[tuple[str, ...]] = ()
    #: Whether a session stays where it is when a command of an outer view enters none (`[H3C-vlan10]sysname X`).
    stays: ClassVar[bool] = True
    #: Shown to who finds all sessions taken; then the connection ends.
    crowded: ClassVar[str] = ""
    startup: ClassVar[str] = "startup.cfg"

    def __init__(self, device: Device) -> None:
        """Nothing is configured yet."""
        self.device = device
        self.parts: tuple[Part, ...] = ()
        self._grammars: dict[str, Grammar[Command]] = {}
        self.forget()

    def forget(self, *, rebooted: bool = True) -> None:
        """Be as unpacked: nothing configured. Without a reboot, what is in no configuration stays."""
        old = self.parts
        self.parts = tuple(kind(self) for kind in self.parts_of)
        if not rebooted:
            for before, part in zip(old, self.parts, strict=True):
                part.inherit(before)
        self._grammars = {}
        commands = [c for part in self.parts for c in part.commands()]
        for view in {v for c in commands for v in c.views} - {ANY_VIEW}:
            grammar: Grammar[Command] = Grammar(self.kinds)
            for declared in commands:
                if view in declared.views or ANY_VIEW in declared.views:
                    grammar.add(declared.pattern, declared)
            self._grammars[view] = grammar

    def part(self, kind: type[_Part]) -> _Part:
        """The part of that class."""
        for part in self.parts:
            if isinstance(part, kind):
                return part
        raise LookupError(kind.__name__)

    def grammar(self, view: View) -> Grammar[Command]:
        """The commands of a view."""
        return self._grammars[view.kind]

    def read(self, login: Login, line: str) -> tuple[Command, Call, int]:
        """Find the command, in the view the session is in or in one around it, up to the `innermost` kinds.

        Also returns how many views deep it was found. Raises Misread.
        """
        first: Misread | None = None
        for depth in range(len(login.views), 0, -1):
            view = login.views[depth - 1]
            try:
                found = self._grammars[view.kind].read(line)
            except Misread as misread:
                if first is None or misread.depth > first.depth:
                    first = misread
            else:
                return *found, depth
            if view.kind in self.innermost:
                break
        raise first or Misread("unrecognized", 0)

    def running(self) -> str:
        """The running configuration as its text."""
        lines: list[str] = []
        for part in self.parts:
            lines += part.configured()
        return "".join(f"{line}\n" for line in lines)

    def filter(self, text: str, how: str, pattern: str) -> str:
        """What `| begin`, `| include`, `| exclude`, `| section` let through. A bad pattern is taken as plain text.

        A section is a line at the margin and those below it that are not; all of it when its first line matches.
        """
        try:
            wanted = re.compile(pattern)
        except re.error:
            wanted = re.compile(re.escape(pattern))
        lines = text.splitlines(keepends=True)
        if how.startswith("b"):
            first = next((n for n, line in enumerate(lines) if wanted.search(line)), len(lines))
            return "".join(lines[first:])
        if how.startswith("s"):
            inside = [False]
            for line in lines:
                inside.append(inside[-1] if line[0].isspace() else wanted.search(line) is not None)
            return "".join(line for line, shown in zip(lines, inside[1:], strict=True) if shown)
        return "".join(line for line in lines if bool(wanted.search(line)) != how.startswith("e"))

    def delay(self) -> float:
        """Seconds until what was changed acts; the vendor's, when nothing goes wrong."""
        return 0.0

    @abc.abstractmethod
    def first(self, role: str) -> list[View]:
        """The views of a fresh login, outermost first."""

    @abc.abstractmethod
    def loading(self) -> list[View]:
        """The views in which the lines of a configuration file are read."""

    @abc.abstractmethod
    def prompt(self, login: Login) -> str:
        """The prompt of the view the session is in."""

    @abc.abstractmethod
    def interrupted(self, login: Login, key: str) -> str:
        """Do what Ctrl-C or Ctrl-Z ("c", "z") does at a prompt; what it shows."""

    @abc.abstractmethod
    def refuse(self, misread: Misread, prompt: str, line: str) -> str:
        """What is shown for a line that is no command; `prompt` is what stood before the line."""

    @abc.abstractmethod
    def denied(self) -> str:
        """What a read-only account is told."""

    @abc.abstractmethod
    def locked(self, by: str) -> str:
        """What is shown for a configuration command while somebody else has the configuration to himself."""

    @abc.abstractmethod
    def banner(self) -> str:
        """Shown after login."""

    @abc.abstractmethod
    def log_line(self, module: str, text: str) -> str:
        """A log line as it lands on a terminal, without line end."""

    @abc.abstractmethod
    def wanted(self) -> Wanted:
        """What has to hold now."""


_Part = TypeVar("_Part", bound=Part)
