"""A device that keeps to the references where remedy's drop rule is concerned, for the tests of all three vendors.

IOS and NX-OS: a group in use is neither emptied nor deleted, a line number is given once, a line stands once. ASA: the
same, and a list whose last line goes is deleted together with its place at the interface.
"""

from __future__ import annotations

import re


class Rejected(Exception):
    """The device refused a line."""


class CiscoDevice:
    """Groups, lists and interfaces as text, changed by the lines that are typed."""

    def __init__(self, vendor: str) -> None:
        """An empty one: nothing applied, so everything passes."""
        self.vendor = vendor
        self.groups: dict[str, list[str]] = {}
        self.lists: dict[str, list[tuple[int, str]]] = {}
        self.applied: dict[tuple[str, str], str] = {}
        self.mode = ""
        self.context = ""

    def type(self, lines: tuple[str, ...]) -> None:
        """Type the lines; the first that is refused raises Rejected."""
        for line in lines:
            try:
                self._one(line)
            except (KeyError, ValueError, StopIteration) as error:
                raise Rejected(line) from error

    def text(self) -> str:
        """The whole configuration, to compare two states."""
        return repr((sorted(self.groups.items()), sorted(self.lists.items()), sorted(self.applied.items())))

    def _used(self, group: str) -> bool:
        return any(group in text.split() for entries in self.lists.values() for _, text in entries)

    def _one(self, line: str) -> None:
        if made := re.fullmatch(r"(no )?object-group (\S+(?: address)?) (\S+)", line):
            return self._group(made[3], undo=bool(made[1]))
        if listed := re.fullmatch(r"(no )?(ip|ipv6) access-list (?:extended )?(\S+)", line):
            if listed[1]:
                if listed[3] not in self.lists:
                    raise Rejected(line)
                del self.lists[listed[3]]
            else:
                self.lists.setdefault(listed[3], [])
                self.mode, self.context = "list", listed[3]
            return None
        if inside := re.fullmatch(r"interface (\S+)", line):
            self.mode, self.context = "interface", inside[1]
            return None
        if self.vendor == "cisco_asa" and (
            entry := re.fullmatch(r"(no )?access-list (\S+) (?:line (\d+) )?(.*)", line)
        ):
            return self._asa(entry)
        return {"group": self._member, "list": self._entry, "interface": self._interface}[self.mode](line)

    def _group(self, name: str, *, undo: bool) -> None:
        if undo:
            if self._used(name) or name not in self.groups:
                raise Rejected(f"{name} is in use or absent")
            del self.groups[name]
        else:
            self.groups.setdefault(name, [])
            self.mode, self.context = "group", name

    def _member(self, line: str) -> None:
        members = self.groups[self.context]
        word = line.removeprefix("no ")
        if word == line:
            if word in members:
                raise Rejected(f"{word} exists")
            members.append(word)
            return
        if word not in members or (len(members) == 1 and self._used(self.context)):
            raise Rejected(line)
        members.remove(word)

    def _entry(self, line: str) -> None:
        found = re.fullmatch(r"(no )?(?:sequence )?(\d+) ?(.*)", line)
        if not found:
            raise Rejected(line)
        entries = self.lists[self.context]
        number = int(found[2])
        if found[1]:
            entries.remove(next(one for one in entries if one[0] == number))
            return
        for group in re.findall(r"(?:object-group|addrgroup) (\S+)", found[3]):
            if not self.groups[group]:
                raise Rejected("an empty group")
        if number in [n for n, _ in entries] or found[3] in [text for _, text in entries]:
            raise Rejected(line)
        entries.append((number, found[3]))
        entries.sort()

    def _interface(self, line: str) -> None:
        found = re.fullmatch(r"(no )?(?:ip access-group|ipv6 traffic-filter) (\S+) (in|out)", line)
        if not found:
            raise Rejected(line)
        if found[1]:
            del self.applied[self.context, found[3]]
        else:
            self.applied[self.context, found[3]] = found[2]

    def _asa(self, found: re.Match[str]) -> None:
        name, text = found[2], found[4]
        entries = self.lists.setdefault(name, [])
        texts = [said for _, said in entries]
        if found[1]:
            del entries[texts.index(text)]
            if not entries:
                del self.lists[name]
                self.applied = {at: listed for at, listed in self.applied.items() if listed != name}
            return
        for group in re.findall(r"object-group (\S+)", text):
            if not self.groups[group]:
                raise Rejected("an empty group")
        if text in texts:
            raise Rejected(text)
        entries.insert(int(found[3]) - 1 if found[3] else len(entries), (0, text))

    def show(self, lines: tuple[str, ...]) -> tuple[str, ...]:
        """What the device prints for each line."""
        return tuple(self._show(line) for line in lines)

    def _show(self, line: str) -> str:
        family = 6 if "ipv6" in line else 4
        if line.startswith("show access-list | include "):
            wanted = line.removeprefix("show access-list | include ")
            lines = [
                f"access-list {name} line {at} {text} (hitcnt=4) 0x1a2b3c4d"
                for name, entries in self.lists.items()
                for at, (_, text) in enumerate(entries, 1)
            ]
            return "\n".join(one for one in lines if wanted in one)
        if line == "show running-config access-list":
            return "".join(
                f"access-list {name} {text}\n" for name, entries in self.lists.items() for _, text in entries
            )
        if line == "show running-config access-group":
            return "".join(f"access-group {name} {way} interface {at}\n" for (at, way), name in self.applied.items())
        if "object-group" in line:
            return self._show_group(line.rsplit(maxsplit=1)[-1])
        if "running-config" in line:
            return self._show_applied()
        return self._show_lists(family)

    def _show_group(self, name: str) -> str:
        if name not in self.groups:
            return ""
        six = name.endswith("6")
        head = {
            "cisco_ios": f"{'V6-Network' if six else 'Network'} object group {name}",
            "cisco_nxos": f"IPv{6 if six else 4} address object-group {name}",
            "cisco_asa": f"object-group network {name}",
        }[self.vendor]
        number = "{:8} " if self.vendor == "cisco_nxos" else " "
        body = [number.format(at * 10) + member for at, member in enumerate(self.groups[name], 1)]
        return "\n".join([head, *body, ""])

    def _show_lists(self, family: int) -> str:
        out = []
        for name, entries in self.lists.items():
            if (6 if name.endswith("6") else 4) != family:
                continue
            kind = "Extended " if self.vendor == "cisco_ios" and family == 4 else ""
            out.append(f"{kind}IP{'v6' if family == 6 else ''} access list {name}")
            for number, text in entries:
                if self.vendor == "cisco_ios" and text.startswith("remark"):
                    continue
                if self.vendor == "cisco_nxos":
                    out.append(f"        {number} {text} [match=7]")
                elif family == 6:
                    out.append(f"    {text} (7 matches) sequence {number}")
                else:
                    out.append(f"    {number} {text} (7 matches)")
        return "\n".join([*out, ""])

    def _show_applied(self) -> str:
        out = []
        for (interface, way), name in self.applied.items():
            word = "ipv6 traffic-filter" if name.endswith("6") else "ip access-group"
            out += [f"interface {interface}", f"  {word} {name} {way}"]
        return "\n".join([*out, ""])
