"""Writing and editing numbered access lists: which lines, in which order, under which numbers.

Decides the fewest lines that make one list of another: equal rules are not touched, what is new takes a free number
between its neighbours. Never renumbers (`ip access-list resequence` would touch other people's lines): where no number
is free, it refuses and says which line to paste. Leaves to others: the rule's words (`ios`) and reading (`ios_lists`).

Remarks come in three ways. NX-OS gives each a line number of its own. An IOS-XE that shows numbers in its configuration
holds them at the number of the rule that they stand before (`10 remark web`, `10 permit …`), and they go with it; one
that stands at a number of its own is a line like others. An older release shows no numbers, and what it does with a
remark in the middle of a list is not written down, so that it is given comments at the list's end only.

Source: "Cisco IOS Security Configuration Guide: Access Control Lists", chapter "IP Access List Entry Sequence
Numbering"; `ip access-list resequence`; for remarks at a rule's number the commands of Ansible's `cisco.ios.ios_acls`.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from remedy.core.errors import Refused, UsageError
from remedy.devices import Lines
from remedy.devices.acl import Acl, Rule
from remedy.devices.dialects.ios import Words, atomic, plain, rule_words
from remedy.devices.dialects.ios_diff import hunks, keys
from remedy.devices.dialects.ios_lists import joined

__all__ = ["ListSyntax", "NumberedFilters", "remarks", "typed"]

_STEP: Final = 10
_REMARK: Final = 100
_LEADING: Final = re.compile(r"(\d{1,10}) ")
_PRINTED: Final = re.compile(r"[ !->@-~]+\Z")


@dataclass(frozen=True, slots=True)
class ListSyntax:
    """What differs between IOS and NX-OS.

    `kinds`: a header names standard or extended. `sequence`: IPv6 lines begin with `sequence N`. `numbered`: remarks
    always have numbers.
    """

    words: Words
    kinds: bool = True
    sequence: bool = True
    numbered: bool = False

    def header(self, name: str, family: int, kind: str = "") -> str:
        """The line that opens a list."""
        plain(name, "a list's name")
        if family == 6:  # noqa: PLR2004
            return f"ipv6 access-list {name}"
        kind = "standard" if kind == "standard" else "extended"  # other vendors' words mean the latter
        return f"ip access-list {kind} {name}" if self.kinds else f"ip access-list {name}"

    def entry(self, number: int | None, text: str, family: int) -> str:
        """A line within a list."""
        return text if number is None else f"{self._number(number, family)} {text}"

    def drop(self, number: int, family: int) -> str:
        """The line that takes the numbered one out."""
        return f"no {self._number(number, family)}"

    def _number(self, number: int, family: int) -> str:
        return f"sequence {number}" if self.sequence and family == 6 else str(number)  # noqa: PLR2004


@dataclass(frozen=True, slots=True)
class _Item:
    """A rule's or remark's text with its number, if it has one, and the remarks that stand at its number."""

    text: str
    number: int | None
    rule: Rule | None
    tied: tuple[str, ...] = ()


def typed(text: str) -> str:
    """A remark's line, if it can be typed. Raises UsageError."""
    comment = text.removeprefix("remark ")
    if not _PRINTED.match(comment) or comment != comment.strip() or len(comment) > _REMARK:
        raise UsageError(
            f"the comment {comment[:40]!r} cannot be typed as a remark",
            hint=f"at most {_REMARK} printable ASCII characters without `?`",
        )
    return text


def remarks(comment: str) -> tuple[str, ...]:
    """A comment as remarks, one for each of its lines."""
    return tuple(f"remark {line}" for line in comment.split("\n")) if comment else ()


