"""Files that are written once: whole or not at all, and never over another.

Decides how a small file gets onto the disk so that a crash leaves either nothing or all of it.
Leaves to others: what is in it.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path


def put_new(path: Path, data: bytes, *, mode: int = 0o600) -> bool:
    """Write a new file durably (data and directory are flushed). False when the name is taken: nothing is changed.

    Raises OSError as the system gives it.
    """
    if path.exists():
        return False
    draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_native_id()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        try:
            os.link(draft, path)  # unlike rename, refuses when the name is taken
        except FileExistsError:
            return False
    finally:
        draft.unlink(missing_ok=True)
    sync_directory(path.parent)
    return True


def sync_directory(path: Path) -> None:
    """Flush a directory, so that names made in it survive a power loss."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
