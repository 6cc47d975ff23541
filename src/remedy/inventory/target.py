"""From a host's variables to the `Target` a transport can log in to.

Decides which of Ansible's connection variables count and what they mean; names and precedence after the
documentation of its `ssh` connection and `sudo` become plug-ins, old names (`ansible_ssh_host`) included. Leaves
connecting to the transports.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from remedy.core.canon import Json, canonical
from remedy.core.errors import InventoryError
from remedy.core.values import Secret, Target
from remedy.inventory import credentials, jump, secrecy
from remedy.inventory.documents import Unsafe, Vaulted
from remedy.inventory.findings import Located, Variables
from remedy.inventory.templates import Renderer, is_template

#: Of several names for one thing, the last that is set counts, as in Ansible.
HOST: Final = ("ansible_host", "ansible_ssh_host")
PORT: Final = ("ansible_port", "ansible_ssh_port")
USER: Final = ("ansible_user", "ansible_ssh_user")
PASSWORD: Final = ("ansible_password", "ansible_ssh_pass", "ansible_ssh_password")
KEY: Final = ("ansible_private_key_file", "ansible_ssh_private_key_file")
BECOME: Final = ("ansible_sudo", "ansible_become")
BECOME_USER: Final = ("ansible_become_user", "ansible_sudo_user")
BECOME_METHOD: Final = ("ansible_become_method",)
BECOME_PASSWORD: Final = ("ansible_become_password", "ansible_become_pass", "ansible_sudo_pass")
SSH_ARGS: Final = ("ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args")
KNOWN_HOSTS: Final = "remedy_known_hosts"
DEFAULT_KNOWN_HOSTS: Final = "~/.ssh/known_hosts"

_OVER_SSH: Final = frozenset({"ssh", "smart", "paramiko", "paramiko_ssh", "network_cli", "netconf"})
_ON_DEVICES: Final = frozenset({"enable", "super", "sudo"})
_YES: Final = frozenset({"true", "yes", "on", "1", "y", "t"})
_NO: Final = frozenset({"false", "no", "off", "0", "n", "f", ""})
_MAX_PORT: Final = 65_535
_MAX_ALIASES: Final = 32


@dataclass(frozen=True, slots=True)
class Login:
    """What it takes to make a target: the host's variables, rendered on demand, and where paths start.

    `on_device`: the host is a network device, which is elevated with `enable` or `super` instead of sudo.
    """

    name: str
    variables: Variables
    renderer: Renderer
    locate: Callable[[str], str]
    user: str
    on_device: bool = False

    def pick(self, names: tuple[str, ...]) -> Located | None:
        """The last of these variables that is set, rendered; None when none is."""
        for name in reversed(names):
            if name in self.variables and self.variables[name].value is not None:
                return Located(self.renderer.variable(name), self.variables[name].where)
        return None

    def text(self, names: tuple[str, ...], default: str = "") -> str:
        """A variable as text. Raises InventoryError when it is a list, a map or has a line break in it."""
        found = self.pick(names)
        if found is None:
            return default
        text = str(found.value).strip()
        if isinstance(found.value, (list, dict, bool)) or not text.isprintable():
            got = credentials.masked(names[0], found.value)
            raise InventoryError(f"{names[0]}: expected text, got {got!r}", where=found.where)
        return text or default

    def port(self) -> int:
        """The SSH port; 22 when none is set."""
        text = self.text(PORT)
        if not text:
            return 22
        if not (text.isascii() and text.isdigit()) or not 0 < int(text[:9]) <= _MAX_PORT:
            where = getattr(self.pick(PORT), "where", "")
            raise InventoryError(f"ansible_port: {text!r} is no TCP port", where=where, hint="ports go from 1 to 65535")
        return int(text)

    def secret(self, names: tuple[str, ...]) -> Secret | None:
        """The last of these secrets that is set, by reference.

        References and lookups are followed at the time of use; other templates are rendered now.
        """
        for name in reversed(names):
            if name in self.variables and self.variables[name].value not in (None, ""):
                return self._secret(name)
        return None

    def _secret(self, name: str) -> Secret | None:
        for _ in range(_MAX_ALIASES):  # `ansible_password: "{{ vault_password }}"`: the other one's file and form count
            other = self.renderer.alias(self.variables[name].value)
            if other is None:
                break
            name = other
        value, where = self.variables[name].value, self.variables[name].where
        if isinstance(value, dict) or (is_template(value) and not credentials.is_lookup(value)):
            value = self.renderer.variable(name)
        return credentials.reference(name, value, where=where, locate=self.locate)

    def options(self) -> jump.Options:
        """What the ssh arguments of the host say."""
        words, where = [], ""
        for name in SSH_ARGS:
            text = self.text((name,))
            if text:
                words.append(text)
                where = where or self.variables[name].where
        return jump.parse(" ".join(words), where=where)

    def known_hosts(self, options: jump.Options) -> str:
        """The file of host keys: `remedy_known_hosts`, else the ssh option, else the user's own."""
        return self.locate(self.text((KNOWN_HOSTS,)) or options.known_hosts or DEFAULT_KNOWN_HOSTS)

    def elevated(self) -> bool:
        """Whether the login needs sudo, or on a device `enable` or `super`.

        Raises InventoryError when it would have to be another way or another user.
        """
        found = self.pick(BECOME)
        word = str(found.value).strip().lower() if found else ""
        if found and word not in _YES | _NO:
            raise InventoryError(f"ansible_become: expected true or false, got {found.value!r}", where=found.where)
        if not found or word not in _YES:
            return False
        if self.on_device:
            return self._elevated_there()
        for names, only in ((BECOME_USER, "root"), (BECOME_METHOD, "sudo")):
            value = secrecy.masked(self.text(names, only))
            if value.rpartition(".")[2] != only:
                where = getattr(self.pick(names), "where", "")
                raise InventoryError(
                    f"{names[0]} is {value!r}: remedy becomes root, with sudo",
                    where=where,
                    hint=f"set it to {only}",
                )
        return True

    def _elevated_there(self) -> bool:
        """A device has its own way, and nobody else to become; what was set for servers does no harm."""
        method = self.text(BECOME_METHOD)
        if method and method.rpartition(".")[2] not in _ON_DEVICES:
            raise InventoryError(
                f"{BECOME_METHOD[0]} is {method!r}: a device is elevated with enable or super",
                where=getattr(self.pick(BECOME_METHOD), "where", ""),
                hint="set it to enable",
            )
        return True