@dataclass(frozen=True, slots=True)
class NumberedFilters:
    """Access lists of IOS and NX-OS as text: `remedy.devices.Filters`."""

    syntax: ListSyntax
    ask: Lines

    def ask_lists(self) -> Lines:
        """What to type to see all access lists, with numbers and with remarks."""
        return self.ask

    def read_lists(self, texts: Sequence[str]) -> tuple[Acl, ...]:
        """Read what those lines printed, and any saved configuration. Raises AnswerUnusable for a refusal."""
        return joined(texts, self.syntax.words)

    def write_list(self, acl: Acl) -> Lines:
        """What to type to make this list from nothing. The device numbers what has no number."""
        items = self._items(acl, tied=_ties(acl))
        remembered = any(item.number is not None for item in items if item.rule is None)
        bare = not remembered and any(item.rule is None for item in items) and self._numbers_remarks(acl)
        lines = [self.syntax.header(acl.name, acl.family, acl.kind)]
        lines += [value for key, value in acl.extra if key == "option" and value.startswith(("statistics ", "fragm"))]
        for item in items:
            lines += self._put(None if bare else item.number, item, acl.family)
        return tuple(lines)

    def _put(self, number: int | None, item: _Item, family: int) -> Lines:
        """The lines of one item, remarks that stand at its number first."""
        texts = (*map(typed, item.tied), item.text if item.rule else typed(item.text))
        return tuple(self.syntax.entry(number, text, family) for text in texts)

    def edit_list(self, before: Acl, after: Acl) -> Lines:
        """What to type to make the one of the other. Raises Refused where no number is free, UsageError likewise.

        New lines come first, so that nothing that both lists say is undone in between; a line that moves is taken
        out right before it is put in again, since a list holds no line twice.
        """
        if (before.name, before.family) != (after.name, after.family):
            raise UsageError(f"{before.name} and {after.name} are not one list", hint="write the new one, apply it")
        if before.kind and after.kind and before.kind != after.kind:
            raise UsageError(f"{before.name} is {before.kind}, not {after.kind}", hint="give the new list a new name")
        tied = _ties(before) or _ties(after)
        old, new = self._items(before, tied=tied), self._items(after, tied=tied)
        if not old:
            return self.write_list(replace(after, kind=before.kind)) if new else ()
        numbered = self._numbers_remarks(before)
        if not numbered:
            _only_tail_comments(before, after, self.syntax.words)
        was = [item for item in old if item.rule or (numbered and item.number)]
        goal = [item for item in new if item.rule or numbered]
        if any(item.number is None for item in was):
            raise UsageError(f"the numbers of {before.name}'s lines are not known", hint="read it with `show`")
        # a list that was read before is made again with its numbers; else any number will do
        exact = all(item.number is not None for item in goal)
        doomed: dict[int, _Item] = {}
        fresh: list[tuple[int, _Item]] = []
        edges = [0, *(i.number or 0 for i in was), 0]
        foreign = _foreign(before)
        for low, high, first, last in hunks(_keys(was, exact=exact), _keys(goal, exact=exact)):
            gone = {item.number or 0: item for item in was[low:high]}
            doomed |= gone
            if first == last:
                continue
            floor, ceiling = edges[low], edges[high + 1] if high < len(was) else 0
            numbers = _numbers(goal[first:last], floor, ceiling, foreign, set(gone))
            if numbers is None:
                raise Refused(
                    f"no line number is free between {floor} and {ceiling} in {before.name}",
                    hint=self._resequence(before),
                )
            fresh += zip(numbers, goal[first:last], strict=True)
        return self._lines(before, doomed, fresh, loose=not numbered)

    def _lines(self, acl: Acl, doomed: dict[int, _Item], fresh: list[tuple[int, _Item]], *, loose: bool) -> Lines:
        lines: list[str] = []
        texts = {item.text: number for number, item in doomed.items()}
        comments = {item.text: item.rule.comment for _, item in fresh if item.rule} if loose else {}
        for number, item in fresh:
            for clash in (number if number in doomed else None, texts.get(item.text)):
                if clash is not None and clash in doomed:
                    lines.append(self.syntax.drop(clash, acl.family))
                    lines += _unremark(doomed.pop(clash), loose=loose)
            lines += [typed(line) for line in remarks(comments.get(item.text, ""))]
            lines += self._put(number, item, acl.family)
        for number, item in doomed.items():
            lines.append(self.syntax.drop(number, acl.family))
            lines += _unremark(item, loose=loose)
        return (self.syntax.header(acl.name, acl.family, acl.kind), *lines) if lines else ()

    def _items(self, acl: Acl, *, tied: bool) -> list[_Item]:
        """The list's lines in order, remarks among them, except those that stand at a rule's number."""
        standard = acl.kind == "standard"
        numbers = _Remarks(acl)
        out: list[_Item] = []
        for rule in acl.rules:
            for one in atomic(rule, self.syntax.words):
                if one.family != acl.family:
                    raise UsageError(f"an IPv{one.family} rule in an IPv{acl.family} list", hint="two lists")
                try:
                    text = rule_words(one, self.syntax.words, standard=standard)
                except UsageError as error:
                    raise UsageError(f"{error.message}: rule {_named(one)}", hint=error.hint) from error
                held: list[str] = []
                for number, line in numbers.before(one):
                    if tied and (number is None or number == one.number):
                        held.append(line)
                    else:
                        out.append(_Item(line, number, None))
                out.append(_Item(text, one.number, one, tuple(held)))
        out += [_Item(line, number, None) for number, line in numbers.behind()]
        for key, text in acl.extra:
            out += [_Item(line, None, None) for line in remarks(text)] if key == "remark" else []
        return out

    def _numbers_remarks(self, acl: Acl) -> bool:
        return self.syntax.numbered or any(
            key == "numbered" or key.startswith(("remark ", "behind ")) for key, _ in acl.extra
        )

    def _resequence(self, acl: Acl) -> str:
        if acl.family == 6:  # noqa: PLR2004
            return f"make room in the list {acl.name}: its lines need numbers further apart"
        kind = "ip access-list resequence" if self.syntax.kinds else "resequence ip access-list"
        return f"this renumbers the whole list, so paste it yourself: {kind} {acl.name} 10 10"


