"""Encrypted backups, opened by the real gpg, openssl and age."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import resource
import shutil
import subprocess
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remedy.backups.ports import Damaged
from remedy.backups.values import Keys
from remedy.core.errors import ConnectionLost, Refused, UsageError
from remedy.core.values import Secret
from remedy.transports.seals import Seals, unsealed

from .conftest import reveal

MIB = 1024 * 1024
PASSPHRASE = 'it\'s a "pass phrase" 王 $1\\'
RIGHT, WRONG = Secret("env:PASS", PASSPHRASE), Secret("env:PASS", "wrong")
NAMES = ("gpg", "gpg-armour", "gpg-passphrase", "openssl", "age", "age-armour")


def run(*argv: str | Path, data: bytes = b"") -> bytes:
    """Run a program that must succeed; its output."""
    return subprocess.run([str(a) for a in argv], input=data, capture_output=True, check=True).stdout


@dataclass(frozen=True)
class Vault:
    """Keys made once, and a way to encrypt with them."""

    folder: Path
    keys: Keys
    recipient: str

    def seal(self, kind: str, data: bytes) -> bytes:
        """What a backup script would have written."""
        gpg = ("gpg", "--homedir", self.folder / "sender", "--batch", "--no-tty")
        with self.descriptor() as number:
            loopback = ("--pinentry-mode", "loopback", "--passphrase-fd", number)
            argv: dict[str, tuple[str | Path, ...]] = {
                "gpg": (*gpg, "--trust-model", "always", "-r", "backup@example.org", "-e"),
                "gpg-armour": (*gpg, "--trust-model", "always", "-r", "backup@example.org", "--armor", "-e"),
                "gpg-passphrase": (*gpg, *loopback, "--s2k-count", "65536", "-c"),
                "openssl": ("openssl", "enc", "-aes-256-cbc", "-pbkdf2", "-pass", f"fd:{number}"),
                "age": ("age", "-r", self.recipient),
                "age-armour": ("age", "-a", "-r", self.recipient),
            }
            return subprocess.run(
                [str(a) for a in argv[kind]], input=data, capture_output=True, check=True, pass_fds=(int(number),)
            ).stdout

    @contextlib.contextmanager
    def descriptor(self) -> Iterator[str]:
        """A descriptor with the passphrase."""
        reader, writer = os.pipe()
        os.write(writer, PASSPHRASE.encode() + b"\n")
        os.close(writer)
        yield str(reader)
        os.close(reader)


def stop_agent(home: Path) -> None:
    """End the agent of a folder."""
    run("gpgconf", "--homedir", home, "--kill", "gpg-agent")


@pytest.fixture(scope="session")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vault]:
    """Key pairs for gpg (its secret key protected by a passphrase) and age, and a passphrase."""
    for program, package in (("gpg", "gnupg"), ("age", "age"), ("openssl", "openssl")):
        if not shutil.which(program):
            pytest.fail(f"these tests need {program}: apt-get install {package}")
    folder = tmp_path_factory.mktemp("vault")
    home, sender = folder / "home", folder / "sender"
    for made in (home, sender):
        made.mkdir(mode=0o700)
    # What makes guessing slow makes tests slow.
    (home / "gpg-agent.conf").write_text("default-cache-ttl 0\nmax-cache-ttl 0\ns2k-count 65536\n")
    made_by = ("gpg", "--homedir", home, "--batch", "--pinentry-mode", "loopback", "--passphrase", PASSPHRASE)
    run(*made_by, "--quick-generate-key", "Backup <backup@example.org>", "future-default", "default", "never")
    public = run("gpg", "--homedir", home, "--export", "backup@example.org")
    run("gpg", "--homedir", sender, "--batch", "--import", data=public)
    stop_agent(home)
    run("age-keygen", "-o", folder / "identity")
    recipient = run("age-keygen", "-y", folder / "identity").decode().strip()
    keys = Keys(gpg_home=str(home), gpg_passphrase=RIGHT, openssl=RIGHT, age_identity=str(folder / "identity"))
    yield Vault(folder, keys, recipient)
    for used in (home, sender):
        stop_agent(used)


def pieces(data: bytes, size: int = 100_003) -> Iterator[bytes]:
    """Data as it comes from a shelf."""
    return (data[at : at + size] for at in range(0, len(data), size))


def opened(data: bytes, keys: Keys) -> bytes:
    """What is inside."""
    return b"".join(unsealed(pieces(data), keys, reveal)[2])


def dump(size: int) -> bytes:
    """Something that looks like a backup and does not compress."""
    return b"-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB\n" + random.Random(size).randbytes(size)  # noqa: S311 -- test data


def programs(vault: Vault) -> set[str]:
    """The programs that this process has started and that still run, and the agent of its keys."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            name, _, after = stat.read_text().partition("(")[2].rpartition(")")
            ours = int(after.split()[1]) == os.getpid()
            if ours or vault.keys.gpg_home.encode() in (stat.parent / "cmdline").read_bytes().split(b"\0"):
                found.add(f"{name} {stat.parent.name}")
    return found


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("size", [0, 1, 3 * MIB])
def test_what_was_sealed_comes_out(vault: Vault, kind: str, size: int) -> None:
    """Every way of encrypting gives back the bytes, its name, and whether it proves them; nothing stays running."""
    before = programs(vault)
    data = dump(size) if size != 1 else b"x"
    name, proves, inside = unsealed(pieces(vault.seal(kind, data)), vault.keys, reveal)
    assert (name, proves) == (kind.partition("-")[0], not kind.startswith("openssl"))
    assert b"".join(inside) == data
    assert programs(vault) == before


