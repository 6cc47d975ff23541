"""SSH to network devices: what old software offers, and what is missing on our side when nothing fits.

Decides the algorithms offered to a device: those of a server, then whatever else the installed paramiko still has,
SHA-1 included, because the other end often has nothing better. That is no choice of an attacker's: the host key is
checked against the one on file, and the exchange is signed with it (RFC 4253, sections 7 and 8).
Leaves to others: the host key's check and the login (`ssh`, `login`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from remedy.transports.session import Session

import paramiko  # isort: skip -- after `session`, which spares paramiko a third of its import time
from paramiko.common import cMSG_SERVICE_REQUEST  # isort: skip

if TYPE_CHECKING:
    from remedy.transports.sockets import Wire

#: What paramiko 4 has and paramiko 5 has not.
LEGACY: Final = frozenset(
    {
        "diffie-hellman-group1-sha1",
        "diffie-hellman-group14-sha1",
        "diffie-hellman-group-exchange-sha1",
        "ssh-rsa",
    }
)
#: How it is had.
INSTALL: Final = "pip install 'remedy[legacy]', which brings paramiko>=4,<5"
_SERVICE: Final = "ssh-userauth"
_EXTENSIONS: Final = ("ext-info-", "kex-strict-")


class DeviceSession(Session):
    """One SSH session with a device. `kinds` are the host key types on file, which are asked for first."""

    def __init__(self, sock: Wire | paramiko.Channel, kinds: Sequence[str]) -> None:
        """Wrap a connected socket or a channel through a jump host; nothing is sent yet."""
        super().__init__(sock, kinds)
        known = tuple(paramiko.Transport._preferred_keys)  # type: ignore[attr-defined]  # noqa: SLF001 -- no other way
        self._known_keys = known
        on_file = [kind for kind in kinds if kind in known]
        modern = self._host_key_names
        if "ssh-rsa" in on_file:
            at = max(modern.index(name) for name in modern if name.startswith("rsa-sha2"))
            modern = (*modern[: at + 1], "ssh-rsa", *modern[at + 1 :])
        self._host_key_names = tuple(dict.fromkeys((*modern, *known)))
        #: The algorithms that the device offered: key exchange, host key, encryption, authentication code.
        self.offered: dict[str, tuple[str, ...]] = {}
        self._serviced = False

    @property
    def preferred_pubkeys(self) -> tuple[str, ...]:
        """How a key of ours signs: RSA with SHA-1 first for a device whose own key can do nothing else.

        Such a device does not say what it takes (RFC 8308, section 3.1, came later), and refuses anything newer.
        """
        known = tuple(super().preferred_pubkeys)
        theirs = self.offered.get("host key", ())
        if "ssh-rsa" in known and "ssh-rsa" in theirs and not any(name.startswith("rsa-sha2") for name in theirs):
            return ("ssh-rsa", *(name for name in known if name != "ssh-rsa"))
        return known

    def _parse_kex_init(self, message: paramiko.Message) -> None:
        """Remember what the device offers; what does not fit is an error from here on."""
        listed = paramiko.Message(message.asbytes())
        listed.get_bytes(16)  # the cookie (RFC 4253, section 7.1)
        lists = [tuple(listed.get_list()) for _ in range(6)]
        self.offered = {
            "key exchange": tuple(name for name in lists[0] if not name.startswith(_EXTENSIONS)),
            "host key": lists[1],
            "cipher": lists[3],
            "authentication code": lists[5],
        }
        super()._parse_kex_init(message)  # type: ignore[misc]

    def missing(self) -> list[tuple[str, tuple[str, ...]]]:
        """The kinds of algorithm that have no name in common, each with what the device offers of it."""
        ours: dict[str, Sequence[str]] = {
            "key exchange": self.preferred_kex,
            "host key": self.preferred_keys,
            "cipher": self.preferred_ciphers,
            "authentication code": self.preferred_macs,
        }
        return [(kind, names) for kind, names in self.offered.items() if not set(names) & set(ours[kind])]

    def _send_message(self, data: paramiko.Message) -> None:
        """Ask for the login service once only.

        paramiko asks anew for each method, which strict servers take for a fault. Its ServiceRequestingTransport asks
        once, but cannot ask which methods there are (`auth_none` fails), waits in steps of 100 ms, and without end.
        """
        handler = getattr(self, "auth_handler", None)
        if data.asbytes()[:1] == cMSG_SERVICE_REQUEST and handler is not None:
            if self._serviced:
                accepted = paramiko.Message()
                accepted.add_string(_SERVICE)
                accepted.rewind()
                handler._parse_service_accept(accepted)  # noqa: SLF001 -- as if the device had said it again
                return
            self._serviced = True
        super()._send_message(data)  # type: ignore[misc]

    def open_terminal(self, seconds: float, *, width: int, height: int) -> paramiko.Channel:
        """A shell on a terminal of that many columns and lines. Raises as Transport.open_session."""
        channel = self.open_shell(seconds)
        channel.settimeout(seconds)
        channel.get_pty(term="vt100", width=width, height=height)
        channel.invoke_shell()
        return channel
