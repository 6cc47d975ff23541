"""Who a host is, by its key: OpenSSH's known_hosts files.

Decides whether a host key offered is the one on file, strictly: an unknown or changed key is an error and nothing is
ever added. Follows sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT". Leaves to others: the proof that the host has the key.

    198.18.1.10,web01 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI…        a plain name, several of them
    [198.18.1.10]:2222 ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTIt…     another port than 22
    |1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wm… ssh-rsa AAAAB3…    a hashed name
    *.lab,!bad.lab ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI…            patterns
    @revoked * ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI…                never accepted
    @cert-authority *.lab ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA…      not supported: refused with a message
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import hmac
import re
import shlex
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from remedy.core.errors import HostKeyError, InventoryError
from remedy.core.text import printable

DEFAULT_PORT = 22


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: marker ("", "@revoked" or "@cert-authority"), name patterns, key type, key blob, and where it is."""

    marker: str
    names: str
    kind: str
    blob: bytes
    file: str
    line: int


@dataclass(slots=True)
class Book:
    """The lines of one file, plain names indexed; patterns and hashes have to be tried one by one."""

    plain: dict[str, list[Entry]] = field(default_factory=dict)
    other: list[Entry] = field(default_factory=list)

    def find(self, name: str) -> list[Entry]:
        """The entries for a host name, as `name_for` writes it."""
        return self.plain.get(name, []) + [entry for entry in self.other if matches(entry.names, name)]


def parse(text: str, file: str) -> Book:
    """Read one known_hosts file. Lines that are no entries are passed over, as OpenSSH does.

    Raises HostKeyError on a `@revoked` line that cannot be read: passing over it would accept the key it forbids.
    """
    book = Book()
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        marker = words.pop(0) if words[0].startswith("@") else ""
        try:
            names, kind, blob = words[0], words[1], base64.b64decode(words[2], validate=True)
        except (IndexError, binascii.Error) as error:
            if marker == "@revoked":
                raise HostKeyError(
                    "a @revoked line cannot be read", where=f"{file}:{number}", hint="correct the line"
                ) from error
            continue
        entry = Entry(marker, names, kind, blob, file, number)
        if marker or re.search(r"[*?!|]", names):
            book.other.append(entry)
        else:
            for name in names.split(","):
                book.plain.setdefault(name.lower(), []).append(entry)
    return book


def matches(names: str, name: str) -> bool:
    """Whether a comma-separated list of patterns, or one hashed name, names this host."""
    if names.startswith("|1|"):
        try:
            salt, digest = (base64.b64decode(part, validate=True) for part in names[3:].split("|"))
        except (ValueError, binascii.Error):
            return False
        return hmac.compare_digest(hmac.digest(salt, name.encode(), hashlib.sha1), digest)
    found = False
    for pattern in names.lower().split(","):
        # known_hosts has only * and ?; brackets are those of [host]:port.
        plain = pattern.removeprefix("!").replace("[", "[[]")
        if fnmatch.fnmatchcase(name, plain):
            if pattern.startswith("!"):
                return False
            found = True
    return found


def name_for(address: str, port: int) -> str:
    """How known_hosts writes a host: `[address]:port` unless the port is 22."""
    return address.lower() if port == DEFAULT_PORT else f"[{address.lower()}]:{port}"


