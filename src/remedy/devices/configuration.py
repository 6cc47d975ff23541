r"""A device's configuration as text: its sections, its secrets, and what differs between two of them.

Decides which lines belong together, which are volatile (dates, sizes, the order of a group's members) and which hold a
secret (`Vendor.secrets`). Leaves to others: what to type to make the one of the other (`reconfigure`), and keeping it.

    #                                        interface GigabitEthernet0/1
    interface GigabitEthernet1/0/1            ip access-group OUTSIDE in
     packet-filter 3000 inbound              !
    #                                        ip route 0.0.0.0 0.0.0.0 198.51.100.1
     ntp-service unicast-server 10.0.0.1     end

An indented line belongs to the line above it that is not; on Comware a line that is indented below a `#` belongs to
nobody. Such loose lines are one section, called "".
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from remedy.core.canon import Json, canonical, digest
from remedy.core.errors import AnswerUnusable
from remedy.core.text import printable
from remedy.devices import Vendor

__all__ = ["Sections", "changed", "fingerprint", "is_secret", "masked", "sections", "unified", "whole"]

#: Section heads with the lines below them, without their first indent.
Sections = Mapping[str, tuple[str, ...]]

MASK: Final = "<secret>"
_ENDS: Final = re.compile(r"\r?\n|\r\0?\n?")
#: Lines that say when and how the text was printed, and not what is configured.
_VOLATILE: Final = re.compile(
    r"(?:Building configuration|Current configuration ?:|ntp clock-period |Cryptochecksum:|:(?: |$)|!)"
)
_CLOSING: Final = frozenset({"return", "end", ": end"})
_SEPARATORS: Final = frozenset({"#", "!", ":"})
#: Lines that make one list though none is above the others (ASA); their order counts.
_FLAT: Final = re.compile(r"(access-list \S+) ")
#: Sections that are sets: the device numbers what stands in them, and the order means nothing.
_SETS: Final = re.compile(r"object-group ")
_NUMBER: Final = re.compile(r"^\d{1,10} ")
#: Sections that are the same when they are empty as when they are not there.
_NOTHING: Final = re.compile(r"security-policy ")
_MOST: Final = 300


def whole(text: str, vendor: Vendor) -> str:
    """The text, when it is a whole configuration. Raises AnswerUnusable for a refusal or one that ends early.

    Nothing of a configuration gets into the message: only a short refusal, its secrets masked.
    """
    kept = "\n".join(_ENDS.split(text)).strip("\n") + "\n"
    last = next((line.strip() for line in reversed(kept.splitlines()) if line.strip(" \0")), "")
    first = next((line.strip() for line in kept.splitlines() if line.strip(" \0#!:^")), "")
    if last in _CLOSING or last.startswith("Cryptochecksum:"):
        return kept
    if len(kept) < _MOST and any(re.search(p, kept, re.MULTILINE) for p in vendor.terminal.refusals):
        said = printable(masked(first, vendor), 160, one_line=True)
        raise AnswerUnusable(
            f"the device does not show its configuration: {said}", hint="may the account read all of the configuration?"
        )
    if vendor.name == "cisco_nxos" and first:
        return kept  # has no line that ends it
    raise AnswerUnusable(
        f"the configuration ends early, after {len(kept.splitlines())} lines", hint="nothing was decided from it"
    )


def sections(text: str) -> Sections:
    """The sections of a configuration, volatile lines left out."""
    found: dict[str, list[str]] = {}
    head = ""
    for raw in _ENDS.split(text):
        line = raw.replace("\0", "").rstrip()
        said = line.strip()
        if said in _SEPARATORS:
            head = ""
        if not said or said in _CLOSING or said in _SEPARATORS or _VOLATILE.match(line):
            continue
        flat = _FLAT.match(line)
        if flat:
            found.setdefault(flat[1], []).append(line)
        elif not line[0].isspace():
            head = line
            found.setdefault(head, [])
        elif head:
            found[head].append(line[1:])
        else:
            found.setdefault("", []).append(said)
    return {
        key: tuple(sorted(_NUMBER.sub("", line.strip()) for line in lines)) if _SETS.match(key) else tuple(lines)
        for key, lines in found.items()
        if lines or not _NOTHING.match(key)
    }


def changed(before: Sections, after: Sections) -> tuple[str, ...]:
    """The heads of the sections that are not the same, in the order of the latter, then those that are gone."""
    both = [*after, *(key for key in before if key not in after)]
    return tuple(key for key in both if before.get(key) != after.get(key))


def fingerprint(found: Sections, without: Sequence[str] = ()) -> str:
    """SHA-256 of the sections besides these, whatever their order."""
    left = set(without)
    made: Json = {key: [*lines] for key, lines in found.items() if key not in left}
    return digest(made)


def line_marks(lines: Sequence[str] | None) -> list[str] | None:
    """A mark for each line, by which it is known again without being said; None where there is no such section."""
    return None if lines is None else [digest(line)[:16] for line in lines]


@functools.cache
def _patterns(vendor: str, secrets: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    del vendor
    return tuple(re.compile(pattern, re.MULTILINE) for pattern in secrets)


def masked(text: str, vendor: Vendor) -> str:
    """The text with every secret in it replaced, line by line."""
    patterns = _patterns(vendor.name, vendor.secrets)
    return "\n".join(_masked(line, patterns) for line in text.split("\n"))


def _masked(line: str, patterns: Sequence[re.Pattern[str]]) -> str:
    for pattern in patterns:
        for found in reversed(list(pattern.finditer(line))):
            if found[1] is not None:
                line = f"{line[: found.start(1)]}{MASK}{line[found.end(1) :]}"
    return line


def is_secret(line: str, vendor: Vendor) -> bool:
    """Whether a line holds a secret."""
    return masked(line, vendor) != line


def unified(before: Sections, after: Sections, vendor: Vendor, names: tuple[str, str]) -> Iterator[str]:
    """A unified diff by section, secrets masked: what differs is found before they are, so none is overlooked."""
    keys = changed(before, after)
    if keys:
        yield f"--- {names[0]}"
        yield f"+++ {names[1]}"
    for key in keys:
        old, new = before.get(key), after.get(key)
        yield f"@@ {masked(key, vendor) or 'single lines'} @@"
        if key and key not in (old or ("",))[0]:
            yield f"{'+' if old is None else '-' if new is None else ' '}{masked(key, vendor)}"
        made = difflib.unified_diff(old or (), new or (), n=0, lineterm="")
        for number, line in enumerate(made):
            if number > 1 and line[0] in "+-":  # after its own two header lines
                yield f"{line[0]} {masked(line[1:], vendor)}"


def same(one: Sections, other: Sections) -> bool:
    """Whether two configurations say the same."""
    return canonical(fingerprint(one)) == canonical(fingerprint(other))
