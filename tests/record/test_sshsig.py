"""Signatures and keys against the real ssh-keygen."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from pathlib import Path

import pytest

from remedy.core.errors import RecordBroken, RecordUnavailable
from remedy.record import keys, sshsig

MESSAGE = b"what is signed\n" * 50


def ssh_keygen(*args: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run the real one."""
    return subprocess.run(["ssh-keygen", *map(str, args)], input=stdin, capture_output=True, check=False)


def test_signature_is_byte_for_byte_ssh_keygens(tmp_path: Path) -> None:
    """The same key and message give the very bytes that `ssh-keygen -Y sign` writes."""
    key = keys.load_or_make(tmp_path, entropy=os.urandom)
    theirs = ssh_keygen("-Y", "sign", "-f", tmp_path / keys.KEY_NAME, "-n", "test-v1", stdin=MESSAGE)
    assert theirs.returncode == 0, theirs.stderr
    assert sshsig.sign(key, MESSAGE, namespace="test-v1").encode() == theirs.stdout


def test_ssh_keygen_accepts_ours_and_knows_the_key(tmp_path: Path) -> None:
    """`ssh-keygen -Y verify` accepts our signature and `ssh-keygen -l` prints our fingerprint."""
    key = keys.load_or_make(tmp_path, entropy=os.urandom)
    public = sshsig.public_key(key)
    (tmp_path / "sig").write_text(sshsig.sign(key, MESSAGE, namespace="test-v1"))
    (tmp_path / "allowed").write_text(public.allowed_signer("me", "test-v1"))
    args = ("-Y", "verify", "-f", tmp_path / "allowed", "-I", "me", "-n", "test-v1", "-s", tmp_path / "sig")
    assert ssh_keygen(*args, stdin=MESSAGE).returncode == 0
    assert ssh_keygen(*args, stdin=MESSAGE + b"!").returncode != 0
    assert public.fingerprint in ssh_keygen("-l", "-f", tmp_path / f"{keys.KEY_NAME}.pub").stdout.decode()


def test_we_accept_ssh_keygens_with_its_own_key(tmp_path: Path) -> None:
    """A key made by ssh-keygen is used, and what it signs verifies here."""
    path = tmp_path / keys.KEY_NAME
    assert ssh_keygen("-q", "-t", "ed25519", "-N", "", "-f", path).returncode == 0
    theirs = ssh_keygen("-Y", "sign", "-f", path, "-n", "test-v1", stdin=MESSAGE).stdout.decode()
    ours = sshsig.public_key(keys.load_or_make(tmp_path, entropy=os.urandom))
    assert sshsig.verify(MESSAGE, theirs, namespace="test-v1") == ours


def test_every_changed_character_is_refused(tmp_path: Path) -> None:
    """No single character of a signature can be changed to another that still verifies as the same key."""
    key = keys.load_or_make(tmp_path, entropy=os.urandom)
    good = sshsig.sign(key, MESSAGE, namespace="test-v1")
    for at in range(good.index("\n"), good.rindex("\n-----END")):
        bad = good[:at] + ("A" if good[at] != "A" else "B") + good[at + 1 :]
        try:
            signer = sshsig.verify(MESSAGE, bad, namespace="test-v1")
        except RecordBroken:
            continue
        assert signer != sshsig.public_key(key), at


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text.replace("BEGIN", "BEGAN"), "first or last line"),
        (lambda text: text.replace("U1NI", "AAAA"), "version 1"),
        (lambda text: text.split("\n")[0] + "\n%%%\n" + text.split("\n")[-2], "no base64"),
        (lambda _: "", "first or last line"),
    ],
)
def test_malformed_signature_says_what_is_wrong(tmp_path: Path, change: object, says: str) -> None:
    """What is no signature is refused with the reason."""
    good = sshsig.sign(keys.load_or_make(tmp_path, entropy=os.urandom), MESSAGE, namespace="test-v1")
    assert callable(change)
    with pytest.raises(RecordBroken, match=says):
        sshsig.verify(MESSAGE, change(good), namespace="test-v1")


@pytest.mark.parametrize("extra", [b"\x00", b"\x00\x00\x00\x00"])
def test_signature_with_bytes_behind_it_is_refused(tmp_path: Path, extra: bytes) -> None:
    """Nothing can be hidden behind the last field of a signature."""
    good = sshsig.sign(keys.load_or_make(tmp_path, entropy=os.urandom), MESSAGE, namespace="test-v1")
    first, *middle, last = good.strip().splitlines()
    longer = base64.b64encode(base64.b64decode("".join(middle)) + extra).decode()
    with pytest.raises(RecordBroken, match="too many"):
        sshsig.verify(MESSAGE, f"{first}\n{longer}\n{last}\n", namespace="test-v1")


def test_other_namespace_is_refused(tmp_path: Path) -> None:
    """A signature made for another purpose does not count."""
    good = sshsig.sign(keys.load_or_make(tmp_path, entropy=os.urandom), MESSAGE, namespace="other-v1")
    with pytest.raises(RecordBroken, match="made for b'other-v1'"):
        sshsig.verify(MESSAGE, good, namespace="test-v1")


def test_key_is_private_and_made_once(tmp_path: Path) -> None:
    """The key file is 0600 in a directory 0700, and a second use takes the same key."""
    first = keys.load_or_make(tmp_path / "new", entropy=os.urandom)
    second = keys.load_or_make(tmp_path / "new", entropy=os.urandom)
    assert sshsig.public_key(first) == sshsig.public_key(second)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "new" / keys.KEY_NAME).stat().st_mode & 0o777 == 0o600


def test_key_made_by_many_at_once_is_one(tmp_path: Path) -> None:
    """Threads that all find no key and make one end up with the same, every time."""
    for attempt in range(10):
        barrier = threading.Barrier(6)
        found: set[str] = set()

        def entropy(size: int, barrier: threading.Barrier = barrier) -> bytes:
            barrier.wait(10)  # nobody writes before everybody has seen that there is none
            return os.urandom(size)

        def work(folder: Path, found: set[str] = found) -> None:
            found.add(sshsig.public_key(keys.load_or_make(folder, entropy=entropy)).fingerprint)

        threads = [threading.Thread(target=work, args=(tmp_path / str(attempt),)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 1


def test_key_others_can_read_is_refused(tmp_path: Path) -> None:
    """A key with loose permissions is not used, and the message says how to go on."""
    keys.load_or_make(tmp_path, entropy=os.urandom)
    (tmp_path / keys.KEY_NAME).chmod(0o640)
    with pytest.raises(RecordUnavailable, match="chmod 600"):
        keys.load_or_make(tmp_path, entropy=os.urandom)


@pytest.mark.parametrize("how", ["garbage", "pass phrase", "rsa"])
def test_unusable_key_is_refused(tmp_path: Path, how: str) -> None:
    """Garbage, a key with a pass phrase and a key of another type are refused, not replaced."""
    path = tmp_path / keys.KEY_NAME
    if how == "garbage":
        path.write_text("no key\n")
        path.chmod(0o600)
    else:
        kind, phrase = ("ed25519", "secret") if how == "pass phrase" else ("rsa", "")
        assert ssh_keygen("-q", "-t", kind, "-N", phrase, "-f", path).returncode == 0
    before = path.read_bytes()
    with pytest.raises(RecordUnavailable, match=r"OpenSSH key|Ed25519"):
        keys.load_or_make(tmp_path, entropy=os.urandom)
    assert path.read_bytes() == before
