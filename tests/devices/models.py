"""Tiny devices: they take configuration lines and show what they hold, as the vendors' references say.

Less than the lab's devices: no terminal, no packets, no abbreviations. A line a real device would refuse raises `No`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol


class No(Exception):
    """The device refuses the line."""


class Model(Protocol):
    """A device that lines are typed to."""

    def type(self, lines: Sequence[str]) -> None:
        """Type the lines in configuration mode, from its top."""
        ...

    def lists(self) -> list[str]:
        """What the vendor's `ask_lists` lines print."""
        ...

    def show(self, line: str) -> str:
        """What a line that shows prints."""
        ...


class Comware:
    """Comware V7 and V5, SecPath and VRP."""

    def __init__(self, *, five: bool = False, comment: str = "comment") -> None:
        """An empty device."""
        self.five, self.comment = five, comment
        self.acls: dict[tuple[str, str], dict[str, Any]] = {}
        self.objects: dict[tuple[str, str], list[str]] = {}
        self.policies: dict[str, list[dict[str, Any]]] = {"ip": [], "ipv6": []}
        self.filters: dict[str, list[str]] = {}
        self.failed: set[str] = set()
        self.default_deny = False
        self.policies_off = False
        self.view: tuple[str, ...] = ()

    def type(self, lines: Sequence[str]) -> None:
        """Type the lines, each in the view that those before led to."""
        self.view = ()
        for line in lines:
            if line != line.strip() or "  " in line or "?" in line or not line.isprintable():
                raise No(line)
            self._line(line)

    def _line(self, line: str) -> None:
        if line == "quit":
            if not self.view:
                raise No(line)
            self.view = self.view[:-1] if self.view[0] == "policy" and len(self.view) > 2 else ()
        elif self.view and self.view[0] == "policy":
            self._policy(line)
        elif self.view and self.view[0] == "acl":
            self._rule(self.acls[self.view[1], self.view[2]], line)
        elif self.view and self.view[0] == "objects":
            self._object(self.objects[self.view[1], self.view[2]], line)
        elif self.view and self.view[0] == "interface":
            self._filter(self.view[1], line)
        else:
            self._top(line)

    def _top(self, line: str) -> None:
        words = line.split()
        undo = words[0] == "undo"
        words = words[undo:]
        if words[0] == "acl":
            self._acl(words[1:], undo=undo)
        elif words[0] == "object-group" and not self.five and words[1] in self.policies and words[2] == "address":
            self._group(words[1], words[3], undo=undo)
        elif words[0] == "interface" and not undo:
            self.view = ("interface", words[1])
        elif words[0] == "security-policy" and words[1] in self.policies and not undo:
            self.view = ("policy", words[1])
        elif words[0] == "packet-filter" and ("global" in words or "vlan" in words):
            place = words.index("global") if "global" in words else words.index("vlan")
            self._filter(" ".join(words[place:-1]), " ".join(["undo"] * undo + words[:place] + words[-1:]))
        else:
            raise No(line)

    def _group(self, kind: str, name: str, *, undo: bool) -> None:
        if undo:
            texts = [str(acl["rules"]) for acl in self.acls.values()] + [str(rules) for rules in self.policies.values()]
            if any(f"object-group {name} " in text or f"-ip {name}'" in text for text in texts):
                raise No(f"object group {name} is being used")
            self.objects.pop((kind, name), None)
            return
        if any(n == name and k != kind for k, n in self.objects):
            raise No("a different type")
        self.objects.setdefault((kind, name), [])
        self.view = ("objects", kind, name)

    def _object(self, held: list[str], line: str) -> None:
        undo = line.startswith("undo ")
        words = line.removeprefix("undo ").split()
        if words[0] != "network":
            raise No(line)
        if words[1] == "subnet" and words[3].isdecimal() and self.view[1] == "ip":
            words[3] = str(ipaddress.ip_network(f"0.0.0.0/{words[3]}").netmask)
        said = " ".join(words[1:])
        if undo != (said in held):
            raise No(line)
        (held.remove if undo else held.append)(said)

    def _acl(self, words: list[str], *, undo: bool) -> None:
        family = "6" if words[0] == "ipv6" else "4"
        words = words[family == "6" :]
        kind = number = name = ""
        rest = iter(words)
        for word in rest:
            if word in {"basic", "advanced", "advance"}:
                kind = "basic" if word == "basic" else "advanced"
            elif word == "name":
                name = next(rest)
            elif word.isdecimal():
                number = word
            elif word != "number":
                raise No(" ".join(words))
        there = next(
            (
                k
                for k, a in self.acls.items()
                if k[0] == family
                and (a["number"] or a["name"])
                and ((number and a["number"] == number) or (name and a["name"] == name))
            ),
            None,
        )
        if undo:
            if there is None:
                raise No("no such list")
            del self.acls[there]
            return
        if there is None:
            if self.five and not number:
                raise No("no such list")
            kind = kind or ("basic" if number and int(number) < 3000 else "advanced")
            there = (family, name or number)
            self.acls[there] = {"kind": kind, "number": number, "name": name, "rules": {}, "comments": {}, "step": 5,
                                "description": ""}  # fmt: skip
        self.view = ("acl", *there)

    def _rule(self, acl: dict[str, Any], line: str) -> None:
        rules: dict[int, str] = acl["rules"]
        comments: dict[int, str] = acl["comments"]
        made = re.fullmatch(r"rule (\d+) ((?:permit|deny)\b.*)", line)
        said = re.fullmatch(rf"rule (\d+) {self.comment} (.*)", line)
        gone = re.fullmatch(rf"undo rule (\d+)( {self.comment})?", line)
        if made and int(made[1]) <= 65534 and int(made[1]) not in rules and made[2] not in rules.values():
            named = re.findall(r"object-group (\S+)", made[2])
            if any((("ipv6" if self.view[1] == "6" else "ip"), name) not in self.objects for name in named):
                raise No("no such object group")
            rules[int(made[1])] = made[2]
        elif said and int(said[1]) in rules and len(said[2]) <= 127:
            comments[int(said[1])] = said[2]
        elif gone and int(gone[1]) in (comments if gone[2] else rules):
            comments.pop(int(gone[1]), None)
            if not gone[2]:
                del rules[int(gone[1])]
        elif re.fullmatch(r"step \d+", line):
            acl["step"] = int(line.split()[1])
        elif line.startswith("description "):
            acl["description"] = line.removeprefix("description ")
        else:
            raise No(line)

    def _filter(self, place: str, line: str) -> None:
        match = re.fullmatch(r"(undo )?packet-filter (ipv6 )?(?:name )?(\S+) (in|out)bound", line)
        if match is None:
            raise No(line)
        said = f"{'6' if match[2] else '4'} {match[3]} {match[4]}"
        held = self.filters.setdefault(place, [])
        if bool(match[1]) != (said in held):
            raise No(line)
        (held.remove if match[1] else held.append)(said)

    def _policy(self, line: str) -> None:
        rules = self.policies[self.view[1]]
        made = re.fullmatch(r"rule (\d+) name (\S+)", line)
        gone = re.fullmatch(r"undo rule name (\S+)", line)
        move = re.fullmatch(r"move rule (\d+) before (\d+)", line)
        if len(self.view) > 2:
            self._condition(rules[int(self.view[2])]["lines"], line)
        elif made:
            self._policy_rule(rules, made[1], made[2])
        elif gone and any(rule["name"] == gone[1] for rule in rules):
            rules[:] = [rule for rule in rules if rule["name"] != gone[1]]
        elif move and {move[1], move[2]} <= {rule["number"] for rule in rules}:
            moved = next(rule for rule in rules if rule["number"] == move[1])
            rules.remove(moved)
            rules.insert(next(n for n, rule in enumerate(rules) if rule["number"] == move[2]), moved)
        elif line != "accelerate enhanced enable":
            raise No(line)

    def _policy_rule(self, rules: list[dict[str, Any]], number: str, name: str) -> None:
        at = next((n for n, rule in enumerate(rules) if rule["name"] == name), None)
        if at is None and any(rule["number"] == number for rule in rules):
            raise No(f"rule {number} is there")
        if at is None:
            rules.append({"number": number, "name": name, "lines": []})
            at = len(rules) - 1
        self.view = (*self.view, str(at))

    def _condition(self, held: list[str], line: str) -> None:
        if line == "undo disable" and "disable" in held:
            held.remove("disable")
        elif line.startswith("undo "):
            raise No(line)
        elif line not in held:
            held.append(line)

    def lists(self) -> list[str]:
        """Both families' lists, and both policies."""
        return [self.show("display acl all"), self.show("display acl ipv6 all")]

    def show(self, line: str) -> str:
        """What the line prints; an unknown one is refused in the device's words."""
        words = line.split()
        answers: tuple[tuple[str, Callable[[], str]], ...] = (
            (r"display object-group name \S+", lambda: self._objects(words[3])),
            (r"display acl (ipv6 )?all", lambda: self._all("6" if "ipv6" in words else "4")),
            (r"display packet-filter (verbose|statistics) .*", lambda: self._filtered(words[3:])),
            (r"display packet-filter all", lambda: "".join(self._filtered(["interface", at]) for at in self.filters)),
            (r"display current-configuration \| include \S+", lambda: self._included(words[4])),
            (r"display current-configuration interface \S+", lambda: self._interface(words[3])),
            (r"display security-policy (ip|ipv6)", lambda: self._policies(words[2])),
            (r"display security-policy statistics .*", lambda: "  Action: drop (5 packets, 300 bytes)\n"),
        )
        refused = "                ^\n % Unrecognized command found at '^' position.\n"
        return next((say() for pattern, say in answers if re.fullmatch(pattern, line)), refused)

    def _all(self, family: str) -> str:
        return "".join(self._shown(key, acl) for key, acl in self.acls.items() if key[0] == family)

    def _included(self, what: str) -> str:
        filters = " packet-filter default deny\n" * self.default_deny
        policies = "security-policy ip\n" + "security-policy disable\n" * self.policies_off
        return filters if what == "packet-filter" else policies

    def _interface(self, name: str) -> str:
        held = (said.split() for said in self.filters.get(name, []))
        filters = [f" packet-filter {'ipv6 ' if f == '6' else ''}{acl} {bound}bound" for f, acl, bound in held]
        return "\n".join(["#", f"interface {name}", *filters, "#", "return", ""])

    def _objects(self, name: str) -> str:
        out = ""
        for (kind, called), held in self.objects.items():
            if called == name:
                out = f"{kind.capitalize()} address object group {name}: {len(held)} objects(in use)\n"
                out += "".join(f"{10 * at} network {said}\n" for at, said in enumerate(held))
        return out

    def _shown(self, key: tuple[str, str], acl: dict[str, Any]) -> str:
        rules: dict[int, str] = acl["rules"]
        comments: dict[int, str] = acl["comments"]
        ip = "IPv6 " if key[0] == "6" else "" if self.five or self.comment != "comment" else "IPv4 "
        name = f"{acl['number']}, named {acl['name'] or '-none-'}" if self.five else (
            f"{acl['number']} {'named ' if acl['name'] else ''}{acl['name']}".strip())  # fmt: skip
        out = [f"{str(acl['kind']).capitalize()} {ip}ACL {name}, {len(rules)} rules,"]
        out += [str(acl["description"])] if acl["description"] else []
        out += [f"ACL's step is {acl['step']}"]
        for number, rule in sorted(rules.items()):
            out.append(f" rule {number} {rule} (3 times matched)")
            out += [f" rule {number} {self.comment} {comments[number]}"] if number in comments else []
        return "\n".join([*out, "", ""])

    def _filtered(self, words: list[str]) -> str:
        place = (
            words[1] if words[0] == "interface" else " ".join(words).removesuffix(" inbound").removesuffix(" outbound")
        )
        out = [f"Interface: {place}"]
        for way in ("in", "out"):
            out += [f" {way.capitalize()}-bound policy:"]
            for said in self.filters.get(place, []):
                family, name, bound = said.split()
                if bound == way:
                    out += self._applied(family, name)
        return "\n".join([*out, ""])

    def _applied(self, family: str, name: str) -> list[str]:
        if self.five:
            return [f"  acl{'6' if family == '6' else ''} {name}, {'Fail' if name in self.failed else 'Successful'}"]
        acl = next(a for k, a in self.acls.items() if k[0] == family and name in {a["number"], a["name"]})
        rules: dict[int, str] = acl["rules"]
        out = [f"  IPv{family} ACL {name}{' (Failed)' if name in self.failed else ''}, Hardware-count (Failed)"]
        return out + [
            f"   rule {n} {r}{' (Failed)' if f'{name} {n}' in self.failed else ''}" for n, r in sorted(rules.items())
        ]

    def _policies(self, name: str) -> str:
        out = [f"Security-policy {name}", ""]
        for rule in self.policies[name]:
            out.append(f" rule {rule['number']} name {rule['name']}")
            out += [f"  {line}" for line in rule["lines"]]
        return "\n".join([*out, "", ""])


