"""Access lists of the ASA, where every line names its list and stands in order: read, written, edited.

Decides which lines make a list and where an edit puts a new one (`line N`, counted from 1, remarks included). Leaves to
others: a rule's words (`ios`), and remedy's own drop rule (`cisco_asa`).

    access-list outside_in remark the shop
    access-list outside_in extended permit tcp any host 198.51.100.10 eq https log
    access-list outside_in; 2 elements; name hash: 0x178be4f2
    access-list outside_in line 2 extended permit tcp any object-group shop eq https (hitcnt=3) 0xb8411547
      access-list outside_in line 2 extended permit tcp any host 198.51.100.10 eq https (hitcnt=3) 0xb86c056b

The indented lines are what the device makes of the line above them, and no rules of their own. One list holds IPv4 and
IPv6 (9.0 and later): `any` is both, `any4` and `any6` one of them.

Source: "Cisco ASA Series Command Reference", `access-list extended`, `access-list remark`, `access-list standard`,
`show access-list`; "Cisco ASA Series Firewall CLI Configuration Guide", chapter "Access Control Lists".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from remedy.core.errors import UsageError
from remedy.devices import Lines
from remedy.devices.acl import Acl, Line, Rule
from remedy.devices.dialects.ios import Words, atomic, parse_rule, plain, rule_words
from remedy.devices.dialects.ios_diff import hunks, keys
from remedy.devices.dialects.ios_edit import remarks, typed
from remedy.devices.dialects.ios_lists import hits_of, lines_of, refused

__all__ = ["WORDS", "AsaFilters", "AsaLine", "asa_lines"]

WORDS: Final = Words("Cisco ASA", "mask", unified=True)
_LINE: Final = re.compile(
    r"^access-list (?P<name>\S+) (?:line \d+ )?(?P<kind>extended|standard|remark|ethertype|webtype)(?P<text> .*)?$"
)
_HEADER: Final = re.compile(r"^access-list (?P<name>[^\s;]+); \d+ elements?;.*$")
_SETTING: Final = re.compile(r"^access-list (?:cached ACL log flows|alert-interval|deny-flow-max|mode)\b.*$")
_PLACE: Final = re.compile(r"(\d{1,10}) (.*)\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class AsaLine:
    """One line of a list: `kind` is extended, standard, remark, … or empty for what is no line of a list."""

    name: str
    kind: str
    text: str
    hits: int = -1

    @property
    def typed(self) -> str:
        """It as in the configuration, without `access-list NAME`."""
        return f"{self.kind} {self.text}".strip()


def asa_lines(texts: Sequence[str]) -> dict[str, list[AsaLine]]:
    """Every list's lines in order. Raises AnswerUnusable for a refusal."""
    refused(texts)
    out: dict[str, list[AsaLine]] = {}
    at = ""
    for line in (line for text in texts for line in lines_of(text)):
        if not line.strip() or _SETTING.match(line):
            continue
        if header := _HEADER.match(line):
            at = header["name"]
            out.setdefault(at, [])
        elif found := _LINE.match(line):
            at = found["name"]
            said = (found["text"] or "").strip()
            text, hits, _ = (said, -1, None) if found["kind"] == "remark" else hits_of(said)
            out.setdefault(at, []).append(AsaLine(at, found["kind"], text, hits))
        elif line.startswith(" ") and line.strip().startswith("access-list "):
            continue  # what the device made of the line above
        elif at:
            out[at].append(AsaLine(at, "", line.strip()))
    return out


def _read(name: str, lines: Sequence[AsaLine]) -> Acl:
    rules: list[Rule] = []
    unknown: list[Line] = []
    waiting: list[tuple[int, AsaLine]] = []
    kind = next((line.kind for line in lines if line.kind not in ("", "remark")), "")
    place = 0
    for line in lines:
        if not line.kind:
            unknown.append(Line(line.text))
            continue
        place += 1
        if line.kind == "remark" and line.text:
            waiting.append((place, line))
            continue
        ours = line.kind in ("extended", "standard") and line.kind == kind
        rule = parse_rule(line.text, 0, WORDS, standard=kind == "standard") if ours else None
        if rule is None:
            unknown += [Line(f"{number} {one.typed}") for number, one in (*waiting, (place, line))]
        else:
            comment = "\n".join(one.text for _, one in waiting)
            rules.append(replace(rule, number=place, comment=comment))
        waiting = []
    family = 6 if rules and all(rule.family == 6 for rule in rules) else 4  # noqa: PLR2004
    extra = tuple(("remark", one.text) for _, one in waiting)
    return Acl(name, family, kind, tuple(rules), tuple(unknown), default="deny", extra=extra)


@dataclass(slots=True, eq=False)
class _Item:
    """A line of a list that is being edited; `ours` says that we understand it."""

    text: str
    ours: bool = True

    @property
    def is_remark(self) -> bool:
        """Whether it decides nothing."""
        return self.text.startswith("remark")


