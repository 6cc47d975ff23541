r"""Copies that are folders on a host, or on this machine.

Decides how a folder that anybody may have filled is listed, read and written as root without being led astray: names
come with NULs between them, links are never followed, neither the last part of a name nor one before it, nothing but a
regular file is ever opened, and what is read must be what was listed (size and ctime, before and after). What is
written gets its name only when it is whole and on disk, and never the name of something else.
Leaves to others: the way to the host (`bulk`), what the files are (`backups`).

The host needs GNU find and coreutils. A listing looks like this, with \0 for NUL:

    f\0 1048576\0 1763632489.1234567890\0 web-2025-11-20.sql.zst\0 d\0 4096\0 …
"""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Iterable, Iterator
from typing import Final

from remedy.backups.ports import Damaged
from remedy.backups.values import Copy, File
from remedy.core.errors import AnswerUnusable, ChangeFailed, Refused, RemedyError, UsageError
from remedy.core.text import printable
from remedy.core.values import Command
from remedy.transports.bulk import Bulk
from remedy.transports.running import Running

#: Entries listed at most; a copy that holds more is no folder of backups.
LIMIT: Final = 200_000
_LISTING: Final = 64 * 1024 * 1024
#: Bytes up to which a file that is read or written shares a connection with others.
_SHORT: Final = 1024 * 1024
_KINDS: Final = {b"f": "file", b"d": "directory", b"l": "link"}
# Bytes of a file name, and characters of it that fit before an ending.
_LONGEST_NAME: Final = 255
_SHORTENED: Final = 50

# Exit statuses of the scripts below.
_NO_FOLDER, _CHANGED, _FAILED, _TAKEN = 66, 67, 68, 69
# Into the copy "$1". ls says why not, which some shells do not.
_ENTER: Final = 'cd -- "$1" 2>/dev/null || { ls -d -- "$1/." >&2; exit 66; }\n'
# Further into "./$2" without having followed a link: where we are now is where that would be without any.
_DEEPER: Final = 'top=$(pwd -P); cd -- "./$2" 2>/dev/null && [ "$(pwd -P)" = "${top%/}/$2" ] || exit 67\n'
# "./$3" is a regular file and what was listed, in the words "$5" of stat's format "$4".
_SAME: Final = '[ -f "./$3" ] && [ ! -L "./$3" ] && [ "$(stat -c "$4" -- "./$3")" = "$5" ] || exit 67\n'

_LIST: Final = f"{_ENTER}exec find -P . -ignore_readdir_race -mindepth 1 -printf '%y\\0%s\\0%C@\\0%P\\0'\n"
# The same of a log that a server goes on writing to: what was listed of it, "$5" bytes, stays as it is.
_GROWN: Final = '[ -f "./$3" ] && [ ! -L "./$3" ] && [ "$(stat -c "$4" -- "./$3")" -ge "$5" ] || exit 67\n'
# nonblock: should the file be a fifo by now, it is not waited for. The second look tells what has changed meanwhile.
_READ, _READ_LOG = (
    f'{_ENTER}[ "$2" = . ] || {{\n{_DEEPER}}}\n{same}'
    'dd if="./$3" bs=1M iflag=fullblock,nofollow,nonblock,skip_bytes,count_bytes skip="$6" count="$7" status=none'
    f" || exit 68\n{same}"
    for same in (_SAME, _GROWN)
)
_WRITE: Final = (
    f"{_ENTER}umask 077\n"
    'dd of="./$2" bs=1M iflag=fullblock oflag=nofollow conv=excl,fsync status=none || { rm -f -- "./$2"; exit 68; }\n'
    'stat -c %s -- "./$2"\n'
)
# A hard link cannot replace anything. Where the file system has none, mv -n; it says nothing when it did nothing.
_PLACE: Final = (
    f'{_ENTER}[ "$(stat -c %s -- "./$2")" = "$4" ] || exit 67\n'
    'if ln -T -- "./$2" "./$3" 2>/dev/null; then rm -f -- "./$2"; else mv -n -T -- "./$2" "./$3" || exit 68; fi\n'
    '[ ! -e "./$2" ] || exit 69\n'
    'sync -- "./$3" . || exit 68\nstat -c "%s %.9Z" -- "./$3"\n'
)
_REMOVE: Final = f'{_ENTER}[ "$2" = . ] || {{\n{_DEEPER}}}\n{_SAME}rm -- "./$3" && sync -- . || exit 68\n'


