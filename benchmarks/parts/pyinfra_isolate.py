"""Read, apply, verify over a new connection: what an administrator with pyinfra would write. Run by pyinfra itself."""

from __future__ import annotations

import sys
from pathlib import Path

from pyinfra import host  # type: ignore[import-not-found]
from pyinfra.api import OperationError  # type: ignore[import-not-found]
from pyinfra.operations import python, server  # type: ignore[import-not-found]

_VERIFY = "nft -s -nn list table inet remedy_isolation; nft -s -nn list table bridge remedy_isolation"


def verify() -> None:
    """Log in again and compare. Raises OperationError."""
    host.disconnect()
    host.connect(raise_exceptions=True)
    held, output = host.run_shell_command(_VERIFY)
    if not held or output.stdout != Path(host.data.wanted).read_text(encoding="utf-8").rstrip("\n"):
        raise OperationError(f"not as wanted: {host.name}")
    sys.stdout.write(f"verified {host.name}\n")
    sys.stdout.flush()


server.shell(name="read", commands=["nft -s -nn list ruleset"])
server.shell(name="apply", commands=["nft -f -"], _stdin=Path(host.data.rules).read_text(encoding="utf-8").rstrip("\n"))
python.call(name="verify", function=verify)