class AsaFilters:
    """Access lists of the ASA as text: `remedy.devices.Filters`. A rule's number is its place in the list."""

    def ask_lists(self) -> Lines:
        """What to type to see all access lists, remarks among them."""
        return ("show running-config access-list",)

    def read_lists(self, texts: Sequence[str]) -> tuple[Acl, ...]:
        """Read what that line printed, `show access-list`'s output, and any saved configuration."""
        return tuple(_read(name, lines) for name, lines in asa_lines(texts).items())

    def write_list(self, acl: Acl) -> Lines:
        """What to type to make this list from nothing."""
        name = plain(acl.name, "a list's name")
        return tuple(f"access-list {name} {_checked(item.text)}" for item in _goal(acl, _kind(acl)))

    def edit_list(self, before: Acl, after: Acl) -> Lines:
        """What to type to make the one of the other. Lines that are not understood stay where they are.

        New lines come first, so that nothing that both lists say is undone in between; a line that moves is taken
        out right before. Raises UsageError where no line would be left: the device deletes such a list, and with it
        its place at the interface.
        """
        return _edited(before, _present(before), after)

    def settle(self, before: Acl, after: Acl, *, back: bool) -> Lines:
        """What to type to end a change from the one to the other, or to take it back, however far either has come.

        What the change leaves alone gives every other line its place; all else is taken out, and then put in at its
        number from the top down: for that moment it does not act. Lines are refused, about what is gone already. Raises
        UsageError as `edit_list`.
        """
        work = _present(before)
        was = list(work)
        _edited(before, work, after)
        goal = was if back else work
        name = plain(before.name, "a list's name")
        both, strays = {*was} & {*work}, {item.text for item in {*was} ^ {*work}}
        # A remark has no other name than its text, and the same one may stand twice.
        kept = {item for item in both if not (item.is_remark and item.text in strays)}
        if kept:
            lines = []
        else:  # one line is there at any time, or the device deletes the list
            kept = {next(item for item in goal if not item.is_remark)}
            lines = [f"access-list {name} line 1 {item.text}" for item in kept]
        texts = {item.text for item in kept}
        others = [item for side in (was, work) for item in side if item not in kept]
        doomed = dict.fromkeys(item.text for item in others if not item.is_remark and item.text not in texts)
        remarks_of = Counter(item.text for item in others if item.is_remark)
        lines += [f"no access-list {name} {_checked(text)}" for text in (*remarks_of.elements(), *doomed)]
        new = [(place, item) for place, item in enumerate(goal, 1) if item not in kept]
        return (*lines, *(f"access-list {name} line {place} {_checked(item.text)}" for place, item in new))


def _edited(before: Acl, work: list[_Item], after: Acl) -> Lines:
    """What to type to make a list another; `work`, its lines, become those of the other."""
    if before.name != after.name:
        raise UsageError(f"{before.name} and {after.name} are not one list", hint="write the new one, apply it")
    name = plain(before.name, "a list's name")
    if before.kind in ("ethertype", "webtype"):
        raise UsageError(f"{name} is of the kind {before.kind}, which is not edited", hint="use an extended list")
    kind = _kind(before if before.kind else after)
    was, goal = [item for item in work if item.ours], _goal(after, kind)
    if work and all(item.is_remark for item in goal) and len(was) == len(work):
        raise UsageError(
            f"{name} would be left without a rule, and the device would delete it and take it off its interface",
            hint=f"clear configure access-list {name}, if that is what you want",
        )
    changes = list(hunks(_keys(was), _keys(goal)))
    doomed = [item for low, high, _, _ in changes for item in was[low:high]]
    fresh = {item.text for _, _, first, last in changes for item in goal[first:last]}
    moved = [item for item in doomed if item.text in fresh]
    lines = [_drop(name, work, item) for item in moved]
    gone = {id(item) for item in moved}
    for low, _, first, last in changes:
        anchor = next((item for item in was[low:] if id(item) not in gone), None)
        at = work.index(anchor) if anchor is not None else _behind(work)
        for place, item in enumerate(goal[first:last], at):
            lines.append(f"access-list {name} line {place + 1} {_checked(item.text)}")
            work.insert(place, item)
    lines += [_drop(name, work, item) for item in doomed if id(item) not in gone]
    return tuple(lines)


def _drop(name: str, work: list[_Item], item: _Item) -> str:
    """Take a line out. A remark may stand twice, so it is named by its place; a rule never does."""
    place = f"line {work.index(item) + 1} " if item.is_remark else ""
    work.remove(item)
    return f"no access-list {name} {place}{_checked(item.text)}"


def _behind(work: Sequence[_Item]) -> int:
    """The place after the last line that we understand."""
    return max((at + 1 for at, item in enumerate(work) if item.ours), default=len(work))


def _keys(items: Sequence[_Item]) -> list[Hashable]:
    return keys([item.text for item in items], [item.is_remark for item in items])


def _kind(acl: Acl) -> str:
    """The vendor's word; other vendors' words mean extended."""
    return "standard" if acl.kind == "standard" else "extended"


def _checked(text: str) -> str:
    return typed(text) if text.startswith("remark ") else text


def _goal(acl: Acl, kind: str) -> list[_Item]:
    out: list[_Item] = []
    for rule in acl.rules:
        for one in atomic(rule, WORDS):
            try:
                text = f"{kind} {rule_words(one, WORDS, standard=kind == 'standard')}"
            except UsageError as error:
                named = rule.number if rule.number is not None else repr(rule.comment[:40])
                raise UsageError(f"{error.message}: rule {named}", hint=error.hint) from error
            out += [_Item(line) for line in (*remarks(one.comment), text)]
    return out + [_Item(line) for key, text in acl.extra if key == "remark" for line in remarks(text)]


def _present(acl: Acl) -> list[_Item]:
    """The list as it is on the device, with the lines that are not understood in their places."""
    out = _goal(acl, _kind(acl))
    strange = [(int(found[1]), found[2]) for line in acl.unknown if (found := _PLACE.match(line.text))]
    for place, text in sorted(strange):
        out.insert(min(place - 1, len(out)), _Item(text, ours=False))
    return out