@pytest.mark.parametrize("data", [b"", b"x", b"-- MariaDB dump", b"\x1f\x8b" + bytes(100)])
def test_what_is_not_sealed_stays_as_it_is(data: bytes) -> None:
    """Plain bytes come back unchanged, under no name, unproven, and no program runs."""
    name, proves, inside = unsealed(pieces(data, 3), Keys(), reveal)
    assert (name, proves, b"".join(inside)) == ("", False, data)


@pytest.mark.parametrize("kind", NAMES)
def test_the_wrong_key(vault: Vault, kind: str, tmp_path: Path) -> None:
    """Another key is told from damage, with a hint that says which one is wanted; the passphrase does not show."""
    data = vault.seal(kind, dump(3 * MIB))
    (tmp_path / "home").mkdir(mode=0o700)
    run("age-keygen", "-o", tmp_path / "other")
    keys = Keys(str(tmp_path / "home"), WRONG, WRONG, age_identity=str(tmp_path / "other"))
    with pytest.raises(Damaged) as caught:
        opened(data, keys)
    assert caught.value.code == "wrong-key"
    assert PASSPHRASE not in str(caught.value)
    if kind in {"gpg", "gpg-armour"}:
        listed = run("gpg", "--homedir", vault.keys.gpg_home, "--with-colons", "--list-keys").decode()
        wanted = next(line.split(":")[4] for line in listed.splitlines() if line.startswith("sub:"))
        assert f"0x{wanted}" in caught.value.message
        assert "--import" in caught.value.hint
        with pytest.raises(Damaged, match="is there, but does not open it") as caught:
            opened(data, replace(vault.keys, gpg_passphrase=WRONG))
        assert caught.value.code == "wrong-key"


@pytest.mark.parametrize("kind", ["gpg-passphrase", "openssl"])
def test_many_wrong_passphrases(vault: Vault, kind: str) -> None:
    """None of many wrong passphrases passes, not even where padding fits by chance."""
    data = vault.seal(kind, dump(10_000))
    seals = Seals(reveal)
    for number in range(20 if kind == "openssl" else 3):
        other = Secret("env:PASS", f"wrong {number}")
        keys = Keys(gpg_home=vault.keys.gpg_home, gpg_passphrase=other, openssl=other)
        with pytest.raises(Damaged) as caught:
            list(seals(pieces(data), keys)[2])
        assert caught.value.code == "wrong-key"


@pytest.mark.parametrize("size", [7, 10, 100_000])
def test_a_wrong_passphrase_that_openssl_takes(vault: Vault, size: int) -> None:
    """Where nothing in the stream tells, as by chance once in 256 times, what comes out is not taken for a backup."""
    unpadded = ("-aes-256-cbc", "-pbkdf2", "-nopad")
    with pytest.raises(Damaged, match="neither text nor a known compression") as caught:
        opened(vault.seal("openssl", dump(size)), replace(vault.keys, openssl=WRONG, openssl_options=unpadded))
    assert caught.value.code == "wrong-key"


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("share", [0.6, 0.999, -1, -17])
def test_a_cut_backup(vault: Vault, kind: str, share: float) -> None:
    """A file that lacks its end is truncated, wherever it was cut; of armour, the last line holds nothing."""
    data = sealed(vault, kind).rstrip(b"\n")
    if "armour" in kind:
        data = data.rpartition(b"\n-----END")[0]
    cut = data[: int(share) if share < 0 else int(len(data) * share)]
    with pytest.raises(Damaged) as caught:
        opened(cut, vault.keys)
    assert caught.value.code == "truncated"


@pytest.mark.parametrize("kind", ["gpg", "gpg-passphrase", "age"])
@settings(max_examples=8)
@given(place=st.floats(0, 1, exclude_max=True), cut=st.booleans())
def test_no_damage_passes(vault: Vault, kind: str, place: float, *, cut: bool) -> None:
    """What proves its bytes finds every flipped bit and every missing end."""
    data = bytearray(sealed(vault, kind))
    at = 20 + int((len(data) - 20) * place)
    if cut:
        del data[at:]
    else:
        data[at] ^= 1 << at % 8
    with pytest.raises(Damaged) as caught:
        opened(bytes(data), vault.keys)
    assert caught.value.code in {"truncated", "corrupt", "wrong-key"}


