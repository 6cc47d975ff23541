r"""Logs that another bag has in part: which of their bytes it has, and how a host is asked for the others.

Decides what counts as held: the beginning of a regular file of a tar, of some size, whose inode the timeline of the
same bag names. Its hash is compared on the host before anything is left out; a file that was rotated is found by its
inode, one that was rewritten or is not the same is asked for again as a whole. Pure: bytes in, scripts out. A host's
names serve only to find the inode in the same bag; a script holds nothing that the host said but digits of inodes.
Leaves to others: reading the bag (`transports.held`), running scripts (`transports.collecting`).

The tar is read here, header by header (POSIX ustar and GNU tar's long names; `tarfile` takes a header's word for how
much to keep in memory). What is not understood ends the reading: what came before is held.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from remedy.evidence.steps import Step

#: A file of which less is held is asked for again.
LEAST: Final = 64 * 1024
#: Files that are continued at most, the largest ones: the script has to fit.
MOST: Final = 1000
_BLOCK: Final = 512
_LONGEST_NAME: Final = 32 * 1024
_REGULAR: Final = b"0\0"
_LONG_NAME: Final = b"L"
_ODD: Final = b"S"  # GNU's sparse file: its bytes are not those of the file
#: A line of the timeline: name, inode.
_ENTRY: Final = re.compile(rb"0\|(/.*)\|([1-9][0-9]{0,19})\|-[^|]{9}\|[^|]*\|[^|]*\|[0-9]+\|[^|]*\|[^|]*\|[^|]*\|[^|]*")


@dataclass(frozen=True, slots=True)
class Held:
    """The first `size` bytes of a file, of which `sha256` is the hash. `inode` is 0 while nobody knows it."""

    name: bytes
    size: int
    sha256: str
    inode: int = 0


def members(chunks: Iterable[bytes]) -> Iterator[Held]:
    """The regular files of a tar that may be cut off anywhere, each as far as it is there."""
    source = _Source(chunks)
    long_name = b""
    while (header := source.take(_BLOCK)) and len(header) == _BLOCK:
        if not header.strip(b"\0"):
            continue  # the end of an archive; another may follow
        size = _size(header[124:136])
        if size is None or not _is_header(header):
            return
        kind = header[156:157]
        if kind == _LONG_NAME and size <= _LONGEST_NAME:
            long_name = source.take(size).rstrip(b"\0")
            source.skip(-size % _BLOCK)
            continue
        if kind in _REGULAR:
            yield _member(long_name or _name(header), size, source)
        elif kind == _ODD or kind not in b"12":
            source.skip(size)
        source.skip(-size % _BLOCK)
        long_name = b""


def inodes(lines: Iterable[bytes], wanted: Iterable[Held]) -> tuple[Held, ...]:
    """Those of `wanted` whose inode a timeline names, once: a name that stands there twice is nobody's."""
    found: dict[bytes, int] = {}
    names = {one.name: one for one in wanted if b"\n" not in one.name}
    for line in lines:
        entry = _ENTRY.fullmatch(line)
        if entry and (name := entry[1].lstrip(b"/")) in names:
            found[name] = 0 if name in found else int(entry[2])
    return tuple(replace(names[name], inode=inode) for name, inode in found.items() if inode)


def largest(held: Iterable[Held]) -> tuple[Held, ...]:
    """Those that are worth continuing."""
    big = [one for one in held if one.size >= LEAST]
    return tuple(sorted(big, key=lambda one: (-one.size, one.name))[:MOST])


def asking(step: Step, held: Sequence[Held]) -> Step:
    """A step whose `expand` prints the inodes of the files that still begin with what is held.

    Several files may have one inode number, on several file systems or by several names: such are not taken.
    """
    lines = "".join(f"same {one.inode} {one.size} {one.sha256}\n" for one in held)
    return replace(
        step,
        expand=f"""\
{_there(step)}
same() {{
  got=$(find $there -xdev -type f -inum "$1" -exec sh -c 'head -c "$1" "$2" | sha256sum' sh "$2" {{}} \\;)
  [ "$got" = "$3  -" ] && echo "$1"
}}
{lines}:
""",
        kind="text",
    )


def continuing(step: Step, held: Sequence[Held]) -> Step:
    """A step that gives what has been added to these files, each in a section of its own."""
    lines = "".join(f"more {one.inode} {one.size}\n" for one in held)
    return replace(
        step,
        run=f"""\
{_there(step)}
less=
more() {{
  now=$(find $there -xdev -type f -inum "$1" -exec stat -c %s {{}} \\;)
  if [ "${{now:-0}}" -lt "$2" ]; then
    echo "inode $1 was cut short while it was looked at" >&2
    less=yes
    return
  fi
  section "continued $1 $2"
  find $there -xdev -type f -inum "$1" -exec tail -c "+$(($2 + 1))" {{}} \\;
}}
{lines}[ -z "$less" ] || exit 65
""",
        kind="bytes",
    )


def without(step: Step, held: Sequence[Held]) -> Step:
    """The step itself, these files left out."""
    if not held:
        return step
    inodes_ = " -o ".join(f"-inum {one.inode}" for one in held)
    return replace(step, run=f"leave='! ( -type f ( {inodes_} ) )'\n{step.run}")


def _there(step: Step) -> str:
    """The places of a step that exist, as words."""
    places = " ".join(map(shlex.quote, step.places))
    return f"""\
set -f
there=
for place in {places}; do [ -e "$place" ] && there="$there $place"; done
[ -n "$there" ] || exit 66"""


def _member(name: bytes, size: int, source: _Source) -> Held:
    sha256, got = hashlib.sha256(), 0
    while got < size and (data := source.some(size - got)):
        sha256.update(data)
        got += len(data)
    return Held(name, got, sha256.hexdigest())


def _name(header: bytes) -> bytes:
    name = header[:100].split(b"\0")[0]
    prefix = header[345:500].split(b"\0")[0] if header[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name


def _is_header(header: bytes) -> bool:
    """Whether the checksum fits: the sum of all bytes, its own field taken for blanks."""
    wanted = header[148:156].strip(b" \0")
    return wanted.isdigit() and int(wanted, 8) == sum(header[:148]) + 8 * ord(" ") + sum(header[156:])


def _size(field_: bytes) -> int | None:
    """A size in octal digits, or GNU's base 256; None when it is neither."""
    if field_[:1] == b"\x80":
        return int.from_bytes(field_[1:], "big") if field_[1:4] == b"\0\0\0" else None
    digits = field_.strip(b" \0")
    return int(digits, 8) if re.fullmatch(rb"[0-7]{1,12}", digits) else None


class _Source:
    """Bytes that come in pieces, taken in others."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._ahead = b""

    def some(self, most: int) -> bytes:
        """At most so many bytes, b"" at the end."""
        while not self._ahead:
            data = next(self._chunks, None)
            if data is None:
                return b""
            self._ahead = data
        data, self._ahead = self._ahead[:most], self._ahead[most:]
        return data

    def take(self, count: int) -> bytes:
        """So many bytes, fewer at the end."""
        parts = []
        while count and (data := self.some(count)):
            parts.append(data)
            count -= len(data)
        return b"".join(parts)

    def skip(self, count: int) -> None:
        """Pass over so many."""
        while count and (data := self.some(count)):
            count -= len(data)
