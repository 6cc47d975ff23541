"""What netmiko knows of a vendor's command line, and its session object over a channel of ours.

Decides which words enter and leave configuration mode and which one elevates: the defaults of netmiko's own methods.
Its ways of waiting are not used: they sleep, and take any line with a `>` in it for a prompt. Imported when the first
device is dialled, never before.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import remedy.transports.session  # noqa: F401  # isort: skip -- first: it spares paramiko a third of its import time
from netmiko import log
from netmiko.channel import SSHChannel
from netmiko.ssh_dispatcher import CLASS_MAPPER

from remedy.core.errors import UsageError

if TYPE_CHECKING:
    from netmiko.base_connection import BaseConnection

    from remedy.transports.devices.tape import Tape

__all__ = ["Words", "words"]


@dataclass(frozen=True, slots=True)
class Words:
    """A vendor's words. `newline` is what its Enter key sends."""

    enter: str
    leave: str
    elevate: str
    newline: str


def words(driver: str) -> Words:
    """The words of a netmiko device type. Raises UsageError when netmiko has none of that name."""
    kind = _kind(driver)
    enter = _default(kind, "config_mode", "config_command")
    elevate = _default(kind, "enable", "cmd")
    return Words(
        enter=enter,
        leave=_default(kind, "exit_config_mode", "exit_config"),
        # netmiko calls entering system-view "enable" where there is no such word; these vendors' own is `super`.
        elevate=elevate if elevate not in {"", enter} else "super",
        newline="\n",
    )


def session(driver: str, tape: Tape, *, host: str, user: str, encoding: str) -> BaseConnection:
    """Netmiko's own session of that device type, on our channel: logged in, not yet prepared."""
    kind = _kind(driver)

    class Over(kind):  # type: ignore[misc, valid-type]
        """The vendor's driver on a channel that is open already."""

        def establish_connection(self, width: int = 511, height: int = 1000) -> None:  # noqa: ARG002 -- netmiko's
            """Take the channel as it is."""
            self.remote_conn = tape
            self.channel = SSHChannel(conn=tape, encoding=self.encoding)  # type: ignore[arg-type]

        def _try_session_preparation(self, force_data: bool = True) -> None:  # noqa: FBT001, FBT002 -- netmiko's
            """Do nothing: `console` learns the prompt and types what keeps the terminal quiet."""

    made: BaseConnection = Over(device_type=driver, host=host, username=user, encoding=encoding)
    # It hides passwords in netmiko's log, was given none, and would stay there after the session.
    log.removeFilter(made._secrets_filter)  # noqa: SLF001 -- no public way without netmiko's leisurely goodbye
    return made


def _kind(driver: str) -> Any:  # noqa: ANN401 -- a class that netmiko makes no type of
    try:
        return CLASS_MAPPER[driver]
    except KeyError as error:
        raise UsageError(f"netmiko knows no device type {driver!r}", hint="pip install -U netmiko") from error


def _default(kind: Any, method: str, parameter: str) -> str:  # noqa: ANN401 -- as above
    found = inspect.signature(getattr(kind, method)).parameters.get(parameter)
    return str(found.default) if found and isinstance(found.default, str) else ""