class FolderShelf:
    """The folder `copy.path` on `copy.host`. Implements backups.ports.Shelf and Store. May be shared by threads."""

    def __init__(self, copy: Copy, bulk: Bulk, *, limit: int = LIMIT) -> None:
        """Nothing is asked yet; `limit` entries are listed at most. Raises UsageError when the path is not absolute."""
        self.copy = copy
        self._limit = limit
        self._bulk = bulk
        self._where = f"{copy.host}:{printable(copy.path, one_line=True)}"
        # To the nanosecond, which a File does not tell.
        self._seen: dict[str, tuple[int, str]] = {}
        if not copy.path.startswith("/") or "\0" in copy.path:
            raise UsageError("the path of a copy has to be absolute", where=self._where)

    def list(self) -> tuple[File, ...]:
        """As backups.ports.Shelf. Names that nobody could type are made printable, and are no files to be read."""
        files: dict[str, File] = {}
        seen: dict[str, tuple[int, str]] = {}
        with self._start(_LIST, short=True) as running:
            for kind, size, changed, name in _entries(running, self._where, self._limit):
                if not size.isdigit():
                    raise AnswerUnusable("the host lists files in a way that cannot be read", where=self._where)
                file = _file(kind, size, changed, name)
                files[file.name] = file
                seen[file.name] = (file.size, _nanoseconds(changed.decode("ascii", "replace")))
            self._check(running)
        self._seen = seen
        return tuple(sorted(files.values(), key=lambda file: file.name))

    @contextlib.contextmanager
    def read(self, file: File, *, start: int = 0, length: int = -1) -> Iterator[Iterator[bytes]]:
        """As backups.ports.Shelf. Raises Refused for what is no file, or may not be read."""
        if file.kind != "file":
            raise Refused(_NEVER.get(file.kind, _NEVER["other"]), where=self._name(file.name), hint=_PLAIN)
        begin, count = span(file, start, length)
        folder, name, form, words = self._place(file)
        script = _READ_LOG if self.copy.growing else _READ
        if self.copy.growing:
            form, words = "%s", f"{file.size}"
        arguments = (folder, name, form, words, str(begin), str(count))
        with self._start(script, *arguments, short=count <= _SHORT) as running:
            yield self._bytes(running, file, count)

    def write(self, name: str, chunks: Iterable[bytes]) -> File:
        """As backups.ports.Store."""
        if not plain(name):
            raise UsageError(f"{printable(name, 100, one_line=True)!r} is no name for a backup", where=self._where)
        part = f"{name[:_SHORTENED]}.{secrets.token_hex(8)}.part"
        try:
            size = self._send(part, name, chunks)
            with self._start(_PLACE, part, name, str(size), short=True) as running:
                said = b"".join(running)
                self._check(running, name)
        except BaseException:
            with contextlib.suppress(RemedyError), self._start('cd -- "$1" && rm -f -- "./$2"', part) as running:
                running.finish()
            raise
        stored, _, changed = said.decode("ascii", "replace").strip().partition(" ")
        if stored != str(size):
            raise AnswerUnusable("the host does not say what it has stored", where=self._name(name))
        self._seen[name] = (size, _nanoseconds(changed))
        return File(name, size, _seconds(changed))

    def remove(self, file: File) -> None:
        """As backups.ports.Store. Raises Damaged("changed") when it is no longer the file that was written."""
        with self._start(_REMOVE, *self._place(file), short=True) as running:
            self._check(running, file.name)

    def _send(self, part: str, name: str, chunks: Iterable[bytes]) -> int:
        size = 0
        # What is here already, such as a checksum, is small; a stream may be of any length.
        short = isinstance(chunks, list | tuple) and sum(map(len, chunks)) <= _SHORT
        with self._start(_WRITE, part, short=short) as running:
            try:
                for chunk in chunks:
                    running.write(chunk)
                    size += len(chunk)
            except ChangeFailed:
                self._check(running, name)  # says why, better than that it no longer reads
                raise
            running.close_input()
            said = b"".join(running)
            self._check(running, name)
        if said.strip() != str(size).encode():
            raise AnswerUnusable(f"{size} bytes were sent, and the host has others", where=self._name(name))
        return size

    def _bytes(self, running: Running, file: File, count: int) -> Iterator[bytes]:
        got = 0
        for chunk in running:
            got += len(chunk)
            yield chunk
        self._check(running, file.name)
        if got != count:
            raise Damaged(
                "short", f"{got} bytes came where {count} are listed", where=self._name(file.name), hint="list it again"
            )

    def _place(self, file: File) -> tuple[str, str, str, str]:
        """Folder, name, and how to recognise the file: to the nanosecond where we have listed it ourselves."""
        folder, _, name = file.name.rpartition("/")
        size, exact = self._seen.get(file.name, (0, ""))
        if size == file.size and exact and _seconds(exact) == file.changed:
            return folder or ".", name, "%s %.9Z", f"{size} {exact}"
        return folder or ".", name, "%s %Z", f"{file.size} {file.changed}"

    def _start(self, script: str, *arguments: str, short: bool = False) -> Running:
        argv = ("sh", "-c", script, "remedy", self.copy.path, *arguments)
        return self._bulk.start(Command(argv), at=self.copy.host, short=short)

    def _name(self, name: str) -> str:
        return f"{self._where.rstrip('/')}/{printable(name, one_line=True)}"

    def _check(self, running: Running, name: str = "") -> None:
        """Wait for the end of a script. Raises what its status means."""
        status, err = running.finish()
        if status == 0:
            return
        where = self._name(name) if name else self._where
        said = printable(err.strip(), 300, one_line=True)
        # "dd: error writing './x': No space left on device" says it in its last part.
        why = said.rpartition(": ")[2] or f"status {status}"
        if status == _CHANGED or "symbolic links" in why:
            raise Damaged("changed", "it is no longer the file that was listed", where=where, hint="list it again")
        if status == _TAKEN or "File exists" in why:
            raise Refused("there is something of that name, which stays", where=where, hint="take another name")
        if status == _NO_FOLDER:
            raise Refused(f"the folder cannot be entered: {why}", where=self._where, hint=_ENTERED)
        if "Input/output error" in why:
            raise Damaged("short", "the disk cannot give it back: Input/output error", where=where, hint=_DISK)
        raise Refused(said or why, where=where, hint=next((hint for text, hint in _HINTS if text in why), ""))


