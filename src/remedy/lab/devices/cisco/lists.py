"""Access lists of an IOS router: standard, extended and IPv6, with sequence numbers and remarks.

Followed: "Cisco IOS Security Command Reference" (`ip access-list`, `ipv6 access-list`, `access-list`, `show ip
access-lists`, `show ipv6 access-list`, `ip access-list resequence`), "IP Access List Entry Sequence Numbering": an
entry without a number comes last, 10 after the one before; an entry that is there already changes nothing; a number
that is taken is refused. A list without entries lets everything through where it is applied.

    Extended IP access list edge-in                     IPv6 access list edge6-in
        10 permit tcp any any established (12 matches)      permit ipv6 any any (8 matches) sequence 10
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from remedy.lab.devices.cisco import words
from remedy.lab.devices.cisco.entries import Entry, Syntax, Wrong, read
from remedy.lab.devices.cisco.groups import Groups
from remedy.lab.devices.enforce import Placed
from remedy.lab.devices.face import Face, Part, Refusal, View, command
from remedy.lab.devices.grammar import Call
from remedy.lab.devices.sessions import Login

__all__ = ["AccessLists"]

_VIEWS: Final = ("extended", "standard", "ipv6")
_SEQ: Final = "<seq:n1-2147483647>"
_STEP: Final = 10
_LABELS: Final = {"extended": "config-ext-nacl", "standard": "config-std-nacl", "ipv6": "config-ipv6-acl"}
_SHOW: Final = ("exec", "privileged")


@dataclass(slots=True)
class _List:
    """One list: entries and remarks (texts) by number."""

    name: str
    kind: str
    lines: dict[int, Entry | str] = field(default_factory=dict)

    @property
    def family(self) -> int:
        return 6 if self.kind == "ipv6" else 4

    @property
    def head(self) -> str:
        return f"ipv6 access-list {self.name}" if self.kind == "ipv6" else f"ip access-list {self.kind} {self.name}"

    def ordered(self) -> Iterator[tuple[int, Entry | str]]:
        """By number."""
        yield from sorted(self.lines.items())

    def key(self, number: int) -> str:
        return f"acl:{self.family}:{self.name}:{number}"


class AccessLists(Part):
    """All lists, by family and name."""

    def __init__(self, face: Face) -> None:
        """None."""
        super().__init__(face)
        self.lists: dict[tuple[int, str], _List] = {}

    def configured(self) -> list[str]:
        """Each a section."""
        lines: list[str] = []
        for acl in sorted(self.lists.values(), key=lambda a: a.family):
            lines += ["!", acl.head]
            for number, line in acl.ordered():
                text = f"remark {line}" if isinstance(line, str) else line.text
                lines.append(f" {'sequence ' * (acl.kind == 'ipv6')}{number} {text}")
        return lines

    def refers_to(self, group: str) -> bool:
        """Whether an entry names the group."""
        return any(
            isinstance(line, Entry) and group in line.groups
            for acl in self.lists.values()
            for line in acl.lines.values()
        )

    def placed(self, family: int, name: str, reaches: str) -> tuple[Placed, ...]:
        """What packets meet of a list; nothing of one that is not there."""
        acl = self.lists.get((family, name))
        if acl is None or self.device.is_failed(name):
            return ()
        return tuple(
            Placed(line.rule, acl.key(number), reaches=reaches)
            for number, line in acl.ordered()
            if isinstance(line, Entry)
        )

    # views

    @command("ip access-list { extended | standard } <acl:word>", "ipv6 access-list <acl:word>", views=("config",))
    def enter(self, login: Login, call: Call) -> None:
        """Make a list, or enter it."""
        kind = "ipv6" if call.words[0] == "ipv6" else call.words[2]
        acl = self._of_kind(call, kind)
        login.views.append(View(kind, _LABELS[kind], (acl.family, acl.name)))

    def _of_kind(self, call: Call, kind: str) -> _List:
        name = call["acl"]
        if name.isdigit() and _numbered(name) not in {"", kind}:
            raise Refusal(argument="acl")
        acl = self.lists.setdefault((6 if kind == "ipv6" else 4, name), _List(name, kind))
        if acl.kind != kind:
            raise Refusal(words.LIST_TYPE)
        return acl

    @command(
        "no ip access-list { extended | standard } <acl:word>", "no ipv6 access-list <acl:word>",
        "no access-list <acl:n1-2699>", views=("config",),
    )  # fmt: skip
    def remove(self, login: Login, call: Call) -> None:
        """Delete a list, applied or not."""
        del login
        if self.lists.pop((6 if call.words[1] == "ipv6" else 4, call["acl"]), None) is None:
            raise Refusal(words.NO_LIST.format(call["acl"]))

    @command("ip access-list resequence <acl:word> <start:n1-2147483647> <step:n1-2147483647>", views=("config",))
    def resequence(self, login: Login, call: Call) -> None:
        """Number a list anew."""
        del login
        acl = self.lists.get((4, call["acl"]))
        if acl is None:
            raise Refusal(words.NO_LIST.format(call["acl"]))
        start, step = int(call["start"]), int(call["step"])
        acl.lines = {start + step * n: line for n, (_, line) in enumerate(acl.ordered())}

    # entries

    @command("{ permit | deny } <text>", f"{_SEQ} {{ permit | deny }} <text>",
             f"sequence {_SEQ} {{ permit | deny }} <text>", views=_VIEWS)  # fmt: skip
    def add(self, login: Login, call: Call) -> None:
        """Add an entry."""
        self._add(login, call, self.lists[login.view.key])

    @command("access-list <acl:n1-2699> { permit | deny } <text>", views=("config",))
    def add_numbered(self, login: Login, call: Call) -> None:
        """Add an entry to a list that has a number."""
        kind = _numbered(call["acl"])
        if not kind:
            raise Refusal(argument="acl")
        self._add(login, call, self._of_kind(call, kind))

    def _add(self, login: Login, call: Call, acl: _List) -> None:
        entry, at = self._read(login, call, acl)
        number = int(call.get("seq", "0")) or at
        if any(isinstance(line, Entry) and line.text == entry.text for line in acl.lines.values()):
            return
        self._put(acl, number, entry)

    @command("remark <text>", f"{_SEQ} remark <text>", f"sequence {_SEQ} remark <text>", views=_VIEWS)
    def remark(self, login: Login, call: Call) -> None:
        """Add a remark."""
        self._put(self.lists[login.view.key], int(call.get("seq", "0")), call["text"][:100])

    @staticmethod
    def _put(acl: _List, number: int, line: Entry | str) -> None:
        number = number or max(acl.lines, default=0) + _STEP
        if number in acl.lines:
            raise Refusal(words.DUPLICATE)
        acl.lines[number] = line

    def _read(self, login: Login, call: Call, acl: _List) -> tuple[Entry, int]:
        action = "permit" if "permit" in call else "deny"
        text, number = call["text"], 0
        ending = re.search(r"\s+sequence\s+(\d+)\s*$", text) if acl.kind == "ipv6" else None
        if ending:
            text, number = text[: ending.start()], int(ending[1])
        groups = self.face.part(Groups)
        syntax = Syntax(acl.family, standard=acl.kind == "standard", has_group=groups.usable)
        try:
            return read(action, text, call.columns["text"], syntax), number
        except Wrong as error:
            raise words.wrong(self.face, login, call, error) from None

    @command(f"no {_SEQ}", f"no sequence {_SEQ}", f"no {_SEQ} {{ permit | deny | remark }} <text>",
             "no { permit | deny | remark } <text>", views=_VIEWS)  # fmt: skip
    def take_out(self, login: Login, call: Call) -> None:
        """Remove an entry or a remark, by number or by what it says."""
        acl = self.lists[login.view.key]
        if call.get("seq"):
            numbers = [n for n in acl.lines if n == int(call["seq"])]
        elif "remark" in call:
            numbers = [n for n, line in acl.lines.items() if line == call["text"]]
        else:
            wanted = self._read(login, call, acl)[0].text
            numbers = [n for n, line in acl.lines.items() if isinstance(line, Entry) and line.text == wanted]
        if not numbers:
            raise Refusal(words.NO_ENTRY)
        del acl.lines[numbers[0]]

    # showing

    @command("show ip access-lists [ <acl:word> ]", "show ipv6 access-list [ <acl:word> ]",
             "show access-lists [ <acl:word> ]", views=_SHOW, reads=True)  # fmt: skip
    async def show(self, login: Login, call: Call) -> str:
        """The lists, with what they have met."""
        del login
        hits = await self.device.enforcer.hits()
        family = {"ip": (4,), "ipv6": (6,)}.get(call.words[1], (4, 6))
        name = call.get("acl")
        found = [a for a in self.lists.values() if a.family in family and name in {"", a.name}]
        return "".join(f"{line}\n" for acl in found for line in _shown(acl, hits))


def _shown(acl: _List, hits: Mapping[str, int]) -> Iterator[str]:
    yield f"{'IPv6' if acl.kind == 'ipv6' else acl.kind.capitalize() + ' IP'} access list {acl.name}"
    for number, line in acl.ordered():
        if isinstance(line, Entry):
            met = hits.get(acl.key(number), 0)
            tail = f" ({met} match{'es' * (met != 1)})" if met else ""
            if acl.kind == "ipv6":
                yield f"    {line.text}{tail} sequence {number}"
            elif acl.kind == "standard":
                rest = re.sub(r"^(\S+) (\S+)(.*)$", r"\1, wildcard bits \2\3", " ".join(line.words[1:]))
                shown = rest if re.match(r"[\d.]+, wildcard bits \d", rest) else " ".join(line.words[1:])
                yield f"    {number} {line.action:<6} {shown}{tail}".replace("permit  ", "permit ")
            else:
                yield f"    {number} {line.text}{tail}"


def _numbered(name: str) -> str:
    """What kind a list of that number is; empty for none."""
    number = int(name) if name.isdigit() else 0
    if 1 <= number <= 99 or 1300 <= number <= 1999:  # noqa: PLR2004
        return "standard"
    return "extended" if 100 <= number <= 199 or 2000 <= number <= 2699 else ""  # noqa: PLR2004
