"""The lab's time stamp authority, over real HTTP, for tests."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from remedy.lab import programs

from . import children

PROGRAM = Path(programs.__file__).with_name("authority.py")


@dataclass(frozen=True)
class Authority:
    """Where it answers, and its root certificate, as PEM and as a file."""

    url: str
    root: str
    root_file: Path


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Authority]:
    """An authority that answers as long as the block, its keys and certificates in `folder`."""
    argv = (sys.executable, PROGRAM, folder, "0")
    with children.child(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        port = process.stdout.readline().split()[1]
        file = folder / "root.pem"
        yield Authority(f"http://127.0.0.1:{port}/tsa?x=1", file.read_text(), file)