def build(login: Login, hop: Callable[[jump.Hop, str], Target], groups: tuple[str, ...]) -> Target:
    """The target of a host. `hop` makes the target of a jump host, given the login's user and known hosts' file.

    Raises InventoryError naming file and variable when the host cannot be reached by SSH as written.
    """
    connection = login.text(("ansible_connection",), "ssh")
    if connection.rpartition(".")[2] not in _OVER_SSH:
        raise InventoryError(
            f"ansible_connection is {connection!r}: remedy reaches hosts over SSH only",
            where=login.variables["ansible_connection"].where,
            hint="set ansible_connection: ssh for this host",
        )
    options = login.options()
    key = login.text(KEY) or options.key_file
    user = login.text(USER) or options.user or login.user
    known_hosts = login.known_hosts(options)
    hops = tuple(jump.Hop(h.host, h.user.replace("%r", user), h.port, h.key_file) for h in options.hops)
    port = login.port()
    if options.port and login.pick(PORT) is None:
        port = options.port
    return Target(
        name=login.name,
        address=login.text(HOST, login.name),
        port=port,
        user=user,
        key_file=login.locate(key) if key else "",
        known_hosts=known_hosts,
        password=login.secret(PASSWORD),
        become=login.elevated(),
        become_password=login.secret(BECOME_PASSWORD),
        jump=tuple(hop(item, known_hosts) for item in hops),
        groups=groups,
        vars=canonical(public(login.variables)).decode(),
    )


def public(variables: Mapping[str, Located]) -> dict[str, Json]:
    """Variables as canonical JSON can hold them, secrets and encrypted values left out, floats as text."""
    return {n: _json(located.value, n) for n, located in variables.items() if not _hidden(n, located.value)}


def _hidden(name: str, value: object, parent: str = "") -> bool:
    return isinstance(value, Vaulted) or secrecy.is_secret(name, parent)


def _json(value: object, name: str) -> Json:
    """`name` is that of the nearest map or variable around."""
    if isinstance(value, dict):
        shown = ((key_text(key), item) for key, item in value.items() if not _hidden(str(key), item, name))
        return {secrecy.masked(key): _json(item, key) for key, item in shown}
    if isinstance(value, (list, tuple)):
        return [_json(item, name) for item in value if not isinstance(item, Vaulted)]
    if value is None or isinstance(value, (bool, int)):
        return value
    return secrecy.masked(str(value)) if isinstance(value, (str, float)) else str(plain(value))


def plain(value: object) -> object:
    """A value as `ansible-inventory --list` prints it: dates as ISO 8601, `!vault` and `!unsafe` as one-key maps."""
    if isinstance(value, Vaulted):
        return {"__ansible_vault": value.text}
    if isinstance(value, Unsafe):
        return {"__ansible_unsafe": str(value)}
    if isinstance(value, dict):
        return {key_text(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value.isoformat() if isinstance(value, (dt.date, dt.datetime)) else value


def key_text(key: object) -> str:
    """A map's key as JSON writes it."""
    if key is None or isinstance(key, bool):
        return {None: "null", True: "true", False: "false"}[key]
    if isinstance(key, float) and math.isinf(key):
        return "Infinity" if key > 0 else "-Infinity"
    return str(key)
