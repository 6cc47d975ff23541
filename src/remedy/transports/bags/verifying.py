"""Verifies a bag: every file against its hash, every name against the manifests, the signature, the token.

Decides what is looked at and in which order. The folder is walked in the order of the manifests' lines, so that both
are read once, side by side: memory does not grow with the bag, time grows with its bytes alone. A folder that no
manifest knows is named and not entered, a file that none knows is named and not opened. Nothing in the bag is believed
because the bag says so: without a named key or authority the end is a doubt, not a proof.

What a flipped bit leads to: in a payload file, "changed" with its path; in a manifest or tag file, "changed" with its
name; in the tag manifest or its signature, "signature".
Leaves to others: whose key it is (`Judge`), what the record says (the command line), exit codes.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from remedy.core.errors import AnswerUnusable, RemedyError, UsageError
from remedy.core.ports import Tell
from remedy.core.text import printable
from remedy.evidence import bag
from remedy.evidence.findings import Findings, Found, Judge, Signature
from remedy.transports.bags import opening, stamping
from remedy.transports.bags.manifests import Listed, Manifests
from remedy.transports.bags.opening import Entry, NotAFile
from remedy.transports.bags.sums import Sums, available

__all__ = ["verify"]

_REQUIRED: Final = frozenset(
    {bag.BAGIT, bag.BAG_INFO, bag.SIGNERS, bag.INSTRUCTIONS, bag.manifest(bag.SHA256)},
)
_OPTIONAL: Final = frozenset({bag.manifest(bag.SM3), bag.AUTHORITY, bag.TOKEN})
#: Bytes of a tag file that is read whole.
_SMALL: Final = 1024 * 1024
_SHOWN: Final = 200
#: Bytes of a tag file at most: those of a manifest that is full.
_LARGEST: Final = bag.MOST_FILES * bag.LONGEST_LINE


#: Told of every file of a bag when it is verified, with its size in bytes; what it returns gets the very bytes.
Copy = Callable[[str, int], Callable[[bytes], None]]


def verify(
    folder: Path, judge: Judge, *, roots: str = "", tell: Tell | None = None, copy: Copy | None = None
) -> Findings:
    """What speaks against a bag, if anything does. Reads all of it, changes nothing.

    `judge` says of a signature whose it is. `roots` are the time stamp authority's root certificates in PEM; without
    them those in the bag are taken, and said. `tell` hears of bytes and may raise. Raises UsageError when the folder
    cannot be opened at all.
    """
    try:
        root = opening.folder(str(folder))
        try:
            with Sums() as sums:
                check = _Check(folder.absolute().name, root, judge, sums)
                return check.done(
                    opening.entries(root), roots, tell or (lambda *_: None), copy or (lambda *_: _nothing)
                )
        finally:
            os.close(root)
    except OSError as error:
        hint = "name the folder of a bag; `remedy evidence list` shows those here"
        raise UsageError(f"no bag can be read here: {error.strerror}", where=str(folder), hint=hint) from error


def _nothing(_data: bytes) -> None:
    """Where what is read goes when nobody wants it."""


class _Check:
    """One bag being verified."""

    def __init__(self, name: str, root: int, judge: Judge, sums: Sums) -> None:
        self._name, self._root, self._judge, self._sums = name, root, judge, sums
        self._found = Found()
        self._size = self._count = 0
        self._total = 0  # bytes of payload by bag-info.txt; 0 when it does not say

    def done(self, listed: tuple[list[Entry], bool], roots: str, tell: Tell, copy: Copy) -> Findings:
        """Everything, in order. `listed` is what is in the bag's own folder."""
        self._roots, self._tell, self._copy = roots, tell, copy
        there, whole = listed
        if self._name.endswith(bag.UNSEALED_SUFFIX) or any(one.name == bag.UNSEALED for one in there):
            self._found.add("unsealed", "")
        tags = self._read(bag.TAG_MANIFEST)
        if tags is None:
            return Findings(printable(self._name, _SHOWN, one_line=True), findings=tuple(self._found.listed))
        self._copy(bag.TAG_MANIFEST, len(tags))(tags)
        sums = self._parsed(tags)
        info = self._tag_files(sums)
        said = dict(info)
        signature, witnesses = self._signatures(there, tags)
        stamped = self._token(sums, said)
        self._names(there, sums, whole=whole)
        self._payload(sums, said)
        self._agree(info, signature, sums)
        return Findings(
            printable(self._name, _SHOWN, one_line=True),
            info,
            hashlib.sha256(tags).hexdigest(),
            signature,
            stamped,
            witnesses,
            self._size,
            self._count,
            tuple(self._found.listed),
            self._found.more,
        )

    def _read(self, name: str) -> bytes | None:
        """A tag file; what keeps it from being read is found."""
        try:
            return opening.small(name, self._root, _SMALL)
        except NotAFile:
            self._found.add("unsafe", name)
        except FileNotFoundError:
            self._found.add("missing", name)
        except ValueError as error:
            self._found.add("malformed", name, str(error))
        except OSError as error:
            self._found.add("unreadable", name, error.strerror or "")
        return None

    def _text(self, name: str) -> str | None:
        data = self._read(name)
        try:
            return None if data is None else data.decode("utf-8")
        except UnicodeDecodeError:
            self._found.add("malformed", name, "is not text")
            return None

    def _parsed(self, tags: bytes) -> dict[str, str]:
        """Name and SHA-256 of each tag file, as far as the tag manifest is one."""
        sums: dict[str, str] = {}
        for raw in tags.split(b"\n")[:-1] if tags.endswith(b"\n") else [*tags.split(b"\n"), b""]:
            try:
                digest, name = bag.parse_line(raw.decode("ascii"))
            except ValueError as error:
                self._found.add("malformed", bag.TAG_MANIFEST, str(error))
                continue
            if name not in _REQUIRED | _OPTIONAL or name <= max(sums, default=""):
                self._found.add("malformed", bag.TAG_MANIFEST, f"{name} does not belong there, or not in this place")
                continue
            sums[name] = digest
        for name in sorted(_REQUIRED - set(sums)):
            self._found.add("malformed", bag.TAG_MANIFEST, f"does not name {name}")
        return sums

    def _tag_files(self, sums: dict[str, str]) -> tuple[tuple[str, str], ...]:
        """Compare every tag file with its hash; what bag-info.txt says."""
        for name, digest in sums.items():
            self._compare(name, name, self._root, Listed(name, ((bag.SHA256, digest),)), payload=False)
        if bag.BAGIT in sums and (text := self._text(bag.BAGIT)) is not None and text != bag.DECLARATION:
            self._found.add("malformed", bag.BAGIT, "is not the declaration of BagIt 1.0")
        text = self._text(bag.BAG_INFO) if bag.BAG_INFO in sums else None
        try:
            return bag.parse_info(text) if text else ()
        except ValueError as error:
            self._found.add("malformed", bag.BAG_INFO, str(error))
            return ()

    def _signatures(self, there: list[Entry], tags: bytes) -> tuple[Signature | None, tuple[tuple[str, str], ...]]:
        signature = self._judged(bag.SIGNATURE, tags, bag.NAMESPACE, "signature")
        if signature and signature.problem:
            text = {"wrong-key": "signed by {0}, which is none of the keys named", "revoked-key": "{0} is revoked"}
            whose = text.get(signature.problem, "signed by {0}; nothing says whose key that is")
            self._found.add(signature.problem, bag.SIGNATURE, whose.format(signature.fingerprint))
        witnesses = []
        for name in sorted(one.name for one in there if bag.witness_of(one.name)):
            seen = self._judged(name, tags, bag.WITNESS_NAMESPACE, "witness")
            if seen is None:
                continue
            if signature and seen.fingerprint == signature.fingerprint:
                self._found.add("witness", name, "signed by the key that sealed the bag: nobody witnesses for himself")
                continue
            witnesses.append((bag.witness_of(name), seen.fingerprint))
            if seen.problem == "revoked-key":
                self._found.add("revoked-key", name, f"{seen.fingerprint} is revoked")
            elif seen.problem:
                self._found.add("unknown-witness", name, f"signed by {seen.fingerprint}: compare it with the papers")
        return signature, tuple(witnesses)

    def _judged(self, name: str, tags: bytes, namespace: str, kind: str) -> Signature | None:
        text = self._text(name)
        if text is None:
            if name == bag.SIGNATURE:
                self._found.add("signature", name, "there is none")
            return None
        self._copy(name, len(text.encode()))(text.encode())
        try:
            return self._judge(tags, text, namespace)
        except RemedyError as error:
            self._found.add(kind, name, error.message)
            return None

    def _token(self, sums: dict[str, str], said: dict[str, str]) -> str:
        """The time of the token, "" without one that fits."""
        if bag.TOKEN not in sums:
            if authority := said.get("Remedy-Time-Stamp-Authority"):
                self._found.add("unstamped", bag.TOKEN, f"{printable(authority, _SHOWN)} gave none at sealing")
            return ""
        token, told = self._read(bag.TOKEN), self._read(bag.BAG_INFO)
        if token is None or told is None:
            return ""
        roots = self._roots or self._text(bag.AUTHORITY) or ""
        try:
            time = stamping.checked(token, told, roots)
        except AnswerUnusable as error:
            self._found.add("token", bag.TOKEN, error.message)
            return ""
        except UsageError as error:
            self._found.add("not-checked", bag.TOKEN, str(error))
            return ""
        if not self._roots:
            self._found.add("unknown-authority", bag.AUTHORITY)
        return time

    def _names(self, there: list[Entry], sums: dict[str, str], *, whole: bool) -> None:
        """What is in the bag's own folder."""
        known = {*sums, bag.TAG_MANIFEST, bag.SIGNATURE, bag.UNSEALED}
        for one in there:
            if (one.name, one.kind) == ("data", "folder") or one.name in known or bag.witness_of(one.name):
                continue
            self._found.add("unsafe" if one.kind == "other" else "added", printable(one.name, _SHOWN, one_line=True))
        if not whole:
            self._found.add("too-much", "")

    def _payload(self, sums: dict[str, str], said: dict[str, str]) -> None:
        size = said.get("Payload-Oxum", "").partition(".")[0]
        self._total = int(size) if size.isdecimal() and size.isascii() and len(size) < 19 else 0  # noqa: PLR2004 -- 2**63
        named = tuple(name for name in bag.DIGESTS if bag.manifest(name) in sums)
        usable = available(named)
        for name in set(named) - set(usable):
            self._found.add("not-checked", bag.manifest(name), "this machine's OpenSSL has no SM3; SHA-256 was checked")
        damaged = {one.path for one in self._found.listed}
        whole = tuple(name for name in usable if bag.manifest(name) not in damaged)
        manifests = Manifests(self._root, whole or usable, self._found)
        try:
            try:
                data = opening.folder("data", self._root)
            except OSError:
                self._found.add("missing", "data", "there is no folder of this name")
            else:
                self._folder(data, "data/", manifests)
            while manifests.next:
                self._gone(manifests)
        finally:
            manifests.close()
        if (oxum := f"{self._size}.{self._count}") != said.get("Payload-Oxum"):
            self._found.add("disagreeing", bag.BAG_INFO, f"Payload-Oxum is not what is there, {oxum}")

    def _folder(self, descriptor: int, path: str, manifests: Manifests) -> None:
        """Compare one folder, which is closed at the end, with the lines that belong to it."""
        try:
            there, whole = opening.entries(descriptor)
            for one in there:
                self._entry(one, descriptor, path, manifests)
            if not whole:
                self._found.add("too-much", path)
        except OSError as error:
            self._found.add("unreadable", path, error.strerror or "")
        finally:
            os.close(descriptor)

    def _entry(self, one: Entry, within: int, path: str, manifests: Manifests) -> None:
        key = os.fsencode(path) + one.key
        while manifests.next and manifests.next.path.encode() < key:
            self._gone(manifests)
        line = manifests.next
        shown = printable(key.decode("utf-8", "surrogateescape"), _SHOWN, one_line=True)
        if one.kind == "folder" and line and line.path.encode().startswith(key):
            try:
                self._folder(opening.folder(one.name, within), f"{path}{one.name}/", manifests)
            except OSError as error:
                self._found.add("unreadable", shown, error.strerror or "")
        elif one.kind == "file" and line and line.path.encode() == key:
            manifests.advance()
            self._compare(one.name, line.path, within, line)
        elif one.kind == "other":
            self._found.add("unsafe", shown)
            if line and line.path.encode() == key:
                manifests.advance()
        else:
            self._found.add("added", shown)

    def _gone(self, manifests: Manifests) -> None:
        if manifests.next:
            self._found.add("missing", manifests.next.path)
            manifests.advance()

    def _compare(self, name: str, path: str, within: int, line: Listed, *, payload: bool = True) -> None:
        """Read one file to its end and hold it against its hashes."""
        try:
            descriptor = opening.file(name, within)
        except NotAFile:
            self._found.add("unsafe", path)
            return
        except FileNotFoundError:
            self._found.add("missing", path)
            return
        except OSError as error:
            self._found.add("unreadable", path, error.strerror or "")
            return
        try:
            size = os.fstat(descriptor).st_size
            if size > (
                (self._total or size) if payload else _LARGEST
            ):  # not read: it could be as large as anybody likes
                self._found.add("changed", path, f"has {size} bytes, more than {'the bag' if payload else 'one'} had")
            else:
                self._hashed(descriptor, path, line, self._copy(path, size), payload=payload)
            if payload:
                self._size, self._count = self._size + size, self._count + 1
        except OSError as error:
            self._found.add("unreadable", path, error.strerror or "")
        finally:
            os.close(descriptor)

    def _hashed(
        self, descriptor: int, path: str, line: Listed, copy: Callable[[bytes], None], *, payload: bool
    ) -> None:
        self._sums.begin(tuple(name for name, _ in line.digests))
        done = self._size
        for chunk in opening.chunks(descriptor):
            self._sums.update(chunk)
            copy(chunk)
            done += len(chunk)
            if payload:
                self._tell(f"verifying {self._name}", done, max(self._total, done))
        seen = self._sums.ended()
        wrong = [name for name, digest in line.digests if seen[name] != digest]
        if wrong:
            text = f"its {' and '.join(wrong).upper().replace('SHA', 'SHA-').replace('AND', 'and')} is another"
            self._found.add("changed", path, text)

    def _agree(self, info: tuple[tuple[str, str], ...], signature: Signature | None, sums: dict[str, str]) -> None:
        """What tag files say of the rest of the bag."""
        said = dict(info)
        own = f"bag-{said.get('External-Identifier', '')}"
        if bag.is_folder_name(self._name) and self._name.removesuffix(bag.UNSEALED_SUFFIX) != own:
            self._found.add(
                "disagreeing", bag.BAG_INFO, f"is of {printable(own, _SHOWN, one_line=True)}, not of this bag"
            )
        for name in bag.DIGESTS:
            if said.get(f"{bag.MANIFEST_LABEL}{name}", "") != sums.get(bag.manifest(name), ""):
                self._found.add("disagreeing", bag.BAG_INFO, f"is of another {bag.manifest(name)} than the one listed")
        if signature and said.get("Remedy-Signing-Key") != signature.fingerprint:
            self._found.add("disagreeing", bag.BAG_INFO, f"names another key than signed, {signature.fingerprint}")
        if signature and bag.SIGNERS in sums and _fingerprint(self._text(bag.SIGNERS) or "") != signature.fingerprint:
            self._found.add("disagreeing", bag.SIGNERS, f"names another key than signed, {signature.fingerprint}")
        if said.get("Remedy-Completeness") == "partial":
            lacking = "; ".join(value for label, value in info if label == "Remedy-Lacking")
            self._found.add("partial", "", f"sealed as partial: {lacking}")


def _fingerprint(signers: str) -> str:
    """That of the key in a line of allowed_signers, which is its last word; "" when there is none."""
    try:
        blob = base64.b64decode(signers.rsplit(maxsplit=1)[-1], validate=True)
    except (ValueError, IndexError):
        return ""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
