"""TCP connections tuned for an SSH login, where every packet waits for the one before.

Decides socket options and how long dialling may take. Leaves to others: everything said over the connection.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable
from typing import Final

from remedy.core.errors import ConnectFailed
from remedy.core.text import printable

_AHEAD: Final = 64 * 1024


class Wire:
    """A TCP socket that acknowledges at once and never waits to fill a packet.

    Nagle's algorithm against delayed acknowledgement costs an SSH login some 40 ms at several turns.
    TCP_NODELAY ends the one; TCP_QUICKACK (Linux, tcp(7)) the other, but the kernel takes it back, so it is set
    again after every read. Has the methods of a socket that paramiko uses.
    """

    def __init__(self, sock: socket.socket, silence: float) -> None:
        """Take over a connected socket; unacknowledged data for `silence` seconds will end the connection."""
        self._sock = sock
        self._closed = False  # paramiko asks for it by this name
        self._ahead = b""
        self._read = 0
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(silence * 1000))
        #: Address and TCP port of the other end, as the kernel has it.
        self.peer: tuple[str, int] = sock.getpeername()[:2]

    def recv(self, size: int) -> bytes:
        """Read up to `size` bytes, as socket.recv, but ahead: paramiko asks for a few bytes at a time. One reader."""
        if self._read == len(self._ahead):
            self._ahead, self._read = self._sock.recv(_AHEAD), 0
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        data = self._ahead[self._read : self._read + size]
        self._read += len(data)
        return data

    def send(self, data: bytes) -> int:
        """Write some bytes, as socket.send."""
        return self._sock.send(data)

    def settimeout(self, seconds: float | None) -> None:
        """As socket.settimeout."""
        self._sock.settimeout(seconds)

    def getpeername(self) -> tuple[str, int]:
        """Address and port of the other end, also after closing."""
        return self.peer

    def close(self) -> None:
        """End the connection.

        A thread reading from it wakes up; a mere close(2) would leave it asleep in recv(2).
        """
        self._closed = True
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()


def dial(
    address: str,
    port: int,
    *,
    seconds: float,
    silence: float,
    where: str,
    clock: Callable[[], float] = time.monotonic,
) -> Wire:
    """Connect to a name or literal address, trying each of its addresses within `seconds` in all.

    Raises ConnectFailed, saying for the last address tried what went wrong.
    """
    end = clock() + seconds
    try:
        found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ConnectFailed(
            f"{printable(address, 100, one_line=True)} cannot be resolved: {error}",
            where=where,
            hint="see the host's address in the inventory, and the resolver",
        ) from error
    problem: OSError = TimeoutError()
    for index, (family, kind, protocol, _, peer) in enumerate(found):
        left = end - clock()
        if left <= 0:
            break
        sock = socket.socket(family, kind, protocol)
        # The addresses share what is left, so that a dead first one leaves time for the others.
        sock.settimeout(left / (len(found) - index))
        try:
            sock.connect(peer)
            return Wire(sock, silence)
        except OSError as error:
            sock.close()
            problem = error
    raise ConnectFailed(*_reason(problem, address, port, seconds), where=where) from problem


def _reason(problem: OSError, address: str, port: int, seconds: float) -> tuple[str, ...]:
    place = f"{address} port {port}"
    if isinstance(problem, TimeoutError):
        return (f"no answer from {place} within {seconds:g} s; the host is down, or a firewall drops the packets",)
    if isinstance(problem, ConnectionRefusedError):
        return (f"{place} refused the connection; is sshd running there, on that port?",)
    return (f"cannot connect to {place}: {problem.strerror or problem}",)
