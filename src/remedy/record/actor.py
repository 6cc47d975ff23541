"""Who writes an entry: the operating-system user, the machine, the process, the remedy version.

Decides which facts make up the actor block; every entry's hashed header carries it.
Leaves to others: asking for it (the command line calls `here` once) and the SSH user, which is part of a body.
"""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from remedy.core.canon import canonical, encode
from remedy.record.scrub import one_line


@dataclass(frozen=True, slots=True)
class Actor:
    """The actor block. `sudo_user` is the user behind sudo, empty without; `pid` is the writing process."""

    user: str
    uid: int
    sudo_user: str
    machine: str
    pid: int
    version: str

    @property
    def text(self) -> str:
        """The canonical JSON that entries carry."""
        fields = encode(self)
        if not isinstance(fields, dict):  # a dataclass always encodes to an object
            raise TypeError(type(fields).__name__)
        return canonical({name: one_line(v) if isinstance(v, str) else v for name, v in fields.items()}).decode()


def here(*, environ: Mapping[str, str], version: str) -> Actor:
    """The actor block of this process; `environ` is asked for SUDO_USER alone (sudo(8))."""
    uid = os.getuid()
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:  # a container's uid without a passwd line
        user = f"uid {uid}"
    return Actor(user, uid, environ.get("SUDO_USER", ""), socket.gethostname(), os.getpid(), version)