class _Remarks:
    """The numbers of a list's remarks, handed out rule by rule."""

    def __init__(self, acl: Acl) -> None:
        """As the list was read: ("remark 10", text), and ("behind 30", text) behind the last rule."""
        self._all = [(int(key.split()[1]), f"remark {text}") for key, text in acl.extra if key.startswith("remark ")]
        self._behind = [(int(k.split()[1]), f"remark {text}") for k, text in acl.extra if k.startswith("behind ")]
        self._at = 0

    def before(self, rule: Rule) -> list[tuple[int | None, str]]:
        """The rule's remarks with their numbers: the last that stand before it, None for what is new."""
        texts = remarks(rule.comment)
        begin = self._at
        while rule.number is not None and self._at < len(self._all) and self._all[self._at][0] <= rule.number:
            self._at += 1
        near = self._all[begin : self._at][-len(texts) :] if texts else []
        same = tuple(text for _, text in near) == texts
        return list(near) if same else [(None, text) for text in texts]

    def behind(self) -> list[tuple[int, str]]:
        """The remarks behind the last rule."""
        return self._behind


def _keys(items: Sequence[_Item], *, exact: bool) -> list[Hashable]:
    said = [(item.text, item.tied, item.number if exact else None) for item in items]
    return keys(said, [item.rule is None for item in items])


def _ties(acl: Acl) -> bool:
    """Whether the device holds remarks at the numbers of rules."""
    numbers = {rule.number for rule in acl.rules}
    return any(key.startswith("remark ") and int(key.split()[1]) in numbers for key, _ in acl.extra)


def _named(rule: Rule) -> str:
    return str(rule.number) if rule.number is not None else repr(rule.comment[:40]) if rule.comment else rule.action


def _unremark(item: _Item, *, loose: bool) -> Lines:
    """Where remarks have no numbers, they go with the rule that they stood before."""
    comment = item.rule.comment if item.rule and loose else ""
    return tuple(f"no {line}" for line in map(typed, remarks(comment)))


def _only_tail_comments(before: Acl, after: Acl, words: Words) -> None:
    """Raise UsageError where a remark would have to be placed within a list that can only append them."""
    if not before.rules:
        return
    old = {replace(one, number=None, comment=""): one.comment for rule in before.rules for one in atomic(rule, words)}
    goal = [one for rule in after.rules for one in atomic(rule, words)]
    last = max((i for i, one in enumerate(goal) if replace(one, number=None, comment="") in old), default=-1)
    for at, one in enumerate(goal):
        known = old.get(replace(one, number=None, comment=""), "")
        if one.comment != known and at < last + 1:
            raise UsageError(
                f"this release puts a remark at the end of {before.name} only, not before rule {_named(one)}",
                hint="push the rule without its comment, or write the list under a new name",
            )


def _foreign(acl: Acl) -> set[int]:
    """Numbers of lines that we do not understand: taken, whatever they say."""
    return {int(found[1]) for line in acl.unknown if (found := _LEADING.match(line.text))}


def _numbers(items: Sequence[_Item], floor: int, ceiling: int, foreign: set[int], gone: set[int]) -> list[int] | None:
    """Ascending free numbers between the neighbours (ceiling 0: no end), the items' own where they fit."""
    own = [item.number for item in items]
    if all(n is not None and floor < n and (n < ceiling or not ceiling) and n not in foreign for n in own):
        numbers = [n for n in own if n is not None]
        if all(a < b for a, b in pairwise(numbers)):
            return numbers
    if not ceiling:
        start = max(floor, *foreign, *gone, 0) if foreign or gone else floor
        start -= start % _STEP
        return [start + _STEP * (i + 1) for i in range(len(items))]
    for taken in (foreign | gone, foreign):
        free = [n for n in range(floor + 1, ceiling) if n not in taken]
        if len(free) >= len(items):
            return [free[(2 * i + 1) * len(free) // (2 * len(items))] for i in range(len(items))]
    return None
