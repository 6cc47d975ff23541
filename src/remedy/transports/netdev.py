"""Network devices: firewalls, switches, routers, over one terminal session each.

Decides how a device is reached and logged in to: as a server is (dialling, jump hosts, strict host key, credentials),
but with whatever old algorithms are needed, on a terminal, elevated there. Leaves to others: which targets are devices
(`platform`, from the inventory), and what is done there (`devices.commands`).

Nothing of netmiko is imported before the first device is dialled.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from remedy.core.errors import ConnectFailed, ConnectionLost, ElevationFailed, HostKeyError
from remedy.core.ports import Connection
from remedy.core.text import printable
from remedy.core.values import Secret, Target
from remedy.transports.devices.commands import DeviceConnection, Platform, short
from remedy.transports.login import Credentials
from remedy.transports.ssh import SshConnector

if TYPE_CHECKING:
    import paramiko

    from remedy.transports.devices.console import Console
    from remedy.transports.devices.session import DeviceSession
    from remedy.transports.devices.tape import Tape, Transcript
    from remedy.transports.session import Session
    from remedy.transports.sockets import Wire

__all__ = ["DeviceConnection", "DeviceConnector", "Platform"]

# netmiko asks for the same size; devices that believe it neither wrap nor page.
_WIDTH: Final = 511
_HEIGHT: Final = 1000
_DENIED: Final = re.compile(
    r"fail|denied|invalid|incorrect|bad secrets|error|wrong|not (?:set|allowed|configured)|no password set|refused",
    re.IGNORECASE,
)
# How the hint of a strange host key says where to look (`hostkeys`), and where one looks on a device.
_CONSOLE: Final = re.compile(r"the host's console: ssh-keygen -lf \S+?(?=;|$)")
_LOOK: Final = "the device's console: `display public-key local rsa public`, `show crypto key mypubkey rsa`"


class DeviceConnector(SshConnector):
    """Opens connections: to a device where the target is one, else as SshConnector does. May be shared by threads.

    `platform` says whether a target is a device. `keep` is called with each device's transcript when its session ends.
    """

    _no_banner = "is SSH switched on there? A device whose sessions are all taken looks like this too"

    def __init__(
        self,
        resolve_secret: Callable[[Secret], str],
        platform: Callable[[Target], Platform | None],
        *,
        keep: Callable[[Target, Transcript], None] | None = None,
        **options: Any,  # noqa: ANN401 -- those of SshConnector
    ) -> None:
        """Nothing is opened yet."""
        super().__init__(resolve_secret, **options)
        self._platform = platform
        self._keep = keep

    def __call__(self, target: Target) -> Connection:  # type: ignore[override]
        """Connect: host key checked, logged in, elevated; on a device, at its prompt with the terminal quiet.

        Raises ConnectFailed, HostKeyError, AuthenticationFailed, ElevationFailed, TimedOut; InventoryError for a
        known_hosts setting, UsageError when netmiko lacks the vendor's driver.
        """
        platform = self._platform(target)
        if platform is None:
            return super().__call__(target)
        hop = self._enter(target.jump) if target.jump else None
        try:
            sock = self._dial(target) if hop is None else self._forward(target, hop)
            return self._device(target, platform, sock, lambda: self._leave(hop))
        except BaseException:
            self._leave(hop)
            raise

    def _device(
        self, target: Target, platform: Platform, sock: Wire | paramiko.Channel, leave: Callable[[], None]
    ) -> DeviceConnection:
        from remedy.transports.devices.session import DeviceSession  # noqa: PLC0415 -- for a device only
        from remedy.transports.devices.tape import Tape, Transcript  # noqa: PLC0415 -- as above

        transcript = Transcript(self.clock)
        session: DeviceSession | None = None
        try:
            session = self._agree(target, DeviceSession(sock, self._kinds(target)))
            host_key = self._check_host(target, session)
            self._login(session, target, transcript)
            tape = Tape(self._open_terminal(target, session), transcript)
            ending = self._ending(target, session, transcript, leave)
            return self._settle(target, platform, tape, host_key, ending)
        except BaseException as error:
            if isinstance(error, HostKeyError):
                error.hint = _CONSOLE.sub(_LOOK, error.hint)
            with contextlib.suppress(Exception):
                (session or sock).close()
            if self._keep is not None:
                self._keep(target, transcript)
            raise

    def _ending(
        self, target: Target, session: DeviceSession, transcript: Transcript, leave: Callable[[], None]
    ) -> Callable[[], None]:
        def end() -> None:
            session.close()
            leave()
            if self._keep is not None:
                self._keep(target, transcript)

        return end

    def _disagreed(self, target: Target, session: Session, said: str) -> ConnectFailed:
        """Which algorithms are missing on our side, and what brings them."""
        from remedy.transports.devices.session import INSTALL, LEGACY, DeviceSession  # noqa: PLC0415 -- as above

        missing = session.missing() if isinstance(session, DeviceSession) else []
        if not missing:
            return super()._disagreed(target, session, said or "the device hung up or went silent")
        parts = [f"{kind} {printable(', '.join(names), 300, one_line=True)}" for kind, names in missing]
        obtainable = all(LEGACY.intersection(names) for _, names in missing)
        return ConnectFailed(
            f"no algorithm in common; the device offers only {' and '.join(parts)}",
            where=target.name,
            hint=INSTALL
            if obtainable
            else "nothing remedy can use has these; renew the device's keys (`public-key local create rsa`,"
            " `crypto key generate rsa modulus 2048`) or its software",
        )

    def _login(self, session: DeviceSession, target: Target, transcript: Transcript) -> None:
        if target.password is None or target.key_file:
            self.credentials.login(session, target, self.limits.login)
            return

        def resolve(secret: Secret) -> str:
            value = self.credentials.resolve_secret(secret)
            transcript.hide(value.encode())
            return value

        # A device ends the session after three refusals: with a password named, none is spent on keys it never saw.
        Credentials(resolve).login(session, target, self.limits.login)

    def _open_terminal(self, target: Target, session: DeviceSession) -> paramiko.Channel:
        import paramiko  # noqa: PLC0415 -- loaded long ago

        try:
            return session.open_terminal(self.limits.login, width=_WIDTH, height=_HEIGHT)
        except (paramiko.SSHException, EOFError, OSError) as error:
            said = printable(str(error) or type(error).__name__, 200, one_line=True)
            raise ConnectFailed(
                f"the device opens no terminal: {said}",
                where=target.name,
                hint="its sessions may all be taken: log another user off (`display users`, `show users`), or wait;"
                " or the account has no right to a terminal",
            ) from error

    def _settle(
        self, target: Target, platform: Platform, tape: Tape, host_key: str, on_close: Callable[[], None]
    ) -> DeviceConnection:
        """From an open terminal to a quiet one, at a prompt that is known, elevated."""
        from remedy.transports.devices.console import Console  # noqa: PLC0415 -- as above
        from remedy.transports.devices.greeting import learn  # noqa: PLC0415 -- as above
        from remedy.transports.devices.keyboard import Keyboard  # noqa: PLC0415 -- as above
        from remedy.transports.devices.words import session, words  # noqa: PLC0415 -- netmiko, which takes 40 ms

        driver = platform.vendor.driver
        netmiko = session(driver, tape, host=target.address, user=target.user, encoding=platform.encoding)
        keyboard = Keyboard(
            tape, encoding=platform.encoding, newline=netmiko.RETURN, where=target.name, clock=self.clock
        )
        try:
            prompt, greeting = learn(keyboard, self.limits.login)
            console = Console(keyboard, prompt, self.limits.stream)
            vocabulary = words(driver)
            end = self.clock() + self.limits.login
            if target.become:
                self._elevate(target, console, vocabulary.elevate, end)
            for line in platform.vendor.terminal.quiet:
                # Refused, it costs comfort only: an account that may only read cannot always switch the pager off.
                console.type(line, end=end, silence=self.limits.idle)
        except ConnectionLost as error:
            raise ConnectFailed(error.message, where=error.where, hint="log in by hand with the same user") from error
        return DeviceConnection(
            target,
            platform,
            console,
            words=vocabulary,
            tape=tape,
            host_key=host_key,
            greeting=greeting,
            limits=self.limits,
            on_close=on_close,
            clock=self.clock,
        )

    def _elevate(self, target: Target, console: Console, word: str, end: float) -> None:
        """Type `enable` or `super` and its password. Raises ElevationFailed."""
        if console.is_privileged:
            return
        said = console.ask(word, end=end)
        if re.search(r"(?:user ?name|login):\s*\Z", said.asked, re.IGNORECASE):
            said = console.ask(target.user, end=end)
        if said.asked:
            if target.become_password is None:
                console.interrupt()
                raise ElevationFailed(
                    f"{word} asks for a password, and none is given",
                    where=target.name,
                    hint="name it in the inventory: ansible_become_password, by reference",
                )
            said = console.secret(self.credentials.resolve_secret(target.become_password), end=end)
        if said.asked:
            console.interrupt()
        privileged = console.is_privileged
        if said.asked or privileged is False or (privileged is None and _DENIED.search(said.text)):
            raise ElevationFailed(
                f"{word} was refused: {short(said.text) or 'the prompt has not changed'}",
                where=target.name,
                hint="see ansible_become_password and the device's enable or super password",
            )
