"""The attacker's listener: TCP and UDP port 4444, both families. UDP is echoed.

Appends one line per beacon to /var/log/c2.log and starts over at 8 MiB:

    1718000000.123 tcp 198.18.1.11 beacon web01
    1718000000.125 udp 2001:db8:0:1::11 beacon web01
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from pathlib import Path

PORT = 4444
LOG = Path("/var/log/c2.log")
LIMIT = 8 << 20


def note(protocol: str, address: str, text: bytes) -> None:
    """Log one beacon; the address of an IPv4 peer comes mapped and is shown plain."""
    word = "".join(char if char.isprintable() else "?" for char in text[:80].decode("utf-8", "replace").strip())
    mode = "w" if LOG.exists() and LOG.stat().st_size > LIMIT else "a"
    with LOG.open(mode, encoding="utf-8") as log:
        log.write(f"{time.time():.3f} {protocol} {address.removeprefix('::ffff:')} {word}\n")


def bound(kind: socket.SocketKind) -> socket.socket:
    """A dual-stack socket on PORT."""
    sock = socket.socket(socket.AF_INET6, kind)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("::", PORT))
    sock.setblocking(False)
    return sock


def main() -> None:
    """Serve for ever, one process, no threads."""
    tcp, udp = bound(socket.SOCK_STREAM), bound(socket.SOCK_DGRAM)
    tcp.listen(64)
    ready = selectors.DefaultSelector()
    ready.register(tcp, selectors.EVENT_READ)
    ready.register(udp, selectors.EVENT_READ)
    while True:
        for key, _ in ready.select():
            sock = key.fileobj
            if not isinstance(sock, socket.socket):
                continue
            with contextlib.suppress(OSError):
                if sock is tcp:
                    peer, _ = tcp.accept()
                    peer.setblocking(False)
                    ready.register(peer, selectors.EVENT_READ)
                elif sock is udp:
                    text, address = udp.recvfrom(2048)
                    note("udp", address[0], text)
                    udp.sendto(text, address)
                else:
                    serve(ready, sock)


def serve(ready: selectors.BaseSelector, peer: socket.socket) -> None:
    """Take what a TCP peer sent; answer `ok`; forget the peer when it is gone."""
    try:
        text = peer.recv(2048)
        if text:
            note("tcp", peer.getpeername()[0], text)
            peer.send(b"ok\n")
            return
    except OSError:
        text = b""
    ready.unregister(peer)
    peer.close()


if __name__ == "__main__":
    main()
