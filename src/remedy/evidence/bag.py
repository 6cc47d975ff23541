r"""A bag of evidence as text: names, manifests, what is said of it. Text in, text out.

Decides the restricted BagIt bag (RFC 8493) that anybody can verify with stock tools:

    data/web01/0003-processes.out …
    manifest-sha256.txt manifest-sm3.txt   hashes of every file in data/
    bag-info.txt                   what the bag says of itself, and the hashes of the manifests
    bag-info.txt.tsr ca.pem        RFC 3161 token over it, where an authority was asked, and whose that is
    bagit.txt allowed_signers VERIFY.txt
    tagmanifest-sha256.txt         hashes of every file above but those in data/
    tagmanifest-sha256.txt.sig     SSHSIG over it, namespace `remedy-evidence-v1`
    witness-NAME.sig               SSHSIG of a witness over the tag manifest, namespace `remedy-witness-v1`

So the signature covers every byte, the token included, of which parts are covered by nothing else; and the token covers
the payload.

A manifest line is what sha256sum prints and checks; lines are sorted by their bytes, so that a bag of any size can be
compared with its manifest without holding either in memory:

    a3f5…0c9e  data/web01/0003-processes.out

Paths consist of letters, digits, `.`, `_`, `-` and `/`: names that RFC 8493 would percent-encode and sha256sum would
escape do not occur, since a target's own file names exist only inside tar members.
Leaves to others: writing, reading and verifying (`transports.bags`), signing (`record`), papers (`evidence.papers`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from remedy.core.errors import UsageError
from remedy.core.text import printable

#: SSHSIG namespaces of the one who collected and of a witness.
NAMESPACE: Final = "remedy-evidence-v1"
WITNESS_NAMESPACE: Final = "remedy-witness-v1"
#: Who signs, in allowed_signers files.
IDENTITY: Final = "remedy-evidence"

DECLARATION: Final = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
BAGIT, BAG_INFO, SIGNERS, AUTHORITY, INSTRUCTIONS = (
    "bagit.txt",
    "bag-info.txt",
    "allowed_signers",
    "ca.pem",
    "VERIFY.txt",
)
TAG_MANIFEST: Final = "tagmanifest-sha256.txt"
SIGNATURE: Final = f"{TAG_MANIFEST}.sig"
TOKEN: Final = f"{BAG_INFO}.tsr"
#: What a folder has in it until its bag is sealed, and what its name ends with.
UNSEALED: Final = "PARTIAL.txt"
UNSEALED_SUFFIX: Final = ".partial"
#: With an algorithm behind it: the label in bag-info.txt of the SHA-256 of that payload manifest.
MANIFEST_LABEL: Final = "Remedy-Manifest-"
#: Hash algorithms of payload manifests, in hashlib's words. SHA-256 always; SM3 (GB/T 32905) for Chinese courts.
SHA256, SM3 = "sha256", "sm3"
DIGESTS: Final = (SHA256, SM3)
#: Bytes of a path; a longer one does not fit every file system that a bag may be copied to.
LONGEST_PATH: Final = 200
#: Files of a bag, and entries of one of its folders that are looked at.
MOST_FILES: Final = 100_000
#: Bytes of a line of a manifest: hash, two spaces, path.
LONGEST_LINE: Final = 64 + 2 + LONGEST_PATH + 1

_PART: Final = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
_PATH: Final = re.compile(rf"data(?:/{_PART})+")
_LINE: Final = re.compile(rf"([0-9a-f]{{64}})  ({_PART}(?:/{_PART})*)")
_WITNESS: Final = re.compile(r"witness-([A-Za-z0-9][A-Za-z0-9_-]{0,60})\.sig")
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,60}")
_FOLDER: Final = re.compile(rf"bag-{_ID.pattern}({re.escape(UNSEALED_SUFFIX)})?")
_LABEL: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_TOO_LONG: Final = 4000


def manifest(digest: str) -> str:
    """The name of a payload manifest."""
    return f"manifest-{digest}.txt"


def checked_path(path: str) -> str:
    """A payload path as given. Raises UsageError unless it lies in `data/` and every tool takes it as it is."""
    if len(path) > LONGEST_PATH or not _PATH.fullmatch(path):
        raise UsageError(
            f"{printable(path, 200, one_line=True)!r} cannot be a path in a bag",
            hint="data/NAME, of letters, digits, '.', '_', '-' and '/', no part beginning with '.' or '-'",
        )
    return path


def name_of(text: str) -> str:
    """A part of a payload path made of any text: what it may not hold becomes `_`; never empty, at most 80 long."""
    made = re.sub(r"[^A-Za-z0-9._-]", "_", text)[:80].lstrip(".-")
    return made or "_"


def folder_name(bag_id: str) -> str:
    """The folder of a bag, within that of its incident. Raises UsageError when the id holds more than letters."""
    if not _ID.fullmatch(bag_id):
        raise UsageError(f"{printable(bag_id, 80, one_line=True)!r} cannot name a bag", hint="letters, digits, hyphens")
    return f"bag-{bag_id}"


def is_folder_name(name: str) -> bool:
    """Whether a folder of this name is a bag, sealed or not."""
    return bool(_FOLDER.fullmatch(name))


def witness_file(name: str) -> str:
    """The file of a witness's signature. Raises UsageError unless the name is of letters, digits, `_` and `-`."""
    if not _WITNESS.fullmatch(f"witness-{name}.sig"):
        raise UsageError(
            f"{printable(name, 80, one_line=True)!r} cannot name a witness's file",
            hint="letters, digits, '_' and '-', as in li-si; the full name is written on the papers by hand",
        )
    return f"witness-{name}.sig"


