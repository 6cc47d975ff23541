"""Files of an inventory: which are read, and what is refused unread."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from remedy.core.errors import InventoryError
from remedy.inventory import check, load


def test_script_is_refused_and_not_run(tmp_path: Path) -> None:
    """A dynamic inventory is not run; the message says how to make a static one of it."""
    marker = tmp_path / "ran"
    script = tmp_path / "dynamic"
    script.write_text(f"#!/bin/sh\ntouch {marker}\necho '{{}}'\n")
    script.chmod(0o755)
    with pytest.raises(InventoryError, match="dynamic inventory") as caught:
        load(script)
    assert "ansible-inventory" in caught.value.hint
    assert not marker.exists()


def test_binary_is_refused(tmp_path: Path) -> None:
    """A compiled program is refused as what it is."""
    (tmp_path / "hosts").write_bytes(b"\x7fELF\x02\x01")
    with pytest.raises(InventoryError, match="program"):
        load(tmp_path)


def test_executable_text_is_read_and_noted(tmp_path: Path) -> None:
    """Plain text with an executable bit is read, as Ansible does in the end, with a finding."""
    (tmp_path / "hosts").write_text("web1\n")
    (tmp_path / "hosts").chmod(0o755)
    found = load(tmp_path / "hosts")
    assert found.hosts == ("web1",)
    assert "executable" in found.notes[0].message


def test_huge_file_is_refused(tmp_path: Path) -> None:
    """A file of 100 MB is refused without being read."""
    path = tmp_path / "hosts.yml"
    with path.open("wb") as stream:
        stream.truncate(100_000_000)
    with pytest.raises(InventoryError, match="larger than 16 MiB"):
        load(path)


def test_nul_is_refused_with_its_line(tmp_path: Path) -> None:
    """A NUL byte is refused, in INI as in YAML, with its line."""
    for name in ("a.ini", "b.yml"):
        (tmp_path / name).write_bytes(b"[x]\ny\nz\x00\n")
        with pytest.raises(InventoryError, match="NUL") as caught:
            load(tmp_path / name)
        assert caught.value.where.endswith(f"{name}:3")


def test_fifo_does_not_hang(tmp_path: Path) -> None:
    """A named pipe among the sources is refused instead of waited for."""
    os.mkfifo(tmp_path / "hosts")
    with pytest.raises(InventoryError, match="not a regular file"):
        load(tmp_path)


def test_invalid_utf8(tmp_path: Path) -> None:
    """Old encodings pass in comments; elsewhere they are refused with their line."""
    (tmp_path / "hosts.ini").write_bytes(b"# Z\xfcrich\nweb1\n")
    assert load(tmp_path / "hosts.ini").hosts == ("web1",)
    (tmp_path / "hosts.ini").write_bytes(b"web1\nz\xfcrich\n")
    with pytest.raises(InventoryError, match="UTF-8") as caught:
        load(tmp_path / "hosts.ini")
    assert caught.value.where.endswith(":2")


def test_byte_order_mark_is_dropped(tmp_path: Path) -> None:
    """A file saved with a byte order mark reads like one without."""
    (tmp_path / "hosts.ini").write_bytes(b"\xef\xbb\xbf[web]\nw\n")
    assert load(tmp_path / "hosts.ini").groups["web"].members == ("w",)


def test_directory_loop_is_refused(tmp_path: Path) -> None:
    """A link back to the inventory is an error, not an endless walk."""
    (tmp_path / "back").symlink_to(tmp_path)
    with pytest.raises(InventoryError, match="leads back"):
        load(tmp_path)


def test_vars_loop_is_refused(tmp_path: Path) -> None:
    """A link that makes group_vars endless is an error."""
    (tmp_path / "hosts").write_text("[web]\nw\n")
    (tmp_path / "group_vars" / "web").mkdir(parents=True)
    (tmp_path / "group_vars" / "web" / "again").symlink_to(tmp_path / "group_vars" / "web")
    with pytest.raises(InventoryError, match="nested too deep"):
        load(tmp_path)


def test_names_cannot_leave_the_inventory(tmp_path: Path) -> None:
    """A host name with slashes reads no file outside host_vars."""
    (tmp_path / "secret.yml").write_text("stolen: true\n")
    inv = tmp_path / "inv"
    (inv / "host_vars").mkdir(parents=True)
    (inv / "hosts").write_text("../../secret\n")
    assert load(inv).variables("../../secret") == {}


def test_missing_and_unreadable(tmp_path: Path) -> None:
    """A missing inventory and a dangling link are told apart from malformed ones."""
    with pytest.raises(InventoryError, match="no such inventory"):
        load(tmp_path / "nowhere")
    (tmp_path / "hosts").symlink_to(tmp_path / "gone")
    with pytest.raises(InventoryError, match="cannot read"):
        load(tmp_path)


def test_encrypted_files(tmp_path: Path) -> None:
    """An encrypted source is refused; an encrypted variable file is a finding, for the rest can still be used."""
    (tmp_path / "hosts").write_text("web1 ansible_host='{{ address }}'\nweb2\n")
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars" / "all").write_text("$ANSIBLE_VAULT;1.1;AES256\n6162\n")
    found = load(tmp_path, home=tmp_path)
    assert found.target("web2").address == "web2"
    with pytest.raises(InventoryError, match="address") as caught:
        found.target("web1")
    assert "group_vars/all" in caught.value.hint
    assert any("group_vars/all" in finding.where for finding in found.check())
    (tmp_path / "hosts").write_text("$ANSIBLE_VAULT;1.1;AES256\n6162\n")
    assert [(f.severity, "Vault" in f.message) for f in check(tmp_path)] == [("error", True)]


def test_toml_is_refused(tmp_path: Path) -> None:
    """A TOML inventory is named as what is not read."""
    (tmp_path / "hosts.toml").write_text("[web.hosts]\nw = {}\n")
    with pytest.raises(InventoryError, match="TOML"):
        load(tmp_path / "hosts.toml")
