r"""What the names of files in a backup folder say: compression, encryption, parts of a set, binary logs, dates.

Decides by names alone; what a file really is, its first bytes tell when it is read. Follows the names that mysqldump's
users, mydumper, mariadb-backup, split(1), 7-Zip, logrotate, rsync and the servers themselves give by default.

    site-2026-02-03.sql.gz.gpg      stem site-2026-02-03.sql, sealed and compressed
    site-2026-02-03.sql.gz.partab   the second part of that
    site.sql.gz.2                   no part: logrotate's third last one
    mariadb-bin.000412              a binary log
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from remedy.backups import containers, formats, seals

_UNFINISHED: Final = re.compile(
    r".\.(?:part|partial|tmp|temp|filepart|incomplete|inprogress|in-progress|uploading|crdownload)\Z|.~\Z",
    re.IGNORECASE,
)
_RSYNC: Final = re.compile(r"\.(?P<name>.+)\.[A-Za-z0-9]{6}\Z")
_PART_WORD: Final = re.compile(
    r"(?P<stem>.+?)(?P<style>[._-]part[._-]?)(?P<part>[a-z]{2,8}|[0-9]{1,8})\Z", re.IGNORECASE
)
_PART_LETTERS: Final = re.compile(r"(?P<stem>.+)(?P<style>\.)(?P<part>[a-z]{2,6})\Z")
_PART_DIGITS: Final = re.compile(r"(?P<stem>.+)(?P<style>\.)(?P<part>[0-9]{2,6})\Z")
_LOG: Final = re.compile(r"(?P<base>.+)\.(?P<number>[0-9]{6,10})\Z")
_LOG_BASE: Final = re.compile(r"(?:\A|.*[-_.])(?:bin|binlog)\Z", re.IGNORECASE)
_DATE: Final = re.compile(
    r"(?<![0-9])(?:19|20)[0-9]{2}[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:0[1-9]|[12][0-9]|3[01])(?![0-9]{1,3}(?:[^0-9]|\Z))"
    r"|(?<![0-9])1[0-9]{9}(?![0-9])"
)


@dataclass(frozen=True, slots=True)
class Part:
    """A file's place in a set: `whole` is the name without it, `style` and the form of `mark` keep sets apart."""

    whole: str
    style: str
    mark: str


def split_path(path: str) -> tuple[str, str]:
    """Folder and name of a path; the folder is "" at the top of the copy."""
    folder, _, name = path.rpartition("/")
    return folder, name


def bare(name: str) -> str:
    """A name without its suffixes of compression and encryption."""
    while suffix := next((one for one in suffixes() if name.lower().endswith(one) and len(name) > len(one)), ""):
        name = name[: -len(suffix)]
    return name


@functools.cache
def suffixes() -> tuple[str, ...]:
    """Those of every compression and encryption, with the dot."""
    modules = (*containers.registered().values(), *seals.registered().values())
    return (*(suffix for module in modules for suffix in module.SUFFIXES), *containers.UNREAD)


def looks_stored(name: str) -> bool:
    """Whether this is the name of a backup in one file, or of a compressed or encrypted anything."""
    return bool(formats.called(name)) or bare(name) != name


def unfinished(name: str) -> bool:
    """Whether some program gives this name while it still writes (rsync, curl, a script's own `.tmp`)."""
    hidden = _RSYNC.match(name)
    return bool(_UNFINISHED.search(name)) or bool(hidden and looks_stored(hidden["name"]))


def part(name: str) -> Part | None:
    """The part that a name may stand for; `is_set` says whether those found together are one."""
    inner = bare(name)
    outer = name[len(inner) :].lower()
    if word := _PART_WORD.match(inner):
        form = "0" if word["part"].isdigit() else "a"
        return Part(word["stem"], word["style"].lower() + form + outer, word["part"].lower())
    for shape in (_PART_LETTERS, _PART_DIGITS):
        match = shape.match(inner)
        if match and looks_stored(match["stem"]):
            return Part(match["stem"], "." + _style(match["part"]) + outer, match["part"])
    return None


def is_set(marks: Sequence[str], style: str) -> bool:
    """Whether these marks of one stem number the parts of a set, and are not suffixes that look like it.

    `.bak` and `.old` are none, nor is logrotate's `.10`: without the word "part" a set begins at aa, 00, 01 or 001, or
    not far from it when its beginning is lost.
    """
    if "part" in style:
        return True
    first = min(marks)
    return first[0] == "0" if first.isdigit() else set(first[:-1]) == {"a"}


