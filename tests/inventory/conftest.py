"""Fixtures of the inventory tests: writing inventories, and the real Ansible as the oracle."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from remedy.inventory import Inventory, load

#: Writes the files of an inventory below a fresh directory and loads `root` of it (the only file by default).
Loader = Callable[..., Inventory]
#: Runs ansible-inventory with the given arguments; returns what it printed.
Oracle = Callable[..., str]


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """Write the files; the path of the single file, or of the folder when there are several."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder if len(files) > 1 else folder / next(iter(files))


@pytest.fixture
def inventory(tmp_path: Path) -> Loader:
    """Load an inventory from texts."""

    def make(files: Mapping[str, str], environ: Mapping[str, str] | None = None) -> Inventory:
        path = write(tmp_path / "inv", files)
        return load(path, user="operator", home=tmp_path / "home", environ=environ or {})

    return make


@pytest.fixture
def ansible(tmp_path: Path) -> Oracle:
    """The `ansible-inventory` of the development dependencies, shielded from the machine's own configuration."""

    def run(*arguments: str) -> str:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        empty = tmp_path / "empty"
        empty.mkdir(exist_ok=True)
        (empty / "ansible.cfg").write_text("")
        environ |= {
            "HOME": str(empty),
            "ANSIBLE_HOME": str(empty),
            "ANSIBLE_CONFIG": str(empty / "ansible.cfg"),
            "LC_ALL": "C.UTF-8",
        }
        argv = [sys.executable, "-m", "ansible", "inventory", *arguments]
        done = subprocess.run(argv, env=environ, cwd=empty, capture_output=True, text=True, timeout=120, check=True)
        return done.stdout

    return run


@pytest.fixture
def ansible_list(ansible: Oracle) -> Callable[[Path], dict[str, object]]:
    """The parsed answer of `ansible-inventory --list`, without the marker of its serialization profile."""

    def run(path: Path) -> dict[str, object]:
        answer: dict[str, object] = json.loads(ansible("-i", str(path), "--list"))
        meta = answer["_meta"]
        assert isinstance(meta, dict)
        meta.pop("profile", None)
        return answer

    return run
