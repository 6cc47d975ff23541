"""The inventory while it is being read: hosts, groups, who contains whom.

Decides the structure Ansible would arrive at: `all` above everything, `ungrouped` for hosts in no other group, a
group's depth as the longest way down from `all`, no cycles. Leaves to the readers what the files say, and to
`Inventory` what is asked of the result.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from remedy.core.errors import InventoryError
from remedy.inventory.findings import Finding, Located, Variables

#: Most hosts, groups and levels of groups in one inventory.
MAX_HOSTS: Final = 100_000
MAX_GROUPS: Final = 10_000
MAX_DEPTH: Final = 200
PRIORITY_KEY: Final = "ansible_group_priority"
_IDENTIFIER: Final = re.compile(r"[^\W\d]\w*\Z")
_UNPRINTABLE: Final = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]")


@dataclass(slots=True)
class DraftGroup:
    """A group: members in the order they were named (dicts as ordered sets)."""

    name: str
    hosts: dict[str, None] = field(default_factory=dict)
    children: dict[str, None] = field(default_factory=dict)
    parents: dict[str, None] = field(default_factory=dict)
    vars: Variables = field(default_factory=dict)
    priority: int = 1
    depth: int = 0


@dataclass(slots=True)
class DraftHost:
    """A host: the groups that name it directly, its own variables, the source that named it first."""

    name: str
    source: str
    groups: dict[str, None] = field(default_factory=dict)
    vars: Variables = field(default_factory=dict)


class Draft:
    """Hosts and groups under construction. Every change checks itself and raises InventoryError with `where`."""

    def __init__(self) -> None:
        """Start with `all` and `ungrouped`, as Ansible does."""
        self.groups: dict[str, DraftGroup] = {"all": DraftGroup("all"), "ungrouped": DraftGroup("ungrouped")}
        self.hosts: dict[str, DraftHost] = {}
        self.notes: list[Finding] = []
        self._link("all", "ungrouped")

    def add_group(self, name: str, where: str) -> None:
        """Make a group known; again is fine."""
        if name in self.groups:
            return
        if not name or _UNPRINTABLE.search(name):
            raise InventoryError(f"{name!r} is no group name", where=where, hint="use letters, digits and _")
        if len(self.groups) >= MAX_GROUPS:
            raise InventoryError(f"more than {MAX_GROUPS} groups", where=where)
        if not _IDENTIFIER.match(name):
            self.notes.append(
                Finding("warning", where, f"group name {name!r} is no valid identifier", "use letters, digits and _")
            )
        self.groups[name] = DraftGroup(name)

    def add_host(self, name: str, group: str, where: str, *, source: str, port: int | None = None) -> None:
        """Make a host known in a group. The port counts only where the host is first named, as in Ansible."""
        if not name or _UNPRINTABLE.search(name):
            raise InventoryError(f"{name!r} is no host name", where=where, hint="names have no spaces")
        if name not in self.hosts:
            if len(self.hosts) >= MAX_HOSTS:
                raise InventoryError(f"more than {MAX_HOSTS} hosts", where=where)
            self.hosts[name] = DraftHost(name, source)
            if port:
                self.hosts[name].vars["ansible_port"] = Located(port, where)
        elif group in self.hosts[name].groups:
            self.notes.append(
                Finding("warning", where, f"{name} is in group {group} already", "remove one of the lines")
            )
        self.hosts[name].groups[group] = None
        self.groups[group].hosts[name] = None

    def add_child(self, parent: str, child: str, where: str) -> None:
        """Put a known group below a known group. Raises InventoryError when that would close a circle."""
        circle = bool(self.groups[child].children) and child in self.ancestors(parent)
        if circle or child in {parent, "all"}:
            raise InventoryError(
                f"group {child} cannot be below {parent}: they would contain each other",
                where=where,
                hint=f"remove {child} from the children of {parent}",
            )
        self._link(parent, child)

    def _link(self, parent: str, child: str) -> None:
        self.groups[parent].children[child] = None
        self.groups[child].parents[parent] = None

    def set_group(self, name: str, key: str, value: object, where: str) -> None:
        """Set a variable of a group; `ansible_group_priority` sets the group's rank among its peers instead."""
        if key == PRIORITY_KEY:
            try:
                self.groups[name].priority = int(str(value))
            except ValueError as error:
                raise InventoryError(f"{key}: {value!r} is no whole number", where=where) from error
            return
        self._note_name(key, where)
        self.groups[name].vars[key] = Located(value, where)

    def set_host(self, name: str, key: str, value: object, where: str) -> None:
        """Set a variable of a host. When a group has the same name it goes there, as in Ansible."""
        if name in self.groups:
            self.set_group(name, key, value, where)
            return
        self._note_name(key, where)
        self.hosts[name].vars[key] = Located(value, where)

    def _note_name(self, key: str, where: str) -> None:
        if not _IDENTIFIER.match(key):
            self.notes.append(
                Finding("warning", where, f"{key!r} is no valid variable name", "use letters, digits and _")
            )

    def ancestors(self, name: str) -> set[str]:
        """All groups above a group."""
        seen: set[str] = set()
        waiting = list(self.groups[name].parents)
        while waiting:
            above = waiting.pop()
            if above not in seen:
                seen.add(above)
                waiting.extend(self.groups[above].parents)
        return seen

    def descendants(self, name: str) -> list[str]:
        """A group and all groups below it, breadth first."""
        seen = {name: None}
        row = [name]
        while row:
            below = dict.fromkeys(child for group in row for child in self.groups[group].children)
            row = [child for child in below if child not in seen]
            seen.update(dict.fromkeys(row))
        return list(seen)

    def members(self, name: str) -> list[str]:
        """The hosts of a group and of the groups below it."""
        found: dict[str, None] = {}
        for group in self.descendants(name):
            found.update(self.groups[group].hosts)
        return list(found)

    def memberships(self, host: str) -> set[str]:
        """All groups a host is in, directly or through their parents; `all` included."""
        direct = self.hosts[host].groups
        return set(direct).union(*(self.ancestors(group) for group in direct)) | {"all"}

    def finish(self) -> None:
        """Put parentless groups below `all`, loose hosts into `ungrouped`, and compute depths."""
        for name, group in self.groups.items():
            if name != "all" and not group.parents:
                self._link("all", name)
        loose = self.groups["ungrouped"]
        for host in self.hosts.values():
            elsewhere = self.memberships(host.name) - {"all", "ungrouped"}
            if elsewhere and "ungrouped" in host.groups:
                del host.groups["ungrouped"], loose.hosts[host.name]
            elif not elsewhere and "ungrouped" not in host.groups:
                host.groups["ungrouped"] = None
                loose.hosts[host.name] = None
        self._measure()
        for name in sorted(self.groups.keys() & self.hosts.keys()):
            self.notes.append(
                Finding("warning", name, "is the name of a host and of a group", "rename one: patterns mean both")
            )

    def _measure(self) -> None:
        # Longest way from `all`: a group is settled when all its parents are (there are no cycles).
        open_parents = {name: len(group.parents) for name, group in self.groups.items()}
        ready = ["all"]
        while ready:
            group = self.groups[ready.pop()]
            for child in group.children:
                below = self.groups[child]
                below.depth = max(below.depth, group.depth + 1)
                if below.depth > MAX_DEPTH:
                    raise InventoryError(f"groups are nested deeper than {MAX_DEPTH} levels", where=child)
                open_parents[child] -= 1
                if not open_parents[child]:
                    ready.append(child)
