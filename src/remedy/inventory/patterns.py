r"""The pattern language of Ansible: which hosts `web*:&linux,!web03` means.

Decides the hosts and their order, after Ansible's guide "Patterns: targeting hosts and groups". Stricter in three
points, because a typing mistake here cuts off the wrong host: there is no default, a term that names nothing is an
error even in an exclusion, and exclusions alone select nothing.

    web01,db01        both                      web:db       the same with groups
    web:&linux        in both groups            all:!web03   all but one
    web[0]  web[1:3]  by position, from 0       ~web\d+      regular expression
"""

from __future__ import annotations

import difflib
import fnmatch
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from remedy.core.errors import UnknownTarget, UsageError
from remedy.inventory.ranges import is_address, split_port

_SUBSCRIPT: Final = re.compile(r"(.+)\[(?:(-?[0-9]{1,9})|([0-9]{1,9}):([0-9]{0,9}))\]\Z", re.DOTALL)
#: Once meant positions in Ansible, now half removed there: refused, for it is a glob to everybody else.
_OLD_SUBSCRIPT: Final = re.compile(r".\[[0-9]+-[0-9]*\]\Z", re.DOTALL)
_TERM: Final = re.compile(r"(?:[^\s:\[\]]|\[[^\]]*\])+")
_GLOB: Final = re.compile(r"[.?*\[]")
_MAX_PATTERN: Final = 65_536


def split(pattern: str) -> list[str]:
    """The terms of a pattern: separated by commas, else by colons unless it reads as one address or host range."""
    if "," in pattern:
        terms = pattern.split(",")
    elif is_address(split_port(pattern)[0]):
        terms = [pattern]
    else:
        terms = _TERM.findall(pattern)
    return [term.strip() for term in terms if term.strip()]


class Selector:
    """Answers patterns over fixed hosts and groups. `members` gives all hosts of a group."""

    def __init__(
        self, hosts: Sequence[str], groups: Mapping[str, object], members: Callable[[str], Sequence[str]]
    ) -> None:
        """Keep the names in inventory order."""
        self._hosts = dict.fromkeys(hosts)
        self._groups = groups
        self._members = members

    def select(self, patterns: Sequence[str]) -> tuple[str, ...]:
        """The hosts the patterns mean together, without repetition.

        Plain terms first, in the order given, then intersections (`&`), then exclusions (`!`). Raises UsageError
        when there is no plain term, UnknownTarget when a term names nothing or when nothing is left.
        """
        terms = [term for pattern in patterns for term in split(pattern[: _MAX_PATTERN + 1])]
        if any(len(pattern) > _MAX_PATTERN for pattern in patterns):
            raise UsageError(f"a pattern is longer than {_MAX_PATTERN} characters", hint="name a group")
        plain = [term for term in terms if term[0] not in "&!"]
        if not plain:
            raise UsageError(
                "there is no default target",
                hint="name hosts or groups, or say all" + ("; to exclude: all:!name" if terms else ""),
            )
        chosen: dict[str, None] = {}
        for term in plain:
            chosen.update(dict.fromkeys(self._one(term)))
        for term in (term for term in terms if term[0] == "&"):
            inside = set(self._one(term[1:]))
            chosen = {host: None for host in chosen if host in inside}
        for term in (term for term in terms if term[0] == "!"):
            outside = set(self._one(term[1:]))
            chosen = {host: None for host in chosen if host not in outside}
        if not chosen:
            raise UnknownTarget(f"no host matches {' '.join(patterns)!r}", hint="see: remedy inventory graph")
        return tuple(chosen)

    def _one(self, term: str) -> list[str]:
        if term in self._hosts:
            return [term]
        subscript = None
        if not term.startswith("~"):
            subscript = _SUBSCRIPT.match(term)
            if _OLD_SUBSCRIPT.search(term):
                raise UsageError(
                    f"{term!r} could mean positions or a glob",
                    hint="write web[0:9] for positions, ~web[0-9]$ for names",
                )
        found = self._matches(subscript[1] if subscript else term)
        if found is None:
            raise UnknownTarget(f"no host or group is called {term!r}", hint=self.near(term))
        if not subscript:
            return found
        _, index, begin, end = subscript.groups()
        if index is not None:
            picked = found[int(index) :][:1] if -len(found) <= int(index) < len(found) else []
        else:
            picked = found[int(begin) : int(end) + 1 if end else None]
        if not picked:
            raise UnknownTarget(f"{term!r}: {subscript[1]} has only {len(found)} hosts", hint="positions start at 0")
        return picked

    def _matches(self, expression: str) -> list[str] | None:
        """Hosts of the groups that match; hosts that match when no group does or for globs. None: nothing does."""
        match = self._matcher(expression)
        groups = [name for name in self._groups if match(name)]
        found = dict.fromkeys(host for name in groups for host in self._members(name))
        hosts: list[str] = []
        if not groups or expression.startswith("~") or _GLOB.search(expression):
            hosts = [name for name in self._hosts if match(name)]
            found.update(dict.fromkeys(hosts))
        return list(found) if groups or hosts else None

    def _matcher(self, expression: str) -> Callable[[str], bool]:
        regex = expression.startswith("~")
        if not expression or not (regex or _GLOB.search(expression)):
            return lambda name: name == expression
        try:
            with warnings.catch_warnings():  # what a later Python may read otherwise is read as this one does
                warnings.simplefilter("ignore", FutureWarning)
                compiled = re.compile(expression[1:] if regex else fnmatch.translate(expression))
        except (re.error, OverflowError, RecursionError) as error:
            raise UsageError(
                f"{expression!r} is no valid pattern: {error}", hint="quote * and ? for the shell"
            ) from error
        return lambda name: compiled.match(name) is not None

    def near(self, term: str) -> str:
        """A hint with the names most like a mistyped one."""
        names = [*self._hosts, *self._groups]
        near = difflib.get_close_matches(term.strip("~!&*"), names[:5000], n=3, cutoff=0.6)
        return f"did you mean {', '.join(near)}?" if near else "see: remedy inventory list"
