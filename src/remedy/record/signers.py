"""Whose keys may sign, and whose may no longer: lists in OpenSSH's own forms, and what they say of a signature.

Decides how three kinds of files are read (ssh-keygen(1), ALLOWED SIGNERS and `-Y verify -r`), always strictly: a line
that is not understood is an error, never a key less. A signers' file, a plain public key, and a list of revoked keys,
one public key a line, which `ssh-keygen -Y verify -r` takes too:

    remedy-evidence namespaces="remedy-evidence-v1" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI…
    ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI… ann@adm1

Leaves to others: the signature itself (`sshsig`), what follows from a verdict (`evidence.findings`).
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from remedy.core.errors import RecordBroken, UsageError
from remedy.core.text import printable
from remedy.evidence.findings import Signature
from remedy.record import sshsig
from remedy.record.sshsig import PublicKey

__all__ = ["Allowed", "Signers", "allowed_signers", "of_lines", "public_keys", "revoked_keys"]

_KEY: Final = re.compile(r"((?:ssh|ecdsa|sk)-[A-Za-z0-9@.-]+) ([A-Za-z0-9+/]+={0,2})(?: (.*))?")
_OPTION: Final = re.compile(r'(namespaces|valid-after|valid-before)="([^"]*)"', re.IGNORECASE)
_LARGEST: Final = 4 * 1024 * 1024
_FORMATS: Final = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}


@dataclass(frozen=True, slots=True)
class Allowed:
    """A key that may sign: whose it is, for which namespaces (patterns), from when and until when; None: always."""

    key: PublicKey
    identity: str
    namespaces: tuple[str, ...] = ("*",)
    after: datetime | None = None
    before: datetime | None = None

    def fits(self, namespace: str, now: datetime) -> bool:
        """Whether it may sign for this namespace at this time."""
        if (self.after is not None and now < self.after) or (self.before is not None and now > self.before):
            return False
        return any(fnmatch.fnmatchcase(namespace, pattern) for pattern in self.namespaces)


@dataclass(frozen=True, slots=True)
class Signers:
    """What is known of keys. `allowed` None means that nobody was named, which is not the same as nobody."""

    now: datetime
    allowed: tuple[Allowed, ...] | None = None
    revoked: frozenset[bytes] = frozenset()

    def judge(self, message: bytes, armored: str, namespace: str) -> Signature:
        """As `evidence.findings.Judge`: whose signature it is, and what speaks against it. Raises RecordBroken."""
        key = sshsig.verify(message, armored, namespace=namespace)
        if not sshsig.is_canonical(armored):
            raise RecordBroken("the signature fits, but is not written as it was: a character of it was changed")
        own = [one for one in self.allowed or () if one.key == key]
        identity = next((one.identity for one in own), "")
        if key.blob in self.revoked:
            return Signature(key.fingerprint, identity, "revoked-key")
        if self.allowed is None:
            return Signature(key.fingerprint, "", "unknown-key")
        if not any(one.fits(namespace, self.now) for one in own):
            return Signature(key.fingerprint, identity, "wrong-key")
        return Signature(key.fingerprint, identity)


def public_keys(path: Path) -> tuple[Allowed, ...]:
    """Public keys, one a line, good for every namespace. Raises UsageError."""
    found = []
    for number, text in _lines(path):
        match = _KEY.fullmatch(text)
        if not match:
            raise UsageError("this is no public key", where=f"{path}:{number}", hint="ssh-ed25519 AAAA… [comment]")
        found.append(Allowed(_ed25519(text, path, number), match[3] or "the key named"))
    return tuple(found)


def allowed_signers(path: Path) -> tuple[Allowed, ...]:
    """The signers of a file (ssh-keygen(1), ALLOWED SIGNERS). Keys that are not Ed25519 signed no bag: left out.

    Raises UsageError, also on certificate authorities, which remedy does not know.
    """
    found = []
    for number, text in _lines(path):
        where = f"{path}:{number}"
        start = re.search(r"(?:^|\s)(?=(?:ssh|ecdsa|sk)-[A-Za-z0-9@.-]+ [A-Za-z0-9+/])", text)
        key = _KEY.fullmatch(text[start.end() :]) if start else None
        identity, _, options = text[: start.start()].strip().partition(" ") if start else ("", "", "")
        rest = _OPTION.sub("", options).strip(", \t")
        given = [(name.lower(), value) for name, value in _OPTION.findall(options)]
        if len(dict(given)) < len(given) or any("!" in value for name, value in given if name == "namespaces"):
            hint = "each option once, and no namespace that is excluded by '!': name those that count"
            raise UsageError("no line of an allowed_signers file", where=where, hint=hint)
        if not key or not identity or rest:
            hint = (
                f"{printable(rest, 80, one_line=True)!r} is not known here" if rest else 'IDENTITY [namespaces="…"] KEY'
            )
            raise UsageError("no line of an allowed_signers file", where=where, hint=hint)
        if not key[1].startswith("ssh-ed25519"):
            continue
        options_of = dict(given)
        found.append(
            Allowed(
                _ed25519(text[start.end() :] if start else "", path, number),
                identity.strip('"'),
                tuple(options_of.get("namespaces", "*").split(",")),
                _time(options_of.get("valid-after"), where),
                _time(options_of.get("valid-before"), where),
            )
        )
    return tuple(found)


def revoked_keys(path: Path) -> frozenset[bytes]:
    """Keys that are revoked, of any type, one a line. Raises UsageError, on a binary revocation list too."""
    found = set()
    for number, text in _lines(path):
        match = _KEY.fullmatch(text)
        try:
            blob = base64.b64decode(match[2] if match else "-", validate=True)
        except binascii.Error:
            blob = b""
        kind = match[1].encode() if match else b""
        if not blob.startswith(len(kind).to_bytes(4, "big") + kind):  # RFC 4253, section 6.6
            hint = "one revoked public key a line, as in .pub files"
            raise UsageError("this is no public key", where=f"{path}:{number}", hint=hint)
        found.add(_ed25519(text, path, number).blob if kind == b"ssh-ed25519" else blob)
    return frozenset(found)


def of_lines(lines: Iterable[str], identity: str) -> tuple[Allowed, ...]:
    """Signers from `ssh-ed25519 AAAA…` lines that are known to be good: those a record announces."""
    return tuple(Allowed(sshsig.parse_line(text), identity) for text in lines)


def _lines(path: Path) -> list[tuple[int, str]]:
    """The lines that say something, with their numbers."""
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
        if data.startswith(b"SSHKRL\n"):
            raise UsageError(
                "this is a binary revocation list",
                where=str(path),
                hint="name a text file with one revoked public key a line; ssh-keygen -Y verify -r takes that too",
            )
        if len(data) > _LARGEST:
            raise UsageError("too large for a list of keys", where=str(path))
        text = data.decode("utf-8")
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise UsageError("no list of keys: it is not text", where=str(path)) from error
    split = ((number, line.strip()) for number, line in enumerate(text.split("\n"), 1))
    return [(number, line) for number, line in split if line and not line.startswith("#")]


def _ed25519(text: str, path: Path, number: int) -> PublicKey:
    try:
        return sshsig.parse_line(text)
    except RecordBroken as error:
        raise UsageError(error.message, where=f"{path}:{number}", hint="remedy signs with Ed25519 keys") from error


def _time(text: str | None, where: str) -> datetime | None:
    """A time of ssh-keygen's: YYYYMMDD[HHMM[SS]], local unless it ends with Z."""
    if text is None:
        return None
    digits = text.removesuffix("Z")
    try:
        found = datetime.strptime(digits, _FORMATS.get(len(digits), ""))  # noqa: DTZ007 -- its zone follows
    except ValueError as error:
        raise UsageError(f"{printable(text, 40, one_line=True)!r} is no time", where=where) from error
    return found.replace(tzinfo=UTC) if text.endswith("Z") else found.astimezone()