class SecPath(Comware):
    """SecPath: its lists are the policies."""

    def lists(self) -> list[str]:
        """Both policies."""
        return [self.show("display security-policy ip"), self.show("display security-policy ipv6")]


class Cisco:
    """IOS and NX-OS: sections with members, numbered lists; `sequence` for IPv6 lists of IOS."""

    def __init__(self) -> None:
        """An empty device."""
        self.groups: dict[str, list[str]] = {}
        self.acls: dict[str, dict[int, str]] = {}
        self.loose: dict[str, list[str]] = {}

    def type(self, lines: Sequence[str]) -> None:
        """Type the lines; a header leads into its section, and out of the one before."""
        group = acl = ""
        for line in lines:
            if line != line.strip() or "?" in line or not line.isprintable():
                raise No(line)
            if line.startswith("object-group "):
                group, acl = line, ""
                self.groups.setdefault(group, [])
            elif re.match(r"(?:ip|ipv6) access-list ", line):
                group, acl = "", line
                self.acls.setdefault(acl, {})
                self.loose.setdefault(acl, [])
            elif group:
                self._member(self.groups[group], line)
            elif acl:
                self._entry(acl, line)
            else:
                raise No(line)

    def _member(self, held: list[str], line: str) -> None:
        said = line.removeprefix("no ")
        if (line != said) != (said in held):
            raise No(line)
        (held.append if line == said else held.remove)(said)

    def _entry(self, acl: str, line: str) -> None:
        held = self.acls[acl]
        match = re.fullmatch(r"(no )?(?:sequence )?(?:(\d+)\s?)?((?:permit|deny|remark)\b.*)?", line)
        if match is None:
            raise No(line)
        undo, number, text = match[1], int(match[2]) if match[2] else None, match[3]
        if undo and number is not None and number in held and not text:
            del held[number]
        elif undo and text and number is None and text in self.loose[acl]:
            self.loose[acl].remove(text)
        elif (
            not undo
            and text
            and (text not in held.values() or text.startswith("remark"))
            and (number is None or number not in held)
        ):
            number = number if number is not None else (max(held, default=0) // 10 + 1) * 10
            held[number] = text
        else:
            raise No(line)

    def lists(self) -> list[str]:
        """The lists as the configuration shows them, with numbers."""
        out = []
        for header, held in self.acls.items():
            six = "sequence " if header.startswith("ipv6") else ""
            out += [header, *(f" {six}{number} {text}" for number, text in sorted(held.items()))]
        return ["\n".join([*out, ""])]

    def show(self, line: str) -> str:
        """The group, as the configuration shows it."""
        name = line.rsplit(maxsplit=1)[-1]
        out = [part for header, held in self.groups.items() if header.split()[-1] == name
               for part in (header, *(f" {said}" for said in held))]  # fmt: skip
        return "\n".join([*out, ""])


class Asa(Cisco):
    """ASA: a list's lines stand in order, `line N` puts one in between."""

    def __init__(self) -> None:
        """An empty device."""
        super().__init__()
        self.order: dict[str, list[str]] = {}

    def type(self, lines: Sequence[str]) -> None:
        """Type the lines; lists are typed from the top."""
        rest = []
        for line in lines:
            match = re.fullmatch(r"(no )?access-list (\S+) (?:line (\d+) )?((?:extended|remark|standard)\b.*)", line)
            if match is None:
                rest.append(line)
                continue
            held = self.order.setdefault(match[2], [])
            if match[1]:
                at = int(match[3]) - 1 if match[3] else next((n for n, text in enumerate(held) if text == match[4]), -1)
                if not 0 <= at < len(held) or held[at] != match[4]:
                    raise No(line)
                del held[at]
            elif match[4] in held and not match[4].startswith("remark"):
                raise No(line)
            else:
                held.insert(int(match[3]) - 1 if match[3] else len(held), match[4])
        super().type(rest)

    def lists(self) -> list[str]:
        """The lists as the configuration shows them."""
        return ["".join(f"access-list {name} {text}\n" for name, held in self.order.items() for text in held)]