def numbers(marks: Sequence[str]) -> list[int]:
    """The numbers that the marks of one set stand for, in the same order."""
    widened = _widens(marks)
    found = []
    for mark in (mark.lower() for mark in marks):
        base, zero = (10, "0") if mark.isdigit() else (26, "a")
        found.append(_widened(mark, base, zero) if widened else _number(mark, base, zero))
    return found


def gaps(counted: Sequence[int], *, least: int) -> str:
    """What is missing of a set, in words; "" when nothing is. That the last part is there, no name can tell.

    `least` is the highest number that a first part may have: 1 for digits (both 00 and 01 are usual), 0 for letters.
    """
    row = sorted(counted)
    if row[0] > least:
        return "the first part is missing"
    if len(set(row)) < len(row):
        return "two files claim to be the same part"
    lost = row[-1] - row[0] + 1 - len(row)
    after = next((step for step in range(1, len(row)) if row[step] != row[0] + step), 0)
    return f"parts are missing: {lost}, the first after part {after}" if lost else ""


def _widens(marks: Sequence[str]) -> bool:
    """Whether split(1) had to make the suffix longer: after yz come zaaa … zyzz, zzaaaaa; after 89, 9000."""
    widths = {len(mark) for mark in marks}
    return len(widths) > 1 and widths <= {2, 4, 6, 8} and all(_style(mark) == "2" for mark in marks)


def _style(mark: str) -> str:
    """The width a suffix began with."""
    last = "9" if mark.isdigit() else "z"
    longer = (len(mark) - 2) // 2
    begins_so = mark[:longer] == last * longer and mark[longer] != last
    return "2" if len(mark) % 2 == 0 and (longer == 0 or begins_so) else str(len(mark))


def _widened(mark: str, base: int, zero: str) -> int:
    longer = (len(mark) - 2) // 2
    before: int = sum((base - 1) * base ** (step + 1) for step in range(longer))
    return before + _number(mark[longer:], base, zero)


def _number(text: str, base: int, zero: str) -> int:
    number = 0
    for letter in text:
        number = number * base + ord(letter) - ord(zero)
    return number


def log(name: str) -> tuple[str, int] | None:
    """Base and number of what may be a binary log, compressed or not; None for any other name."""
    match = _LOG.match(bare(name))
    if not match or looks_stored(match["base"]):
        return None
    return match["base"], int(match["number"])


def is_log_base(base: str) -> bool:
    """Whether servers call their binary logs so by default: mysql-bin, mariadb-bin, db01-bin, binlog."""
    return bool(_LOG_BASE.match(base))


def dated(name: str) -> bool:
    """Whether a name holds a day or a second: then it is used once, and says which backup this is in any copy."""
    return bool(_DATE.search(name))


def day(name: str) -> int:
    """The beginning (UTC, seconds since 1970) of the day in a name; 0 when it holds none. A hint, never a proof."""
    match = _DATE.search(name)
    if not match:
        return 0
    digits = re.sub(r"[^0-9]", "", match[0])
    if len(digits) > len("YYYYMMDD"):
        return int(digits)
    try:
        return int(datetime(int(digits[:4]), int(digits[4:6]), int(digits[6:]), tzinfo=UTC).timestamp())
    except ValueError:
        return 0


#: With the number that a second one of a run gets, when the run was resumed.
_BEFORE: Final = re.compile(r"-before-(R[0-9a-f]{8})(?:-[0-9]{1,3})?(?:\.|\Z)")


def before_restore(name: str) -> str:
    """The run whose restore has put this aside first, "" for any other backup."""
    found = _BEFORE.search(name)
    return found[1] if found else ""


_UNPLAIN: Final = re.compile(r"[^A-Za-z0-9_.@+-]+")
_LONGEST: Final = 64


def of_schema(schema: str) -> str:
    """A schema as the beginning of a file's name: its letters, digits and `_.@+-`; what else there is becomes `_`.

    Any name may be a schema's, in any script; a file's goes through shells, stores and other people's tools. What is
    in a backup is told by the backup, not by its name.
    """
    plain = _UNPLAIN.sub("_", schema)[:_LONGEST]
    return plain if plain[:1].isalnum() else f"db{plain}"
