"""Command lines as the vendors' references write them, and what a device says of a line that is none of them.

A command is declared in the notation of the references: words, `[ may ]`, `{ one | of }`, `[ any | order ] *`, and
arguments `<name:kind>`. All commands of a view become one table that is walked a word at a time, so that a keyword may
be cut to any prefix that is unique at its place (H3C, "Fundamentals Configuration Guide", Abbreviating commands; Cisco,
"Configuration Fundamentals", Abbreviated commands), and a wrong line is refused at the word where nothing fits:

    [H3C]acl advnced 3000
             ^
     % Unrecognized command found at '^' position.

Decides which command a line is and where it is wrong. Leaves to others: the words of the refusal (each face), and
whether the values make sense together (each command).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

__all__ = ["KINDS", "Call", "Grammar", "Misread", "Word", "words_of"]

Target = TypeVar("Target")

#: What an argument's text must be like.
Kind = Callable[[str], bool]

_WORD: Final = re.compile(r'"((?:\\.|[^"\\])*)"|\S+')
_TOKEN: Final = re.compile(r"<[^>]*>|[][{}|*]|[^\s<>]+")


def _number(low: int, high: int) -> Kind:
    return lambda text: text.isascii() and text.isdigit() and len(text) < 12 and low <= int(text) <= high  # noqa: PLR2004


def _version(version: int) -> Kind:
    def holds(text: str) -> bool:
        try:
            return ipaddress.ip_address(text).version == version and "%" not in text
        except ValueError:
            return False

    return holds


_IPV4: Final = _version(4)

#: The kinds every face has; `nLOW-HIGH` is a number, `text` everything to the end of the line.
KINDS: Final[Mapping[str, Kind]] = {
    "ip": _IPV4,
    "ip6": _version(6),
    "wildcard": lambda text: text == "0" or _IPV4(text),
    "mask": lambda text: _IPV4(text) or _number(0, 32)(text),
    "word": lambda text: 0 < len(text) < 256,  # noqa: PLR2004
    "name": lambda text: re.fullmatch(r"[A-Za-z][^\s?\"]{0,62}", text) is not None,
    "mac": lambda text: re.fullmatch(r"(?:[0-9A-Fa-f]{1,4}[-.]){2}[0-9A-Fa-f]{1,4}", text) is not None,
    "file": lambda text: re.fullmatch(r"(?:[a-z0-9]+:/?)?[\w.-]+", text) is not None,
}


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a line as typed: its text without quotes, and the column at which it begins."""

    text: str
    column: int


def words_of(line: str) -> list[Word]:
    """Cut a line into words; what stands in double quotes is one."""
    return [
        Word(re.sub(r"\\(.)", r"\1", found[1]) if found[1] is not None else found[0], found.start())
        for found in _WORD.finditer(line)
    ]


class Misread(Exception):
    """A line that is no command. `why`: "unrecognized", "incomplete", "ambiguous", "excess" or "wrong"."""

    def __init__(self, why: str, column: int, depth: int = 0) -> None:
        """`column` is where in the line, `depth` how many words were understood before it."""
        super().__init__(why)
        self.why = why
        self.column = column
        self.depth = depth


@dataclass(slots=True)
class Call:
    """A line that was understood: its words with every keyword in full, and the arguments by name."""

    line: str
    words: list[str]
    values: dict[str, str] = field(default_factory=dict)
    columns: dict[str, int] = field(default_factory=dict)

    def __contains__(self, word: str) -> bool:
        """Whether the keyword was typed."""
        return word in self.words

    def get(self, name: str, otherwise: str = "") -> str:
        """The argument called so."""
        return self.values.get(name, otherwise)

    def __getitem__(self, name: str) -> str:
        """The argument called so; KeyError when it was not typed."""
        return self.values[name]


@dataclass(frozen=True, slots=True)
class _Argument:
    """An edge that takes any word of its kind; `command` tells whose it is."""

    name: str
    kind: Kind
    is_text: bool
    target: int
    command: int


@dataclass(slots=True)
class _Node:
    empty: list[int] = field(default_factory=list)
    keywords: list[tuple[str, int]] = field(default_factory=list)
    arguments: list[_Argument] = field(default_factory=list)
    accepts: int = -1


@dataclass(slots=True)
class _State:
    """A set of places the reader may be in at once, worked out when first met."""

    keywords: dict[str, frozenset[int]]
    arguments: tuple[_Argument, ...]
    accepts: int
    resolved: dict[str, tuple[str, frozenset[int]]] = field(default_factory=dict)


