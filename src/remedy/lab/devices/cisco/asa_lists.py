"""Access lists of an ASA, where they are applied, and shunned sources.

Followed: "Cisco ASA Series Command Reference" (`access-list extended`, `access-list remark`, `access-group`, `show
access-list`, `shun`). A list's lines are numbered from 1, remarks too; `line N` puts one before the N-th. A list at an
interface is asked about what goes through the device; one with `control-plane` about what goes to it. Without a list
what comes from an interface may go to those with a lower security level. As shown, a group's members one by one:

    access-list outside_in; 3 elements; name hash: 0x178be4f2
    access-list outside_in line 1 remark what partners may use
    access-list outside_in line 2 extended deny ip object-group remedy-block any (hitcnt=4) 0x5eb7814e
      access-list outside_in line 2 extended deny ip host 203.0.113.7 any (hitcnt=4) 0xb86c056b
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from remedy.devices.acl import Rule
from remedy.devices.addresses import Span, parse
from remedy.lab.devices.cisco import words
from remedy.lab.devices.cisco.asa_groups import AsaGroups
from remedy.lab.devices.cisco.asa_ports import AsaPorts
from remedy.lab.devices.cisco.entries import Entry, Syntax, Wrong, read
from remedy.lab.devices.enforce import Placed, Stage
from remedy.lab.devices.face import Face, Part, Refusal, command
from remedy.lab.devices.grammar import Call
from remedy.lab.devices.sessions import Login

__all__ = ["AsaLists", "Shuns"]

NO_LIST: Final = "ERROR: access-list <{}> does not exist"
NO_INTERFACE: Final = "ERROR: interface <{}> does not exist"
NO_LINE: Final = "ERROR: Specified access-list element does not exist"
IN_USE: Final = "ERROR: access-list <{}> is being used by an access-group"
_LINE: Final = "[ line <line:n1-2147483647> ]"


@dataclass(slots=True)
class _Line:
    """An entry, or a remark; `serial` tells lines apart whatever their place."""

    serial: int
    entry: Entry | None
    remark: str = ""

    @property
    def text(self) -> str:
        return f"extended {self.entry.text}" if self.entry else f"remark {self.remark}"


class AsaLists(Part):
    """All lists and their places: interface's name (empty: global), "in" or "out" or "control-plane"."""

    def __init__(self, face: Face) -> None:
        """None."""
        super().__init__(face)
        self.lists: dict[str, list[_Line]] = {}
        self.applied: dict[tuple[str, str], str] = {}
        self._serials = itertools.count()

    def configured(self) -> list[str]:
        """Lines of lists, then where they are applied."""
        lines = [f"access-list {name} {line.text}" for name, body in self.lists.items() for line in body]
        return [*lines, *self._places()]

    def _places(self) -> Iterator[str]:
        for (interface, way), name in self.applied.items():
            if not interface:
                yield f"access-group {name} global"
            elif way == "control-plane":
                yield f"access-group {name} in interface {interface} control-plane"
            else:
                yield f"access-group {name} {way} interface {interface}"

    def refers_to(self, group: str) -> bool:
        """Whether an entry names the group."""
        return any(line.entry and group in line.entry.groups for body in self.lists.values() for line in body)

    def stages(self) -> Iterator[Stage]:
        """What packets meet."""
        ports = self.face.part(AsaPorts)
        for family in (4, 6):
            for name, interface in ports.named().items():
                control = self.applied.get((name, "control-plane"))
                if control:
                    rules = tuple(self._placed(control, family, "device"))
                    yield Stage(f"{control} control-plane", family, rules, "arriving", interface, to_device="deny")
                inbound = [self.applied[key] for key in ((name, "in"), ("", "in")) if key in self.applied]
                if inbound:
                    rules = tuple(p for acl in inbound for p in self._placed(acl, family, "through"))
                else:
                    lower = ports.below(name)
                    rules = (Placed(Rule("permit", family), "", leaving=lower, reaches="through"),) if lower else ()
                yield Stage(f"{name} in", family, rules, "arriving", interface, default="deny")
                outbound = self.applied.get((name, "out"))
                if outbound:
                    rules = tuple(self._placed(outbound, family, "through"))
                    yield Stage(f"{name} out", family, rules, "leaving", interface, default="deny")

    def _placed(self, name: str, family: int, reaches: str) -> Iterator[Placed]:
        if self.device.is_failed(name):
            return
        for line in self.lists.get(name, ()):
            if line.entry and family in line.entry.families:
                yield Placed(replace(line.entry.rule, family=family), f"acl:{name}:{line.serial}", reaches=reaches)

    # lines

    @command(f"access-list <acl:word> {_LINE} extended {{ permit | deny }} <text>",
             "access-list <acl:word> { permit | deny } <text>", views=("config",))  # fmt: skip
    def add(self, login: Login, call: Call) -> None:
        """Add an entry; one that is there already changes nothing."""
        entry = self._read(login, call)
        body = self.lists.get(call["acl"], [])
        if not any(line.entry and line.entry.text == entry.text for line in body):
            self._put(call, _Line(next(self._serials), entry))

    @command(f"access-list <acl:word> {_LINE} remark <text>", views=("config",))
    def remark(self, login: Login, call: Call) -> None:
        """Add a remark."""
        del login
        self._put(call, _Line(next(self._serials), None, call["text"][:100]))

    def _put(self, call: Call, line: _Line) -> None:
        body = self.lists.setdefault(call["acl"], [])
        body.insert(min(int(call.get("line", str(len(body) + 1))) - 1, len(body)), line)

    def _read(self, login: Login, call: Call) -> Entry:
        syntax = Syntax(4, wildcard=False, mixed=True, has_group=self.face.part(AsaGroups).usable)
        try:
            return read("permit" if "permit" in call else "deny", call["text"], call.columns["text"], syntax)
        except Wrong as error:
            raise words.wrong(self.face, login, call, error) from None

    @command(f"no access-list <acl:word> {_LINE} extended {{ permit | deny }} <text>",
             f"no access-list <acl:word> {_LINE} remark <text>", views=("config",))  # fmt: skip
    def take_out(self, login: Login, call: Call) -> None:
        """Remove a line; a list without lines is gone, and from its interfaces too."""
        name = call["acl"]
        body = self.lists.get(name, [])
        wanted = f"remark {call['text']}" if "remark" in call else f"extended {self._read(login, call).text}"
        found = next((n for n, line in enumerate(body) if line.text == wanted), None)
        if found is None:
            raise Refusal(NO_LINE)
        del body[found]
        if not body:
            self._drop(name)

    @command("clear configure access-list <acl:word>", views=("config",))
    def clear(self, login: Login, call: Call) -> None:
        """Delete a list, and its applications."""
        del login
        if call["acl"] not in self.lists:
            raise Refusal(NO_LIST.format(call["acl"]))
        self._drop(call["acl"])

    def _drop(self, name: str) -> None:
        self.lists.pop(name, None)
        self.applied = {place: acl for place, acl in self.applied.items() if acl != name}

    # places

    @command("access-group <acl:word> { in | out } interface <nameif:word> [ control-plane ]",
             "access-group <acl:word> global",
             "no access-group <acl:word> { in | out } interface <nameif:word> [ control-plane ]",
             "no access-group <acl:word> global", views=("config",))  # fmt: skip
    def apply(self, login: Login, call: Call) -> None:
        """Apply a list, in place of the one before; or no longer."""
        del login
        name, interface = call["acl"], call.get("nameif")
        way = "control-plane" if "control-plane" in call else "out" if "out" in call and interface else "in"
        if name not in self.lists:
            raise Refusal(NO_LIST.format(name))
        if interface and interface not in self.face.part(AsaPorts).named():
            raise Refusal(NO_INTERFACE.format(interface))
        if call.words[0] != "no":
            self.applied[interface, way] = name
        elif self.applied.get((interface, way)) == name:
            del self.applied[interface, way]

    # showing

    @command("show running-config access-group", views=("privileged",), reads=True)
    def show_places(self, login: Login, call: Call) -> str:
        """Where lists are applied."""
        del login, call
        return "".join(f"{line}\n" for line in self._places())

    @command("show running-config access-list [ <acl:word> ]", views=("privileged",), reads=True)
    def show_lines(self, login: Login, call: Call) -> str:
        """Lists as configured."""
        del login
        found = [(n, b) for n, b in self.lists.items() if call.get("acl") in {"", n}]
        return "".join(f"access-list {name} {line.text}\n" for name, body in found for line in body)

    @command("show access-list [ <acl:word> ]", views=("privileged",), reads=True)
    async def show(self, login: Login, call: Call) -> str:
        """Lists with what they have met."""
        del login
        name = call.get("acl")
        if name and name not in self.lists:
            raise Refusal(NO_LIST.format(name))
        hits = await self.device.enforcer.hits()
        lines = []
        if not name:
            lines += ["access-list cached ACL log flows: total 0, denied 0 (deny-flow-max 4096)",
                      "            alert-interval 300"]  # fmt: skip
        for acl, body in self.lists.items():
            if name in {"", acl}:
                shown = [text for n, line in enumerate(body, 1) for text in self._shown(acl, n, line, hits)]
                count = sum("(hitcnt=" in text for text in shown) - sum(bool(b.entry and b.entry.groups) for b in body)
                lines += [f"access-list {acl}; {count} elements; name hash: {_hash(acl)}", *shown]
        return "".join(f"{line}\n" for line in lines)

    def _shown(self, name: str, number: int, line: _Line, hits: Mapping[str, int]) -> Iterator[str]:
        head = f"access-list {name} line {number} {line.text}"
        if line.entry is None:
            yield head
            return
        met = hits.get(f"acl:{name}:{line.serial}", 0)
        inactive = "" if line.entry.rule.enabled else " (inactive)"
        yield f"{head} (hitcnt={met}){inactive} {_hash(head)}"
        if line.entry.groups:
            group = line.entry.groups[0]
            for span in self.face.part(AsaGroups).spans().get(group, ()):
                said = head.replace(f"object-group {group}", _network(span), 1)
                yield f"  {said} (hitcnt={met}){inactive} {_hash(said)}"
                met = 0