def fingerprint(blob: bytes) -> str:
    """SHA-256 fingerprint of a key blob as OpenSSH prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


class KnownHosts:
    """known_hosts files, each read once until it changes. May be shared by threads."""

    def __init__(self, default: Iterable[Path] = ()) -> None:
        """`default` are the files used for targets that name none."""
        self._default = tuple(default)
        self._books: dict[Path, tuple[tuple[int, int, int], Book]] = {}
        self._lock = threading.Lock()

    def files(self, setting: str) -> tuple[Path, ...]:
        """The files a target's `known_hosts` names: one path, or several as ssh_config's UserKnownHostsFile.

        Raises InventoryError when the quoting is wrong.
        """
        if not setting:
            return self._default
        if Path(setting).is_file():
            return (Path(setting),)
        try:
            return tuple(Path(word).expanduser() for word in shlex.split(setting))
        except ValueError as error:
            raise InventoryError(f"the known_hosts setting {setting!r} cannot be split: {error}") from error

    def entries(self, setting: str, address: str, port: int) -> list[Entry]:
        """The entries that speak for a host. Without one for its port, those of the bare name do, as in OpenSSH.

        Raises HostKeyError when a file exists but cannot be read.
        """
        exact = self._find(setting, name_for(address, port))
        return exact if any(not entry.marker for entry in exact) else exact + self._find(setting, address.lower())

    def _find(self, setting: str, name: str) -> list[Entry]:
        books = [book for file in self.files(setting) if (book := self._book(file))]
        return [entry for book in books for entry in book.find(name)]

    def _book(self, file: Path) -> Book | None:
        try:
            stat = file.stat()
            mark = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
            with self._lock:
                if file not in self._books or self._books[file][0] != mark:
                    self._books[file] = (mark, parse(file.read_text("utf-8", "replace"), str(file)))
                return self._books[file][1]
        except FileNotFoundError:
            return None
        except OSError as error:
            raise HostKeyError(f"known hosts cannot be read: {error.strerror}", where=str(file)) from error

    def check(self, setting: str, address: str, port: int, offered: tuple[str, bytes], *, where: str) -> str:
        """Accept the key `offered` (type and blob) or raise HostKeyError; returns its fingerprint."""
        kind, blob = offered
        entries = self.entries(setting, address, port)
        print_ = fingerprint(blob)
        kind = printable(kind, 60, one_line=True)
        for entry in entries:
            if entry.marker == "@revoked" and entry.blob == blob:
                raise HostKeyError(
                    f"the host key {kind} {print_} is revoked",
                    where=where,
                    hint=f"revoked in {entry.file}:{entry.line}; do not use this host before it has a new key",
                )
        keys = [entry for entry in entries if not entry.marker]
        if any(entry.blob == blob for entry in keys):
            return print_
        raise self._refusal(setting, (address, port), (kind, blob), where)

    def _refusal(self, setting: str, host: tuple[str, int], offered: tuple[str, bytes], where: str) -> HostKeyError:
        kind, blob = offered
        name, print_ = name_for(*host), fingerprint(blob)
        files = self.files(setting)
        file = shlex.quote(str(files[0])) if files else "~/.ssh/known_hosts"
        short = "ecdsa" if "nistp" in kind else kind.removeprefix("ssh-")
        look = f"compare on the host's console: ssh-keygen -lf /etc/ssh/ssh_host_{short}_key.pub"
        accept = f"echo {shlex.quote(f'{name} {kind} {base64.b64encode(blob).decode()}')} >> {file}"
        entries = self._find(setting, name)
        keys = [entry for entry in entries if not entry.marker]
        if keys:
            known = next((entry for entry in keys if entry.kind == kind), keys[0])
            return HostKeyError(
                f"the host key has changed: offered {kind} {print_}, on file {known.kind} {fingerprint(known.blob)}"
                f" ({known.file}:{known.line}); somebody may be in between",
                where=where,
                hint=f"{look}; only if it is the offered one: ssh-keygen -R {shlex.quote(name)}"
                f" -f {shlex.quote(known.file)} && {accept}",
            )
        if any(entry.marker == "@cert-authority" for entry in entries):
            return HostKeyError(
                f"the host is known only through a certificate authority, which is not supported;"
                f" it offered {kind} {print_}",
                where=where,
                hint=f"{look}; then enter the host's own key: {accept}",
            )
        return HostKeyError(
            f"the host key is not known: offered {kind} {print_}, none on file for {name}",
            where=where,
            hint=f"{look}; if it is the same: {accept}",
        )