SEALED: dict[tuple[Path, str], bytes] = {}


def sealed(vault: Vault, kind: str) -> bytes:
    """The same sealed bytes for all examples."""
    key = (vault.folder, kind)
    if key not in SEALED:
        SEALED[key] = vault.seal(kind, dump(300_000))
    return SEALED[key]


def test_what_is_in_the_way(vault: Vault, tmp_path: Path) -> None:
    """No key, no such identity, no program and an impossible passphrase are said, with what to do."""
    for kind, setting in (("openssl", "`openssl`"), ("age", "`age_identity`")):
        with pytest.raises(Refused) as caught:
            opened(vault.seal(kind, b"-- x"), Keys())
        assert setting in caught.value.hint
    with pytest.raises(Refused, match="no such file") as caught:
        opened(vault.seal("age", b"-- x"), Keys(age_identity=str(tmp_path / "missing")))
    assert "age_identity" in caught.value.hint
    with pytest.raises(Refused, match="Unknown cipher"):
        opened(vault.seal("openssl", b"-- x"), replace(vault.keys, openssl_options=("-aes-256-nonsense",)))
    with pytest.raises(UsageError, match="line break"):
        opened(vault.seal("openssl", b"-- x"), Keys(openssl=Secret("env:PASS", "a\nb")))
    for kind, package in (("gpg", "gnupg"), ("openssl", "openssl"), ("age", "age")):
        nothing = Seals(reveal, environ={"PATH": str(tmp_path)})
        with pytest.raises(Refused, match="cannot be started") as caught:
            list(nothing(pieces(vault.seal(kind, b"-- x")), vault.keys, where="far: a.sql")[2])
        assert caught.value.hint == f"apt-get install {package}"
        assert caught.value.where == "far: a.sql"


def test_the_passphrase_shows_nowhere(vault: Vault) -> None:
    """While a program runs, no process has the passphrase in its arguments or environment."""
    for kind in ("gpg", "openssl"):
        name, _, inside = unsealed(pieces(vault.seal(kind, dump(5 * MIB))), vault.keys, reveal)
        next(inside)
        assert any(program.startswith(name) for program in programs(vault))
        for found in (*Path("/proc").glob("[0-9]*/cmdline"), *Path("/proc").glob("[0-9]*/environ")):
            with contextlib.suppress(OSError):
                assert PASSPHRASE.encode() not in found.read_bytes()
        assert isinstance(inside, Generator)
        inside.close()


@pytest.mark.parametrize("kind", NAMES)
def test_giving_up_leaves_nothing(vault: Vault, kind: str) -> None:
    """Neither a program nor its agent outlives a stream that is closed early or whose source breaks."""
    before = programs(vault)
    data = vault.seal(kind, dump(5 * MIB))

    def breaking() -> Iterator[bytes]:
        yield data[: 2 * MIB]
        raise ConnectionLost("the session broke")

    inside = unsealed(pieces(data), vault.keys, reveal)[2]
    next(inside)
    assert isinstance(inside, Generator)
    inside.close()
    with pytest.raises(ConnectionLost):
        list(unsealed(breaking(), vault.keys, reveal)[2])
    assert programs(vault) == before


def test_several_share_an_agent(vault: Vault) -> None:
    """The agent that one stream has started is not taken from another; it goes with the last; a guest's agent stays."""
    data = vault.seal("gpg", dump(MIB))
    before = programs(vault)
    seals = Seals(reveal)
    failed: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(2):
                assert b"".join(seals(pieces(data), vault.keys)[2]) == dump(MIB)
        except BaseException as error:  # noqa: BLE001 -- shown below
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert programs(vault) == before
    home = vault.keys.gpg_home
    run("gpgconf", "--homedir", home, "--launch", "gpg-agent")
    try:
        assert b"".join(seals(pieces(data), vault.keys)[2]) == dump(MIB)
        assert len(programs(vault) - before) == 1  # it was there before us
    finally:
        stop_agent(Path(home))


@pytest.mark.parametrize("kind", ["gpg", "openssl", "age"])
def test_memory_stays_flat(vault: Vault, kind: str) -> None:
    """Whether source or taker is the slower one, only some megabytes lie between."""
    plain = b"-- x\n" * (24 * MIB // 5)
    data = vault.seal(kind, plain)

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    def slowly(source: Iterable[bytes]) -> Iterator[bytes]:
        for number, piece in enumerate(source):
            if number % 50 == 0:
                time.sleep(0.005)
            yield piece

    before = most = resident()
    digest = hashlib.sha256()
    for chunk in slowly(unsealed(slowly(pieces(data)), vault.keys, reveal)[2]):
        digest.update(chunk)
        most = max(most, resident())
    assert digest.digest() == hashlib.sha256(plain).digest()
    assert most - before < 12 * MIB
