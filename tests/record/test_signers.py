"""Lists of keys are read as OpenSSH reads them, strictly, and judged as ssh-keygen judges."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from remedy.core.errors import RecordBroken, UsageError
from remedy.record import sealing, sshsig
from remedy.record.sealing import Signer
from remedy.record.signers import Signers, allowed_signers, public_keys, revoked_keys

NOW = datetime(2026, 11, 20, 7, 0, tzinfo=UTC)
SPACE = "remedy-evidence-v1"
MESSAGE = b"0000  bag-info.txt\n"


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    """A key that ssh-keygen made."""
    subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "li@adm2", "-f", tmp_path / "li"), check=True)
    return sealing.of_file(tmp_path / "li", SPACE)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A list to be written."""
    return tmp_path / "list"


def by_ssh_keygen(file: Path, signature: str, *more: str) -> bool:
    """What ssh-keygen says of a signature, for the signer remedy-evidence."""
    file.with_name("sig").write_text(signature)
    argv = ("ssh-keygen", "-Y", "verify", "-f", file, "-I", "remedy-evidence", "-n", SPACE, "-s", file.with_name("sig"))
    return not subprocess.run((*argv, *more), input=MESSAGE, capture_output=True, check=False).returncode


@pytest.mark.parametrize(
    ("options", "holds"),
    [
        ("", True),
        ('namespaces="remedy-evidence-v1"', True),
        ('namespaces="file,remedy-*"', True),
        ('namespaces="remedy-witness-v1"', False),
        ('valid-after="20261101",valid-before="20261201Z"', True),
        ('valid-before="202611200659Z"', False),
        ('valid-after="20261120070001Z"', False),
        ('namespaces="remedy-evidence-v1",valid-after="20261120065959Z"', True),
    ],
)
def test_allowed_signers(signer: Signer, file: Path, options: str, *, holds: bool) -> None:
    """Namespaces and times of an allowed_signers line are kept to, and ssh-keygen agrees."""
    file.write_text(f"# who\n\nremedy-evidence {options} {signer.public.line} a comment\n")
    signature = signer.sign(MESSAGE)
    judged = Signers(NOW, allowed_signers(file)).judge(MESSAGE, signature, SPACE)
    assert judged.problem == ("" if holds else "wrong-key")
    assert judged.identity == "remedy-evidence"
    assert by_ssh_keygen(file, signature, "-Overify-time=20261120070000Z") == holds


def test_public_keys(signer: Signer, tmp_path: Path) -> None:
    """A .pub file names a key by its comment."""
    judged = Signers(NOW, public_keys(tmp_path / "li.pub")).judge(MESSAGE, signer.sign(MESSAGE), SPACE)
    assert (judged.problem, judged.identity, judged.fingerprint) == ("", "li@adm2", signer.public.fingerprint)


def test_revoked_keys(signer: Signer, file: Path, tmp_path: Path) -> None:
    """A list of revoked keys of any type is the one that ssh-keygen takes."""
    subprocess.run(("ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", tmp_path / "other"), check=True)
    revoked = tmp_path / "revoked"
    revoked.write_text((tmp_path / "other.pub").read_text() + (tmp_path / "li.pub").read_text())
    file.write_text(f"remedy-evidence {signer.public.line}\n")
    signature = signer.sign(MESSAGE)
    assert by_ssh_keygen(file, signature)
    assert not by_ssh_keygen(file, signature, "-r", str(revoked))
    known = allowed_signers(file)
    assert Signers(NOW, known, revoked_keys(revoked)).judge(MESSAGE, signature, SPACE).problem == "revoked-key"
    assert not Signers(NOW, known, revoked_keys(tmp_path / "other.pub")).judge(MESSAGE, signature, SPACE).problem


def test_a_binary_list_is_refused(signer: Signer, tmp_path: Path) -> None:
    """A KRL is refused with what to do instead, not read as an empty list."""
    subprocess.run(("ssh-keygen", "-q", "-k", "-f", tmp_path / "krl", tmp_path / "li.pub"), check=True)
    with pytest.raises(UsageError, match="binary revocation list"):
        revoked_keys(tmp_path / "krl")
    assert signer.public.line


@pytest.mark.parametrize(
    "text",
    ["nonsense", "ssh-ed25519", "ssh-ed25519 !!!!", "ssh-ed25519 AAAA", "x cert-authority ssh-ed25519 AAAA", "\xff",
     'x valid-before="soon" KEY', 'x bogus="1" KEY', "KEYS", "x", 'x namespaces="*,!remedy-evidence-v1" KEY',
     'x namespaces="file",namespaces="*" KEY', 'x valid-before="20200101",VALID-BEFORE="20990101" KEY'],
)  # fmt: skip
def test_what_is_not_understood_is_an_error(signer: Signer, file: Path, text: str) -> None:
    """No line is skipped because it is not understood, in any of the lists."""
    file.write_bytes(text.replace("KEY", signer.public.line).encode("latin-1") + b"\n")
    for read in (allowed_signers, public_keys, revoked_keys):
        with pytest.raises(UsageError):
            read(file)
    with pytest.raises(UsageError, match="cannot be read"):
        public_keys(file.with_name("gone"))


def test_a_signature_in_another_form_is_none(signer: Signer) -> None:
    """Other line ends, other widths and lines too many are changes, though the signature fits."""
    text = signer.sign(MESSAGE)
    head, *lines, tail = text.splitlines()
    data = "".join(lines)
    forms = [text.replace("\n", "\r\n"), text.rstrip("\n"), f"{text}\n", f"{head}\n{data}\n{tail}\n"]
    for form in forms:
        assert sshsig.verify(MESSAGE, form, namespace=SPACE) == signer.public
        with pytest.raises(RecordBroken, match="not written as it was"):
            Signers(NOW).judge(MESSAGE, form, SPACE)
    assert not sshsig.is_canonical("")
    assert not sshsig.is_canonical("x\n!\ny\n")
    assert sshsig.is_canonical(text)


@pytest.mark.parametrize("how", ["open to all", "pass phrase", "rsa", "gone", "no key"])
def test_keys_that_cannot_sign(tmp_path: Path, how: str) -> None:
    """A witness's key that is open to others, locked, of another type or none is refused with what to do."""
    path = tmp_path / "key"
    kind, phrase = ("rsa" if how == "rsa" else "ed25519"), ("secret" if how == "pass phrase" else "")
    subprocess.run(("ssh-keygen", "-q", "-t", kind, "-N", phrase, "-f", path), check=True)
    if how == "open to all":
        path.chmod(0o644)
    elif how == "gone":
        path.unlink()
    elif how == "no key":
        path.write_text("nothing\n")
    with pytest.raises(UsageError, match=str(path)):
        sealing.of_file(path, SPACE)