class Grammar(Generic[Target]):
    """The commands of one view. Not changed once a line has been read."""

    def __init__(self, kinds: Mapping[str, Kind] = KINDS) -> None:
        """`kinds` are the arguments' kinds by name."""
        self._kinds = kinds
        self._nodes: list[_Node] = [_Node()]
        self._targets: list[Target] = []
        self._states: dict[frozenset[int], _State] = {}
        self._closures: dict[tuple[int, ...], frozenset[int]] = {}

    def add(self, pattern: str, target: Target) -> None:
        """Declare a command. Where two take the same line, the one declared first has it."""
        tokens = _TOKEN.findall(pattern)
        command = len(self._targets)
        self._targets.append(target)
        end, rest = self._sequence(tokens, 0, 0, command)
        if rest != len(tokens):
            raise ValueError(f"pattern {pattern!r} does not end where it should")
        self._nodes[end].accepts = command

    def next_words(self, line: str) -> list[str]:
        """The keywords that could follow what was typed; for the help on `?`. Raises Misread."""
        place = self._start()
        for position, word in enumerate(words_of(line)):
            _, place, _ = self._step(self._state(place), word, position, line)
        return sorted(self._state(place).keywords)

    def read(self, line: str) -> tuple[Target, Call]:
        """Find the command a line is. Cost is linear in its length. Raises Misread."""
        words = words_of(line)
        place = self._start()
        taken: list[tuple[tuple[_Argument, ...], str, int]] = []
        full: list[str] = []
        for position, word in enumerate(words):
            state = self._state(place)
            text, place, arguments = self._step(state, word, position, line)
            full.append(text)
            if arguments:
                taken.append((arguments, text, word.column))
                if arguments[0].is_text:
                    break
        accepts = self._state(place).accepts
        if accepts < 0:
            raise Misread("incomplete", len(line.rstrip()), len(full))
        call = Call(line, full)
        for arguments, text, column in taken:
            for argument in arguments:
                if argument.command == accepts:
                    call.values[argument.name] = text
                    call.columns[argument.name] = column
        return self._targets[accepts], call

    def _step(
        self, state: _State, word: Word, position: int, line: str
    ) -> tuple[str, frozenset[int], tuple[_Argument, ...]]:
        typed = word.text.lower()
        known = state.resolved.get(typed)
        if known is not None:
            return known[0], known[1], ()
        matches = [typed] if typed in state.keywords else [k for k in state.keywords if k.startswith(typed)]
        arguments = tuple(a for a in state.arguments if a.is_text or a.kind(word.text))
        if len(matches) == 1 and not (arguments and matches[0] != typed):
            # an argument that would take the word beats a mere prefix: `acl basic n` of a list named `n`
            target = self._closure(state.keywords[matches[0]])
            state.resolved[typed] = (matches[0], target)
            return matches[0], target, ()
        if arguments:
            if arguments[0].is_text:
                arguments = tuple(a for a in arguments if a.is_text)
                return line[word.column :].rstrip(), self._closure(a.target for a in arguments), arguments
            return word.text, self._closure(a.target for a in arguments), arguments
        if matches:
            raise Misread("ambiguous", word.column, position)
        if state.arguments:
            raise Misread("wrong", word.column, position)
        if not state.keywords:
            raise Misread("excess", word.column, position)
        raise Misread("unrecognized", word.column, position)

    def _start(self) -> frozenset[int]:
        return self._closure((0,))

    def _closure(self, nodes: Iterable[int]) -> frozenset[int]:
        """Every place one is in at once with these, kept for the next time."""
        key = tuple(nodes)
        known = self._closures.get(key)
        if known is None:
            known = self._closures[key] = self._reach(key)
        return known

    def _reach(self, nodes: tuple[int, ...]) -> frozenset[int]:
        found: set[int] = set()
        waiting = list(nodes)
        while waiting:
            node = waiting.pop()
            if node not in found:
                found.add(node)
                waiting += self._nodes[node].empty
        return frozenset(found)

    def _state(self, place: frozenset[int]) -> _State:
        state = self._states.get(place)
        if state is None:
            keywords: dict[str, set[int]] = {}
            arguments: list[_Argument] = []
            accepts = -1
            for number in sorted(place):
                node = self._nodes[number]
                for word, target in node.keywords:
                    keywords.setdefault(word, set()).add(target)
                arguments += node.arguments
                if node.accepts >= 0 and (accepts < 0 or node.accepts < accepts):
                    accepts = node.accepts
            frozen = {word: frozenset(targets) for word, targets in keywords.items()}
            state = self._states[place] = _State(frozen, tuple(arguments), accepts)
        return state

    def _new(self) -> int:
        self._nodes.append(_Node())
        return len(self._nodes) - 1

    def _sequence(self, tokens: Sequence[str], at: int, start: int, command: int) -> tuple[int, int]:
        """Build what stands up to a closing bracket or bar; returns its last place and where reading stopped."""
        here = start
        while at < len(tokens) and tokens[at] not in {"]", "}", "|"}:
            token = tokens[at]
            if token in {"[", "{"}:
                here, at = self._group(tokens, at, here, command)
            elif token.startswith("<"):
                name, _, kind = token[1:-1].partition(":")
                target = self._new()
                self._nodes[here].arguments.append(
                    _Argument(name, self._kind(kind or name), (kind or name) == "text", target, command)
                )
                here, at = target, at + 1
            else:
                target = self._new()
                self._nodes[here].keywords.append((token.lower(), target))
                here, at = target, at + 1
        return here, at

    def _group(self, tokens: Sequence[str], at: int, start: int, command: int) -> tuple[int, int]:
        optional = tokens[at] == "["
        first, end = self._new(), self._new()
        self._nodes[start].empty.append(first)
        while True:
            branch = self._new()
            self._nodes[first].empty.append(branch)
            last, at = self._sequence(tokens, at + 1, branch, command)
            self._nodes[last].empty.append(end)
            if at >= len(tokens):
                raise ValueError("a bracket is not closed")
            if tokens[at] != "|":
                break
        at += 1
        if at < len(tokens) and tokens[at] == "*":
            self._nodes[end].empty.append(first)
            at += 1
        if optional:
            self._nodes[first].empty.append(end)
        return end, at

    def _kind(self, name: str) -> Kind:
        if name == "text":
            return bool
        limits = re.fullmatch(r"n(\d+)-(\d+)", name)
        return _number(int(limits[1]), int(limits[2])) if limits else self._kinds[name]
