"""Host patterns of inventory files: `web[01:20]`, `db-[a:f]`, `x[0:10:2]`, and the port after a name.

Decides which names one entry stands for. Follows Ansible's guide "How to build your inventory", "Adding ranges of
hosts". Stricter than Ansible in one point: a range that runs backwards is an error, not silently no host.

    web[01:03].example.net      -> web01.example.net, web02…, web03…
    db[a:c]:2222                -> dba, dbb, dbc, each with port 2222
    [2001:db8::5]:2022          -> 2001:db8::5 with port 2022
"""

from __future__ import annotations

import ipaddress
import re
import string
from collections.abc import Callable
from typing import Final

from remedy.core.errors import InventoryError

#: Most names one pattern may stand for.
MAX_NAMES: Final = 65_536
_MAX_PATTERN: Final = 1024
_MAX_DIGITS: Final = 18
_RANGE: Final = re.compile(r"\[[0-9a-z]+:[0-9a-z]+(?::[0-9]+)?\]", re.IGNORECASE)
_LABEL: Final = r"\w(?:[\w-]*\w)?(?<!_)"
_HOSTNAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\Z")
_WITH_PORT: Final = re.compile(r"((?:[^:\[\]]|\[[^\]]*\])*):([0-9]+)\Z")
_BRACKETED: Final = re.compile(r"\[(.+)\]:([0-9]+)\Z")
_LETTERS: Final = string.ascii_letters
_MAX_PORT: Final = 65_535


def is_address(text: str) -> bool:
    """Whether the text is a host name, an IPv4 or an IPv6 address, with or without ranges in it."""
    plain = _RANGE.sub("1", text)
    if _HOSTNAME.match(plain):
        return True
    try:
        ipaddress.IPv6Address(plain)
    except ValueError:
        return False
    return True


def split_port(text: str) -> tuple[str, int | None]:
    """A pattern and the port written behind it, None without one. What is not an address keeps its colon."""
    for shape in (_BRACKETED, _WITH_PORT):
        match = shape.match(text)
        if match and is_address(match[1]):
            return match[1], int(match[2])
    return text, None


def expand(text: str, *, where: str = "") -> tuple[list[str], int | None]:
    """The host names an inventory entry stands for, in order, and their port if one is given.

    Raises InventoryError on malformed ranges, on ranges that run backwards, on more than `MAX_NAMES` names and on
    ports above 65535.
    """
    if len(text) > _MAX_PATTERN:
        raise InventoryError(f"{text[:40]!r}… is too long for a host", where=where)
    pattern, port = split_port(text)
    if port is not None and port > _MAX_PORT:
        raise InventoryError(f"{port} is no TCP port", where=where, hint="ports go from 1 to 65535")
    names = [""]
    rest = pattern
    while "[" in rest:
        head, _, tail = rest.partition("[")
        bounds, closed, rest = tail.partition("]")
        if not closed:
            raise InventoryError(f"{text!r}: the range has no closing bracket", where=where, hint="write web[01:20]")
        parts = _sequence(bounds, text, where)
        if len(names) * len(parts) > MAX_NAMES:
            raise InventoryError(f"{text!r} stands for more than {MAX_NAMES} hosts", where=where)
        names = [name + head + part for name in names for part in parts]
    return [name + rest for name in names], port


def _sequence(bounds: str, text: str, where: str) -> list[str]:
    def wrong(why: str) -> InventoryError:
        return InventoryError(f"{text!r}: {why}", where=where, hint="write web[01:20], db[a:f] or x[0:10:2]")

    first, *others = bounds.split(":")
    if len(others) not in {1, 2}:
        raise wrong("a range is begin:end or begin:end:step")
    last, step_text = others[0], others[1] if others[1:] else "1"
    first = first or "0"
    if not last:
        raise wrong("the range has no end")
    if not (step_text.isascii() and step_text.isdigit()) or int(step_text[:9]) == 0:
        raise wrong("the step is a whole number above 0")
    step = int(step_text[:9])
    if len(first) == len(last) == 1 and first in _LETTERS and last in _LETTERS:
        letters = _LETTERS[_LETTERS.index(first) : _LETTERS.index(last) + 1 : step]
        if not letters:
            raise wrong("the range runs backwards")
        return list(letters)
    if not (first.isascii() and first.isdigit() and last.isascii() and last.isdigit()):
        raise wrong("a range goes over numbers or over single letters")
    return _numbers(first, last, step, wrong)


def _numbers(first: str, last: str, step: int, wrong: Callable[[str], InventoryError]) -> list[str]:
    width = len(first) if first[0] == "0" and len(first) > 1 else 0
    if width and width != len(last):
        raise wrong("with leading zeros, begin and end have the same number of digits")
    numbers = range(int(first[:_MAX_DIGITS]), int(last[:_MAX_DIGITS]) + 1, step)
    if not numbers:
        raise wrong("the range runs backwards")
    if len(numbers) > MAX_NAMES or max(len(first), len(last)) > _MAX_DIGITS:
        raise wrong(f"it stands for more than {MAX_NAMES} hosts")
    return [str(number).zfill(width) for number in numbers]