def witness_of(name: str) -> str:
    """Whose signature a file is, "" when it is no witness's."""
    found = _WITNESS.fullmatch(name)
    return found[1] if found else ""


@dataclass(frozen=True, slots=True)
class Info:
    """What a bag says of itself. Texts may hold anything; they are made one printable line each.

    `id` is new, `incident` the record's name for it, `title` what this is, in a sentence. `targets` are inventory
    names. `operator` who collects. `began` is UTC. `anchor` is the hash of the record's newest entry then.
    `signer` is the line of `allowed_signers` and `fingerprint` that of the key which will sign. `authority` is the URL
    of the time stamp authority to be asked, `authority_ca` its root certificates in PEM; "" for none. `more` are
    further labels, each becoming `Remedy-LABEL`.
    """

    id: str
    incident: str
    title: str
    operator: str
    began: str
    anchor: str
    signer: str
    fingerprint: str
    agent: str
    targets: tuple[str, ...] = ()
    profile: str = ""
    authority: str = ""
    authority_ca: str = ""
    more: tuple[tuple[str, str], ...] = ()

    def text(self, *, sealed: str, manifests: dict[str, str], size: int, count: int, lacking: tuple[str, ...]) -> str:
        """bag-info.txt (RFC 8493, section 2.2.2). `sealed` is UTC; `lacking` says what the bag has not, () if whole.

        `manifests` are the SHA-256 of the payload manifests, by the algorithm of each.
        """
        rows = [
            ("External-Identifier", self.id),
            ("Bag-Group-Identifier", self.incident),
            ("External-Description", self.title),
            ("Contact-Name", self.operator),
            ("Bagging-Date", sealed[:10]),
            ("Payload-Oxum", f"{size}.{count}"),
            ("Bag-Software-Agent", self.agent),
            ("Remedy-Format", "1"),
            *(("Remedy-Target", target) for target in self.targets),
            ("Remedy-Profile", self.profile),
            ("Remedy-Began", self.began),
            ("Remedy-Sealed", sealed),
            ("Remedy-Record-Head", self.anchor),
            *((f"{MANIFEST_LABEL}{name}", sha256) for name, sha256 in manifests.items()),
            ("Remedy-Signing-Key", self.fingerprint),
            ("Remedy-Time-Stamp-Authority", self.authority),
            ("Remedy-Completeness", "partial" if lacking else "whole"),
            *(("Remedy-Lacking", one) for one in lacking),
            *((f"Remedy-{label}", value) for label, value in self.more),
        ]
        return "".join(_row(label, value) for label, value in rows if value)


def _row(label: str, value: str) -> str:
    if not _LABEL.fullmatch(label):
        msg = f"{label!r} is no label"
        raise ValueError(msg)
    return f"{label}: {printable(value, _TOO_LONG, one_line=True).strip()}\n"


def parse_info(text: str) -> tuple[tuple[str, str], ...]:
    """Labels and values of bag-info.txt, in order. Raises ValueError on a line that is none; folded lines are none."""
    rows = []
    for line in text.split("\n")[:-1] if text.endswith("\n") else [*text.split("\n"), ""]:
        label, gap, value = line.partition(": ")
        if not gap or not _LABEL.fullmatch(label):
            msg = f"{printable(line, 80, one_line=True)!r} is no line of {BAG_INFO}"
            raise ValueError(msg)
        rows.append((label, value))
    return tuple(rows)


def line(digest: str, path: str) -> str:
    """One line of a manifest."""
    return f"{digest}  {path}\n"


def parse_line(text: str) -> tuple[str, str]:
    """Digest and path of one line of a manifest, its newline taken off. Raises ValueError on anything else."""
    found = _LINE.fullmatch(text)
    if not found or len(found[2]) > LONGEST_PATH:
        msg = f"{printable(text, 80, one_line=True)!r} is no line of a manifest"
        raise ValueError(msg)
    return found[1], found[2]


@dataclass(frozen=True, slots=True)
class Written:
    """A payload file that is on disk: its path in the bag, size in bytes, digests by algorithm, and what is wrong.

    `cut` is empty unless writing broke off: then the file holds what came until then.
    """

    path: str
    size: int
    digests: tuple[tuple[str, str], ...]
    cut: str = ""

    def digest(self, algorithm: str) -> str:
        """One digest, lower-case hex."""
        return dict(self.digests)[algorithm]


@dataclass(frozen=True, slots=True)
class Sealed:
    """A bag that is sealed. `name` is its folder's, `sha256` that of its tag manifest: what the record keeps of it.

    `lacking` says what it has not, () when it is whole. `stamped` is the time of its token in UTC, "" without one;
    `unstamped` says why an authority that was to be asked gave none.
    """

    id: str
    name: str
    sha256: str
    size: int
    count: int
    lacking: tuple[str, ...] = ()
    stamped: str = ""
    unstamped: str = ""


#: Gives the armored SSHSIG over the bytes of the tag manifest, in namespace `NAMESPACE`.
Sign = Callable[[bytes], str]
