"""How the lab's client and its supervisor talk: one JSON line each way over an abstract Unix socket.

Decides framing and how errors travel. The socket's name is the lab's lock too: there is one lab per network namespace
(so per machine), the name vanishes with its owner, and only root is answered.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from typing import Any

from remedy.core.errors import Refused, RemedyError, UsageError

__all__ = ["ADDRESS", "LabDown", "answer", "ask", "listen", "read_request"]

ADDRESS = "\0remedy-lab"
_LIMIT = 1 << 22
_PATIENCE = 120.0
_ERRORS: dict[str, type[RemedyError]] = {"UsageError": UsageError, "Refused": Refused}


class LabDown(Refused):
    """No lab is up on this machine."""


def listen() -> socket.socket:
    """Become the lab's supervisor. Raises OSError (EADDRINUSE) when another one lives."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        server.bind(ADDRESS)
        server.listen(64)
    except OSError:
        server.close()
        raise
    return server


def ask(request: dict[str, Any]) -> dict[str, Any]:
    """Send one request and return the reply.

    Raises LabDown, Refused when the caller is not root, or the error the supervisor answered with.
    """
    if os.geteuid() != 0:
        raise Refused("the lab answers root only", hint="run the command again with sudo")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(_PATIENCE)
        try:
            client.connect(ADDRESS)
            client.sendall(json.dumps(request).encode() + b"\n")
            with client.makefile("rb") as stream:
                line = stream.readline(_LIMIT)
        except ConnectionRefusedError as error:
            raise LabDown("the lab is not up", hint="bring it up with: remedy lab up") from error
        except OSError as error:
            raise RemedyError(f"the lab's supervisor does not answer: {error}", hint="remedy lab down") from error
    if not line:
        raise RemedyError("the lab's supervisor ended without an answer", hint="remedy lab down")
    reply: dict[str, Any] = json.loads(line)
    if "error" in reply:
        kind = _ERRORS.get(reply["kind"], RemedyError)
        raise kind(reply["error"], where=reply["where"], hint=reply["hint"])
    return reply


def read_request(peer: socket.socket) -> dict[str, Any] | None:
    """The request a client sent; None when it is not root or sent nothing useful within two seconds."""
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    if struct.unpack("3i", credentials)[1] != 0:
        return None
    peer.settimeout(2)
    try:
        with peer.makefile("rb") as stream:
            request = json.loads(stream.readline(_LIMIT) or b"null")
    except (OSError, ValueError):
        return None
    return request if isinstance(request, dict) else None


def answer(peer: socket.socket, reply: dict[str, Any] | RemedyError) -> None:
    """Send the reply; a client that has gone away does not mind."""
    if isinstance(reply, RemedyError):
        kind = next((name for name, known in _ERRORS.items() if isinstance(reply, known)), "RemedyError")
        reply = {"error": reply.message, "where": reply.where, "hint": reply.hint, "kind": kind}
    try:
        peer.sendall(json.dumps(reply).encode() + b"\n")
    except OSError:
        return