def _network(span: Span) -> str:
    if span.is_host:
        return f"host {span}"
    if span.family == 6:  # noqa: PLR2004
        return str(span)
    return f"{span.low} {_mask(span)}"


def _mask(span: Span) -> str:
    bits = (0xFFFFFFFF << (32 - (span.prefix or 0))) & 0xFFFFFFFF
    return ".".join(str(bits >> shift & 255) for shift in (24, 16, 8, 0))


def _hash(text: str) -> str:
    return f"0x{zlib.crc32(text.encode()):08x}"


class Shuns(Part):
    """Sources whose packets are dropped before anything else, and whose connections end. Not saved."""

    def __init__(self, face: Face) -> None:
        """None."""
        super().__init__(face)
        self.sources: dict[str, None] = {}

    def spans(self) -> tuple[Span, ...]:
        """The sources."""
        return tuple(parse(source) for source in self.sources)

    @command("shun <source:ip>", "no shun <source:ip>", "clear shun", views=("privileged", "config"))
    def shun(self, login: Login, call: Call) -> str:
        """Shun a source, or no longer."""
        del login
        source = call.get("source")
        if "clear" in call:
            self.sources.clear()
            return ""
        if call.words[0] == "no":
            if source not in self.sources:
                raise Refusal(f"ERROR: Shun {source} not found")
            del self.sources[source]
            return f"Shun {source} removed in context: single_vf\n"
        self.sources[source] = None
        return f"Shun {source} added in context: single_vf\nShun {source} successful\n"

    @command("show shun", views=("privileged",), reads=True)
    def show(self, login: Login, call: Call) -> str:
        """The sources."""
        del login, call
        return "".join(f"shun (outside) {source} 0.0.0.0 0 0 0\n" for source in self.sources)
