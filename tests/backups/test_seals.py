"""Encryptions by their first bytes, their names, and what their programs say at the end."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remedy.backups import containers, seals
from remedy.backups.seals import End, age, gpg, openssl
from remedy.backups.values import Keys
from remedy.core.errors import Refused
from remedy.core.values import Secret

MDC = b"\xd2\xc0\x4c\x01"


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\x85\x01\x0c\x03\x34\x80\x49\x83", "gpg"),  # old format, to a key
        (b"\x84\x5e\x03\x12\x34\x56\x78\x9a", "gpg"),  # old format, one octet of length
        (b"\xc1\xc0\x4c\x03\x34\x80\x49\x83", "gpg"),  # new format, two octets
        (b"\x8c\x0d\x04\x09\x03\x02\x1a\x60", "gpg"),  # with a passphrase
        (b"\xc3\x0d\x04\x09\x03\x02\x1a\x60", "gpg"),
        (b"\xc3\xff\x00\x00\x00\x0d\x04\x09", "gpg"),  # five octets
        (b"-----BEGIN PGP MESSAGE-----\n", "gpg"),
        (b"Salted__\x01\x02\x03\x04\x05\x06\x07\x08", "openssl"),
        (b"U2FsdGVkX1+abcdef", "openssl"),
        (b"age-encryption.org/v1\n", "age"),
        (b"-----BEGIN AGE ENCRYPTED FILE-----\n", "age"),
        (b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n", ""),
        (b"-- MariaDB dump 10.19", ""),
        (b"\xef\xbb\xbf-- MariaDB dump", ""),
        (b"\x1f\x8b\x08\x00\x00\x00\x00\x00", ""),
        (b"\x28\xb5\x2f\xfd\x04\x58\x01\x00", ""),
        (b"\xfd7zXZ\x00\x00\x04", ""),
        (b"", ""),
        (b"\x85", ""),
    ],
)
def test_seals_are_recognised_by_their_first_bytes(head: bytes, name: str) -> None:
    """What a file is, its first bytes tell; dumps and compressed files are no seals."""
    assert seals.recognise(head) == name


@given(st.binary(min_size=16, max_size=64))
def test_nothing_is_two_things(data: bytes) -> None:
    """No bytes are a seal and a compression at once, and none make recognition fail; text is never a seal."""
    assert not (seals.recognise(data) and containers.recognise(data))
    text = bytes(byte & 0x7F for byte in data)
    assert seals.recognise(b"-- " + text) == ""


@pytest.mark.parametrize(
    ("name", "bare", "seal"),
    [
        ("a.sql.gz.gpg", "a.sql.gz", "gpg"),
        ("a.sql.PGP", "a.sql", "gpg"),
        ("a.sql.enc", "a.sql", "openssl"),
        ("a.sql.zst.age", "a.sql.zst", "age"),
        ("a.sql", "a.sql", ""),
        (".age", ".age", ""),
    ],
)
def test_suffixes(name: str, bare: str, seal: str) -> None:
    """A suffix is taken off once, whatever its case; a name that is nothing else stays."""
    assert seals.without_suffix(name) == (bare, seal)


def test_secrets_are_never_arguments() -> None:
    """The program gets the number of a descriptor; without a key there is a refusal that names the setting."""
    keys = Keys(
        gpg_home="/root/keys",
        gpg_passphrase=Secret("env:GPG", "hidden"),
        openssl=Secret("env:PASS", "hidden"),
        openssl_options=("-aes-256-ctr", "-md", "sha512"),
        age_identity="/root/key.txt",
    )
    for module in (gpg, openssl, age):
        opening = module.opening(keys)
        assert "hidden" not in " ".join(opening.argv)
        assert (opening.secret is not None) == any(seals.DESCRIPTOR in word for word in opening.argv)
    assert openssl.opening(keys).argv[:6] == ("openssl", "enc", "-d", "-aes-256-ctr", "-md", "sha512")
    assert gpg.opening(Keys()).secret is None
    for module, setting in ((openssl, "openssl"), (age, "age_identity")):
        with pytest.raises(Refused, match="there is no") as caught:
            module.opening(Keys())
        assert setting in caught.value.hint


def ended(err: str, status: int = 2, **known: object) -> End:
    """A program that said this."""
    facts = {"given": 10_000, "got": 5_000, "whole": True, **known}
    return End(status, err.encode(), **facts)  # type: ignore[arg-type]


OKAY = "[GNUPG:] ENC_TO 3480498349FC3E06 1 0\n[GNUPG:] DECRYPTION_OKAY\n[GNUPG:] GOODMDC\n"


@pytest.mark.parametrize(
    ("err", "status", "code"),
    [
        (OKAY, 0, None),
        (OKAY + "[GNUPG:] ERRSIG FFB21D90978DC58C 1 10 00 1 9 14\n[GNUPG:] NO_PUBKEY FFB21D90978DC58C\n", 2, None),
        (OKAY + "[GNUPG:] BADSIG FFB21D90978DC58C somebody\n", 1, "corrupt"),
        ("[GNUPG:] DECRYPTION_OKAY\n[GNUPG:] BADMDC\n", 0, "corrupt"),
        ("[GNUPG:] ENC_TO 34FFFFFFFFFFFFFF 255 0\n", 0, ""),
        ("[GNUPG:] PLAINTEXT 62 1 DECRYPTION_OKAY\n[GNUPG:] BADMDC\n", 0, "corrupt"),
        ("[GNUPG:] PLAINTEXT 62 1 BAD_PASSPHRASE\n" + OKAY, 0, None),
        ("", 0, ""),
    ],
)
def test_gnupg_s_status_lines_count(err: str, status: int, code: str | None) -> None:
    """Success is what the status lines say, whatever the exit status is and whatever the sender named the file."""
    found = gpg.complaint(ended(err, status))
    assert (found.code if found else None) == code


def test_gnupg_names_the_key_that_is_wanted() -> None:
    """Every key that a message is encrypted to is named, but for hidden ones."""
    to = "".join(f"[GNUPG:] ENC_TO {key} 1 0\n" for key in ("3480498349FC3E06", "0" * 16, "00000000000000AB"))
    found = gpg.complaint(ended(to + "[GNUPG:] DECRYPTION_FAILED\ngpg: decryption failed: No secret key\n"))
    assert found
    assert (found.code, found.text) == (
        "wrong-key",
        "it is encrypted to 0x3480498349FC3E06 or 0x00000000000000AB, and there is no such secret key",
    )


@given(st.binary(max_size=300), st.integers(0, 255), st.booleans())
def test_no_words_make_the_verdict_fail(err: bytes, status: int, whole: bool) -> None:  # noqa: FBT001 -- generated
    """Whatever a program prints, the verdict is a complaint or none, and none only with status 0."""
    for module in (gpg, openssl, age):
        found = module.complaint(End(status, err, 10, 0, whole))
        assert found is None or found.text
        assert found is not None or status == 0


@pytest.mark.parametrize(
    "head",
    [
        b"-- MariaDB dump ",
        b"\xef\xbb\xbf-- MySQL dump",
        "-- 备份数据库的每日备份".encode()[:32],
        b"\r\n/*!40101 SET\t",
        b"XBSTCK01\x00\x50\x06\x00\x00\x00",
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
        b"\x28\xb5\x2f\xfd\x04\x58",
        b"a",
        b"",
    ],
)
def test_what_looks_like_a_backup(head: bytes) -> None:
    """Text in any language and known compressions are no reason to doubt a passphrase."""
    assert openssl.doubt(head) is None


def test_what_a_wrong_passphrase_gives_is_doubted() -> None:
    """Of twenty thousand beginnings by chance, none is taken for a backup."""
    chance = random.Random(1)  # noqa: S311 -- test data
    assert all(openssl.doubt(chance.randbytes(seals.HEAD)) for _ in range(20_000))
