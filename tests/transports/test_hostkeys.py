"""known_hosts files, as OpenSSH writes and reads them."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from remedy.core.errors import HostKeyError, InventoryError
from remedy.transports.hostkeys import KnownHosts, fingerprint, matches, name_for, parse

from .conftest import Keys, run


def offer(keys: Keys, kind: str = "ed25519") -> tuple[str, bytes]:
    """Type and blob of one of the host keys."""
    name, text = keys.public(kind).split()
    return name, base64.b64decode(text)


def check(file: Path, keys: Keys, port: int = 22, kind: str = "ed25519") -> str:
    """Check a host key of 198.18.1.10 against one file."""
    return KnownHosts().check(str(file), "198.18.1.10", port, offer(keys, kind), where="web01")


def test_fingerprints_are_those_of_ssh_keygen(keys: Keys) -> None:
    """The fingerprint shown is the one an operator sees on the host's console."""
    for kind in ("ed25519", "ecdsa", "rsa"):
        assert fingerprint(offer(keys, kind)[1]) in run("ssh-keygen", "-lf", keys.host(kind))


@pytest.mark.parametrize("port", [22, 2222])
def test_names_hashed_by_ssh_keygen_are_found(keys: Keys, tmp_path: Path, port: int) -> None:
    """`ssh-keygen -H` and we agree on the hash, port included."""
    file = tmp_path / "known"
    file.write_text(f"{name_for('198.18.1.10', port)} {keys.public('ed25519')}\n")
    run("ssh-keygen", "-q", "-H", "-f", file)
    assert file.read_text().startswith("|1|")
    assert check(file, keys, port) == fingerprint(offer(keys)[1])


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ("198.18.1.10", True),
        ("web01,198.18.1.10", True),
        ("198.18.1.*", True),
        ("198.18.1.1?", True),
        ("198.18.*,!198.18.1.10", False),
        ("198.18.1.1", False),
        ("[198.18.1.10]:22", False),
        ("|1|broken", False),
        ("|1|AAAA|AAAA", False),
    ],
)
def test_patterns(names: str, found: bool) -> None:  # noqa: FBT001 -- the expectation
    """Lists, wildcards and negation name the hosts sshd(8) says they do."""
    assert matches(names, "198.18.1.10") is found


def test_a_pattern_with_a_port() -> None:
    """Brackets are part of the name, not a character class."""
    assert matches("[198.18.1.*]:2222", "[198.18.1.10]:2222")
    assert not matches("[198.18.1.*]:2222", "1")


def test_unknown_key_says_how_to_check_and_accept(keys: Keys, tmp_path: Path) -> None:
    """The very line the hint names makes the host known."""
    file = tmp_path / "known"
    with pytest.raises(HostKeyError, match="not known") as caught:
        check(file, keys, 2222)
    assert fingerprint(offer(keys)[1]) in caught.value.message
    assert "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub" in caught.value.hint
    run("sh", "-c", caught.value.hint.split("same: ")[1])
    assert check(file, keys, 2222)


def test_changed_key_shows_both_and_where(keys: Keys, tmp_path: Path) -> None:
    """Both fingerprints, file and line are in the message; the commands of the hint replace the key."""
    file = tmp_path / "known"
    file.write_text(f"# comment\n198.18.1.10 {keys.public('ecdsa')}\n")
    with pytest.raises(HostKeyError, match="has changed") as caught:
        check(file, keys)
    for kind in ("ecdsa", "ed25519"):
        assert fingerprint(offer(keys, kind)[1]) in caught.value.message
    assert f"{file}:2" in caught.value.message
    run("sh", "-c", caught.value.hint.split("one: ")[1])
    assert check(file, keys)
    with pytest.raises(HostKeyError):
        check(file, keys, kind="ecdsa")


def test_revoked_wins_over_known(keys: Keys, tmp_path: Path) -> None:
    """A revoked key is refused even where another line knows it."""
    file = tmp_path / "known"
    file.write_text(f"198.18.1.10 {keys.public('ed25519')}\n@revoked * {keys.public('ed25519')}\n")
    with pytest.raises(HostKeyError, match="revoked"):
        check(file, keys)


def test_an_unreadable_revocation_is_an_error(tmp_path: Path) -> None:
    """Passing over it could accept the key it forbids."""
    with pytest.raises(HostKeyError, match="@revoked"):
        parse("@revoked * ssh-ed25519 not*base64\n", str(tmp_path / "known"))


def test_certificate_authorities_are_refused_clearly(keys: Keys, tmp_path: Path) -> None:
    """A host known only through an authority is not taken for unknown or trusted."""
    file = tmp_path / "known"
    file.write_text(f"@cert-authority * {keys.public('rsa')}\n")
    with pytest.raises(HostKeyError, match="certificate authority"):
        check(file, keys)


def test_other_lines_are_passed_over(keys: Keys, tmp_path: Path) -> None:
    """Comments, old formats and damage do not hide the good line, in the second of two files."""
    first, second = tmp_path / "one", tmp_path / "two"
    first.write_text("# comment\n\n198.18.1.10 1024 35 1234\n198.18.1.10\n@what x y z\n")
    second.write_text(f"198.18.1.10 {keys.public('ed25519')} comment here\n")
    assert KnownHosts().check(f"{first} {second}", "198.18.1.10", 22, offer(keys), where="web01")


def test_a_name_without_port_accepts_but_never_accuses(keys: Keys, tmp_path: Path) -> None:
    """As in OpenSSH: the bare name's key is good on any port, and another key there is unknown, not changed."""
    file = tmp_path / "known"
    file.write_text(f"198.18.1.10 {keys.public('ed25519')}\n")
    assert check(file, keys, 2222)
    with pytest.raises(HostKeyError, match="not known"):
        check(file, keys, 2222, "ecdsa")


def test_a_changed_file_is_read_again(keys: Keys, tmp_path: Path) -> None:
    """Accepting a key while remedy runs is enough."""
    file = tmp_path / "known"
    hosts = KnownHosts([file])
    with pytest.raises(HostKeyError):
        hosts.check("", "198.18.1.10", 22, offer(keys), where="web01")
    file.write_text(f"198.18.1.10 {keys.public('ed25519')}\n")
    assert hosts.check("", "198.18.1.10", 22, offer(keys), where="web01")


def test_a_setting_with_bad_quotes_is_an_inventory_error() -> None:
    """An unclosed quote in the inventory is said to be one."""
    with pytest.raises(InventoryError, match="known_hosts"):
        KnownHosts().entries("'unclosed", "198.18.1.10", 22)


def test_a_folder_in_place_of_a_file_is_an_error(tmp_path: Path) -> None:
    """A file that is there but cannot be read is not taken for an empty one."""
    with pytest.raises(HostKeyError, match="cannot be read"):
        KnownHosts([tmp_path]).entries("", "198.18.1.10", 22)
