"""The SSH protocol by paramiko, with the preferences of a tool that logs in often and says little.

Decides algorithms, polling, and how one script goes out and its answer comes in over one channel. Wraps nothing:
paramiko's exceptions pass through to `ssh`, which turns them into ours. Imported late, since paramiko takes 100 ms.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

# paramiko imports invoke for `Match exec` in ssh_config files, which remedy does not read, and does without when it is
# not installed. That is a third of its import time: None in sys.modules is how Python says "not installed".
_ABSENT = "invoke" not in sys.modules and sys.modules.setdefault("invoke", None) is None  # type: ignore[arg-type]
import paramiko  # noqa: E402 -- see above
from paramiko.buffered_pipe import BufferedPipe  # noqa: E402 -- see above
from paramiko.packet import Packetizer  # noqa: E402 -- see above

if _ABSENT:
    del sys.modules["invoke"]

from remedy.transports.limits import MIB, Limits, Patience  # noqa: E402 -- see above
from remedy.transports.replies import Replies  # noqa: E402 -- see above

if TYPE_CHECKING:
    from remedy.transports.sockets import Wire

# paramiko's errors come as exceptions; without a handler Python would also print them to standard error.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

_CHANNEL_REQUEST: Final = b"\x62"  # RFC 4254, section 6.5
_CHUNK: Final = 256 * 1024
_WINDOW: Final = 2 * MIB
# OpenSSH's own limit on a packet; RFC 4253, section 6.1, asks for 35000 bytes at least.
_PACKET: Final = 256 * 1024
# Lines before the SSH banner are allowed (RFC 4253, section 4.2), but not without end.
_GREETING: Final = 64 * 1024
# Authenticated encryption first: it spares an HMAC in Python for every packet.
_CIPHERS: Final = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
_MACS: Final = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com")
_KINDS: Final = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
_RSA: Final = ("rsa-sha2-512", "rsa-sha2-256")


class _Packets(Packetizer):
    """Bounded, as paramiko's is not; and without its thread for a handshake time-out: the login has a deadline."""

    _greeted = 0

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:  # noqa: FBT001, FBT002 -- paramiko's signature
        """Read `n` bytes, a packet or part of one. Raises SSHException when no honest packet is that long."""
        if n > _PACKET:
            raise paramiko.SSHException("the target announces a packet larger than any")
        return bytes(super().read_all(n, check_rekey))

    def _read_timeout(self, timeout: float) -> bytes:
        """Read some of the greeting. Raises SSHException when it does not end."""
        data = bytes(super()._read_timeout(timeout))  # type: ignore[misc]
        self._greeted += len(data)
        if self._greeted > _GREETING:
            raise paramiko.SSHException("the greeting does not end")
        return data

    def start_handshake(self, timeout: float) -> None:
        """Start no timer."""

    def complete_handshake(self) -> None:
        """Stop no timer."""


class _Pipe(BufferedPipe):  # type: ignore[type-arg]
    """A channel's buffer that a target cannot fill far beyond the window it was given."""

    def feed(self, data: bytes | str) -> None:
        """Take data; raises SSHException, which ends the connection, when there is too much."""
        if len(self) > 2 * _WINDOW:
            raise paramiko.SSHException("the target sends more than it was allowed to")
        super().feed(data)


class Session(paramiko.Transport):
    """One SSH session. `kinds` are the host key types on file, which are asked for first."""

    # How often the reading thread looks whether it was closed; `Wire.close` wakes it anyway.
    _active_check_timeout = 1.0

    def __init__(self, sock: Wire | paramiko.Channel, kinds: Sequence[str]) -> None:
        """Wrap a connected socket or a channel through a jump host; nothing is sent yet."""
        super().__init__(sock, default_window_size=_WINDOW, packetizer_class=_Packets)  # type: ignore[arg-type]
        on_file = [name for kind in kinds for name in (_RSA if kind == "ssh-rsa" else (kind,))]
        self._host_key_names = tuple(dict.fromkeys([name for name in on_file if name in _KINDS] + list(_KINDS)))

    @property
    def preferred_ciphers(self) -> tuple[str, ...]:
        """Ciphers in our order; what paramiko does not know is not added, what it knows is not removed."""
        return _first(_CIPHERS, super().preferred_ciphers)

    @property
    def preferred_macs(self) -> tuple[str, ...]:
        """Message authentication codes in our order."""
        return _first(_MACS, super().preferred_macs)

    @property
    def preferred_keys(self) -> tuple[str, ...]:
        """Host key types, those on file first. No host certificates: their authority is not checked."""
        return self._host_key_names

    def negotiate(self, limits: Limits) -> bool:
        """Exchange banners and keys; False when that failed (`get_exception`) or took too long."""
        self.banner_timeout = limits.banner
        agreed = threading.Event()
        self.start_client(event=agreed)
        return agreed.wait(limits.banner + limits.login) and self.is_active() and self.get_exception() is None

    def open_shell(self, seconds: float) -> paramiko.Channel:
        """A channel for one script, opened within `seconds`. Raises as Transport.open_session."""
        channel = self.open_session(timeout=seconds)
        channel.in_buffer, channel.in_stderr_buffer = _Pipe(), _Pipe()
        return channel

    def send_script(self, channel: paramiko.Channel, script: bytes, seconds: float) -> None:
        """Ask for `sh` and send it the script at once, without a round trip to hear whether sh may run.

        Raises TimeoutError when the target does not read it.
        """
        message = paramiko.Message()
        message.add_byte(_CHANNEL_REQUEST)
        message.add_int(channel.remote_chanid)
        message.add_string("exec")
        message.add_boolean(b=True)
        message.add_string("exec sh")
        # exec_command would wait for the answer before anything else could be sent.
        self._send_user_message(message)  # type: ignore[attr-defined]
        channel.settimeout(seconds)
        try:
            channel.sendall(script)
            channel.shutdown_write()
        except OSError:
            # A target that closed the channel unread has said something instead, which `collect` will find.
            if not channel.closed:
                raise

    def collect(self, channel: paramiko.Channel, replies: Replies, patience: Patience) -> None:
        """Read both streams until both are done or at their end. What runs on in the background is not waited for.

        Raises EOFError when the session ended before the shell started.
        """
        news = threading.Event()
        for buffer in (channel.in_buffer, channel.in_stderr_buffer):
            buffer.set_event(news)
        while not replies.finished:
            # Asked before the buffers are: nothing comes after an end that was seen here.
            ended = channel.eof_received or channel.closed or not self.is_active()
            quiet = True
            if channel.recv_ready():
                replies.feed_out(channel.recv(_CHUNK))
                quiet = False
            if channel.recv_stderr_ready():
                replies.feed_err(channel.recv_stderr(_CHUNK))
                quiet = False
            if quiet and ended:
                if replies.running < 0 and not self.is_active():
                    raise EOFError("before the shell started")
                return
            left = patience.left(replies.running)
            if quiet and not replies.finished:
                news.wait(left)


def _first(wanted: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """The known names, the wanted ones of them first."""
    return tuple(dict.fromkeys([name for name in wanted if name in known] + list(known)))
