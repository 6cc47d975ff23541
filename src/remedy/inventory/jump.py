"""The way through jump hosts, from the ssh options of an Ansible inventory.

Decides which hosts a login goes through, after ssh(1) and ssh_config(5): `-J`, `-o ProxyJump=…` and the one
`ProxyCommand` that means the same, `ssh -W %h:%p [-p PORT] [-l USER] [-i KEY] [user@]host`. As in ssh, the first
value given for an option counts. Leaves to others who the hosts are and how to connect.

    ansible_ssh_common_args: -J ops@bastion:2222,inner
    ansible_ssh_common_args: -o ProxyCommand="ssh -W %h:%p -q ops@bastion"
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

from remedy.core.errors import InventoryError
from remedy.inventory import secrecy

#: Options of ssh(1) that take a value.
_WITH_VALUE: Final = frozenset("BbcDEeFIiJLlmOoPpQRSWw")
_FLAGS: Final = frozenset("46AaCfGgKkMNnqsTtVvXxYy")
#: Options about multiplexing and comfort, which mean nothing to remedy's own transport.
_HARMLESS: Final = frozenset(
    [
        "controlmaster",
        "controlpath",
        "controlpersist",
        "compression",
        "connecttimeout",
        "serveraliveinterval",
        "serveralivecountmax",
        "preferredauthentications",
        "forwardagent",
        "loglevel",
        "batchmode",
        "tcpkeepalive",
        "addkeystoagent",
        "requesttty",
        "gssapiauthentication",
        "pubkeyauthentication",
        "connectionattempts",
        "ipqos",
        "identitiesonly",
    ]
)
_MAX_HOPS: Final = 8
_MAX_PORT: Final = 65_535


@dataclass(frozen=True, slots=True)
class Hop:
    """One host to go through. Empty and 0 mean: not said."""

    host: str
    user: str = ""
    port: int = 0
    key_file: str = ""


@dataclass(frozen=True, slots=True)
class Options:
    """What ssh options say that matters here. `ignored` lists the others, as written."""

    hops: tuple[Hop, ...] = ()
    known_hosts: str = ""
    user: str = ""
    port: int = 0
    key_file: str = ""
    ignored: tuple[str, ...] = ()


def parse(text: str, *, where: str = "") -> Options:
    """Read an `ansible_ssh_*args` value.

    Raises InventoryError on open quotes and on a way to the host that cannot be followed (another ProxyCommand).
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise InventoryError(f"cannot split the ssh options {secrecy.masked(text)!r}: {error}", where=where) from error
    return _collect(words, where)[0]


def _collect(words: list[str], where: str) -> tuple[Options, list[str]]:
    """The options and the words that are none."""
    settings: dict[str, str] = {}
    ignored: list[str] = []
    others: list[str] = []
    rest = iter(words)
    for word in rest:
        if not word.startswith("-") or word == "-":
            others.append(word)
            continue
        for index, letter in enumerate(word[1:], 2):
            if letter in _WITH_VALUE:
                _put(letter, word[index:] or next(rest, ""), settings, ignored)
                break
            if letter not in _FLAGS:
                ignored.append(word)
                break
    return _options(settings, ignored, where), others


def _put(letter: str, value: str, settings: dict[str, str], ignored: list[str]) -> None:
    known = {"J": "proxyjump", "l": "user", "p": "port", "i": "identityfile", "W": "forward"}
    if letter in known:
        _first(settings, known[letter], value)
        return
    if letter != "o":
        ignored.append(f"-{letter} {value}")
        return
    name, _, content = value.replace("=", " ", 1).strip().partition(" ")
    key, content = name.lower(), content.strip()
    if key in {"proxyjump", "proxycommand", "user", "port", "identityfile", "userknownhostsfile"}:
        _first(settings, key, content)
    elif key not in _HARMLESS:
        ignored.append(f"-o {value}")


def _first(settings: dict[str, str], key: str, value: str) -> None:
    # ProxyJump and ProxyCommand compete: whichever comes first counts.
    pair = {"proxyjump", "proxycommand"}
    if key not in settings and not (key in pair and pair & settings.keys()):
        settings[key] = value


def _options(settings: dict[str, str], ignored: list[str], where: str) -> Options:
    hops: tuple[Hop, ...] = ()
    if settings.get("proxyjump", "none").lower() != "none":
        hops = tuple(destination(part, where=where) for part in settings["proxyjump"].split(","))
    elif settings.get("proxycommand", "none").lower() != "none":
        hops = _through(settings["proxycommand"], where)
    if len(hops) > _MAX_HOPS:
        raise InventoryError(f"more than {_MAX_HOPS} jump hosts", where=where)
    known_hosts = settings.get("userknownhostsfile", "").split(" ")[0]
    if known_hosts in {"/dev/null", "none"}:
        ignored.append(f"-o UserKnownHostsFile={known_hosts}")
        known_hosts = ""
    return Options(
        hops,
        known_hosts,
        settings.get("user", ""),
        _port(settings.get("port", ""), where),
        settings.get("identityfile", ""),
        tuple(ignored),
    )


def _through(command: str, where: str) -> tuple[Hop, ...]:
    said = secrecy.masked(command)
    hint = "use -J host or ProxyCommand='ssh -W %h:%p [user@]host'"
    try:
        program, *words = shlex.split(command)
    except ValueError as error:
        raise InventoryError(f"cannot split the ProxyCommand: {error}", where=where, hint=hint) from error
    # ssh runs it through a shell, where `exec ssh …` is common.
    if program == "exec" and words:
        program, *words = words
    if os.path.basename(program) != "ssh" or "%h:%p" not in " ".join(words):  # noqa: PTH119 -- a word, not a path
        raise InventoryError(f"remedy cannot follow the ProxyCommand {said!r}", where=where, hint=hint)
    options, others = _collect(words, where)
    if len(others) != 1:
        raise InventoryError(f"remedy cannot follow the ProxyCommand {said!r}", where=where, hint=hint)
    last = destination(others[0], where=where)
    last = replace(last, user=last.user or options.user, port=last.port or options.port, key_file=options.key_file)
    return (*options.hops, last)


def destination(text: str, *, where: str = "") -> Hop:
    """A jump host as ssh writes it: `[user@]host[:port]`, `[user@][ipv6]:port` or `ssh://…`.

    Raises InventoryError when there is no host or no valid port.
    """
    text = text.strip()
    if text.startswith("ssh://"):
        try:
            url = urlsplit(text)
            hop = Hop(url.hostname or "", url.username or "", url.port or 0)
        except ValueError as error:
            raise InventoryError(f"{secrecy.masked(text)!r} is no jump host", where=where) from error
    else:
        user, _, place = text.rpartition("@")
        if place.startswith("["):
            host, _, port = place[1:].partition("]")
            port = port.removeprefix(":")
        elif place.count(":") == 1:
            host, _, port = place.partition(":")
        else:
            host, port = place, ""
        hop = Hop(host, user, _port(port, where))
    if not hop.host or hop.host.startswith("-") or " " in hop.host:
        raise InventoryError(f"{secrecy.masked(text)!r} is no jump host", where=where, hint="write [user@]host[:port]")
    return hop


def _port(text: str, where: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()) or not 0 < int(text[:9]) <= _MAX_PORT:
        raise InventoryError(f"{text!r} is no TCP port", where=where, hint="ports go from 1 to 65535")
    return int(text)