_NEVER: Final = {
    "link": "a symbolic link is never followed",
    "directory": "a folder is no file",
    "other": "only regular files with plain names are read",
}
_PLAIN: Final = "put the file itself into the copy, under a name without control characters"
_ENTERED: Final = "see the copy's path in the inventory, whether it is mounted, and the login user's rights"
_DISK: Final = "see the kernel's messages on that host; take the backup from another copy"
_HINTS: Final = (
    ("No space left", "make room there, or name another copy; nothing was left behind"),
    ("quota", "make room there, or name another copy; nothing was left behind"),
    ("Read-only", "the file system is mounted read-only: see the kernel's messages on that host"),
    ("Permission denied", "give the login user the right to it, or set ansible_become"),
)


def _entries(running: Running, where: str, limit: int) -> Iterator[tuple[bytes, bytes, bytes, bytes]]:
    """Kind, size, ctime and name of everything listed. Raises Refused when there is no end of it."""
    rest, total, entries = b"", 0, 0
    fields: list[bytes] = []
    for chunk in running:
        total += len(chunk)
        *found, rest = (rest + chunk).split(b"\0")
        fields += found
        whole = len(fields) // 4 * 4
        for at in range(0, whole, 4):
            yield fields[at], fields[at + 1], fields[at + 2], fields[at + 3]
        del fields[:whole]
        entries += whole // 4
        if entries > limit or total > _LISTING:
            raise Refused(
                f"there are more than {min(entries, limit)} entries", where=where, hint="name a narrower folder"
            )


def _file(kind: bytes, size: bytes, changed: bytes, name: bytes) -> File:
    try:
        text = name.decode()
    except UnicodeDecodeError:
        text = ""
    shown = printable(name, 4 * len(name) + 4, one_line=True)
    word = _KINDS.get(kind, "other")
    if text != shown:
        word = "other"
    return File(shown, int(size), _seconds(changed.decode("ascii", "replace")), kind=word)


def span(file: File, start: int, length: int) -> tuple[int, int]:
    """Where a read begins and how many bytes it brings, both within the file; as backups.ports.Shelf.read counts."""
    begin = max(0, file.size + start) if start < 0 else min(start, file.size)
    return begin, file.size - begin if length < 0 else min(length, file.size - begin)


def plain(name: str) -> bool:
    """Whether a file may get this name: one part, nothing hidden, nothing that needs care in a shell or on a screen."""
    return bool(re.fullmatch(r"\w[\w.+@=~,:-]*", name)) and len(name.encode()) <= _LONGEST_NAME


def _seconds(ctime: str) -> int:
    whole = ctime.partition(".")[0]
    return int(whole) if whole.lstrip("-").isdigit() else 0


def _nanoseconds(ctime: str) -> str:
    """As stat's %.9Z; find's %C@ has a digit more."""
    whole, _, part = ctime.partition(".")
    return f"{whole}.{part[:9]:0<9}"
