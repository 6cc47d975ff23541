"""Secrets by reference: where each is kept, and reading it at the time of use.

Decides what is shown of a variable in place of its secrets, and how a reference is followed. A value is held only
between `resolve` and the login that needs it. Leaves to `secrecy` which names and texts are secret.

    ansible_become_password: {env: REMEDY_SUDO}
    ansible_password: {file: ~/.secrets/web}             # relative to the inventory directory
    ansible_become_password: {command: [pass, show, ops/sudo]}
    ansible_password: {keyring: [remedy, web01]}
    ansible_password: "{{ lookup('env', 'SSHPASS') }}"   # Ansible's own forms: env and file
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, ParamSpec, Protocol, TypeVar, cast

from remedy.core.errors import InventoryError
from remedy.core.values import Secret
from remedy.inventory import secrecy
from remedy.inventory.documents import Unsafe, Vaulted
from remedy.inventory.templates import lookup_of, sole_expression

#: How long a command may take to answer with a secret, in seconds; long enough for a person to touch a token.
COMMAND_SECONDS: Final = 30
_MAX_SECRET: Final = 65_536
_LOOKUPS: Final = {"env": "env", "ansible.builtin.env": "env", "file": "file", "ansible.builtin.file": "file"}
_KEYRING_PARTS: Final = 2
_FORMS: Final = "write {env: NAME}, {file: PATH}, {command: [PROGRAM, …]} or {keyring: [SERVICE, USER]}"


class _Clear(Protocol):
    """What knows the secrets that stand in clear somewhere."""

    def in_clear(self) -> frozenset[str]:
        """Those of them that can be looked for in any text."""
        ...


P = ParamSpec("P")
T = TypeVar("T")


def reference(key: str, value: object, *, where: str, locate: Callable[[str], str]) -> Secret | None:
    """The secret a variable's value stands for; None when it is empty.

    `locate` makes a path absolute. A literal is kept inside the Secret, which never shows it. Raises InventoryError
    when the value is of none of the known forms.
    """
    if value is None or value == "":
        return None
    if isinstance(value, Vaulted):
        return Secret(f"vault:{key} at {where}")
    if isinstance(value, dict):
        return _mapped(key, value, where, locate)
    if isinstance(value, str):
        found = None if isinstance(value, Unsafe) else _lookup(value)
        if found:
            return Secret(f"{found[0]}:{locate(found[1]) if found[0] == 'file' else found[1]}")
        return Secret(f"literal:{key}", str(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return Secret(f"literal:{key}", str(value))  # an INI password of digits only
    raise InventoryError(f"{key} is no password and no reference to one", where=where, hint=_FORMS)


def is_lookup(value: object) -> bool:
    """Whether a value is one of Ansible's own references: `lookup('env', …)` or `lookup('file', …)`."""
    return isinstance(value, str) and not isinstance(value, Unsafe) and _lookup(value) is not None


def _mapped(key: str, value: Mapping[object, object], where: str, locate: Callable[[str], str]) -> Secret:
    kind, content = next(iter(value.items())) if len(value) == 1 else ("", None)
    words = isinstance(content, list) and content and all(isinstance(word, str) for word in content)
    if kind in {"env", "file"} and isinstance(content, str) and content:
        return Secret(f"{kind}:{locate(content) if kind == 'file' else content}")
    if kind == "command" and words:
        return Secret("command:" + json.dumps(content, ensure_ascii=False))
    if kind == "keyring" and words and isinstance(content, list) and len(content) == _KEYRING_PARTS:
        return Secret("keyring:" + json.dumps(content, ensure_ascii=False))
    raise InventoryError(f"{key} is no reference to a secret", where=where, hint=_FORMS)


def _lookup(text: str) -> tuple[str, str] | None:
    if "lookup" not in text:
        return None
    expression = sole_expression(text)
    call = lookup_of(expression) if expression is not None else None
    return (_LOOKUPS[call[0]], call[1]) if call and call[0] in _LOOKUPS else None


def masked(key: str, value: object, parent: str = "") -> object:
    """A variable's value fit for people: secrets and encrypted values replaced by what they refer to.

    Secret is what has the name of one, at any depth, and what has the form of one within a text. `parent` is the name
    of the map that the value is in.
    """
    if isinstance(value, Vaulted):
        return "<secret vault>"
    if secrecy.is_secret(key, parent) and value is not None and value != "" and not isinstance(value, bool):
        return _named(key, value)
    if isinstance(value, dict):
        return {_shown(name): masked(str(name), item, key or parent) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [masked("", item, key or parent) for item in value]
    return _shown(value)


def _named(key: str, value: object) -> str:
    """What a secret refers to."""
    try:
        return str(reference(key, value, where="", locate=str)).replace(f"literal:{key}", "literal")
    except InventoryError:
        return "<secret malformed>"


def _shown(value: object) -> object:
    """Text without what has the form of a secret; anything else, `!unsafe` text with none too, as it is."""
    return shown if isinstance(value, str) and (shown := secrecy.masked(value)) != value else value


def in_clear(key: str, value: object, parent: str = "") -> Iterator[str]:
    """The secrets that stand in clear in a variable's value, at any depth; `masked` shows none of them."""
    if secrecy.is_secret(key, parent) and not isinstance(value, bool):
        with contextlib.suppress(InventoryError):
            made = reference(key, value, where="", locate=str)
            if made and "{{" not in made.value:
                yield made.value
            return
        yield from _leaves(value)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from secrecy.found(str(name))
            yield from in_clear(str(name), item, key or parent)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from in_clear("", item, key or parent)
    elif isinstance(value, str):
        yield from secrecy.found(value)


def _leaves(value: object) -> Iterator[str]:
    """Every text and number in a value that is secret as a whole."""
    if isinstance(value, (dict, list, tuple)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _leaves(item)
    elif isinstance(value, (str, int, float)) and not isinstance(value, bool) and "{{" not in str(value):
        yield str(value)


def unshown(method: Callable[P, T]) -> Callable[P, T]:
    """A method of an inventory whose errors show none of the secrets that stand in it in clear."""

    @functools.wraps(method)
    def cleaned(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(*args, **kwargs)
        except InventoryError as error:
            clean = secrecy.remover(cast("_Clear", args[0]).in_clear())
            said = {"message": clean(error.message), "where": error.where, "hint": clean(error.hint)}
            if said["message"] == error.message and said["hint"] == error.hint:
                raise
            raise InventoryError(**said) from None  # what it came from shows it as well

    return cleaned


def resolve(secret: Secret, *, environ: Mapping[str, str] | None = None, seconds: float = COMMAND_SECONDS) -> str:
    """The secret itself. Called where it is used, and kept no longer than that.

    `environ` (the process's own by default) serves `env:` references and is given to `command:` and `keyring:`
    programs, which have `seconds` to answer. Raises InventoryError naming the reference, never the value, when it
    cannot be had.
    """
    environ = os.environ if environ is None else environ
    kind, _, rest = secret.reference.partition(":")
    if secret.value:
        return secret.value
    if kind == "env":
        if not environ.get(rest):
            raise _unavailable(secret, "the environment variable is not set", f"export {rest}")
        return environ[rest]
    if kind == "file":
        return _clean(secret, _file(secret, Path(rest)))
    if kind == "command":
        return _clean(secret, _command(secret, json.loads(rest), environ, seconds))
    if kind == "keyring":
        service, user = json.loads(rest)
        return _keyring(secret, service, user, environ, seconds)
    if kind == "vault":
        raise _unavailable(
            secret,
            "it is encrypted with Ansible Vault, and remedy does not decrypt it",
            "refer to it as {command: [ansible-vault, view, FILE]} or keep it in a keyring",
        )
    raise _unavailable(secret, "the reference is of no known kind", _FORMS)


def _unavailable(secret: Secret, why: str, hint: str) -> InventoryError:
    return InventoryError(f"cannot read the secret: {why}", where=secret.reference, hint=hint)


def _clean(secret: Secret, data: bytes) -> str:
    """One line without its line end."""
    try:
        text = data.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise _unavailable(secret, "it is not UTF-8 text", "keep one line of text") from error
    if not text or "\n" in text or "\x00" in text:
        raise _unavailable(secret, "it is empty or has more than one line", "keep exactly one line")
    return text


def _file(secret: Secret, path: Path) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(handle, "rb") as stream:  # noqa: PTH123 -- an open descriptor, not a path
            data = stream.read(_MAX_SECRET + 1)
    except OSError as error:
        raise _unavailable(secret, error.strerror or "unreadable", "check the path and who may read it") from error
    if len(data or b"") > _MAX_SECRET:
        raise _unavailable(secret, "the file is too long for a secret", "keep exactly one line")
    return data or b""


def _command(secret: Secret, argv: list[str], environ: Mapping[str, str], seconds: float) -> bytes:
    by_hand = "run it by hand to see what it says"
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(environ),
            start_new_session=True,
        )
    except OSError as error:
        raise _unavailable(secret, f"{argv[0]}: {error.strerror}", "install it or correct the path") from error
    late = threading.Event()

    def stop() -> None:
        late.set()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(seconds, stop)
    timer.start()
    try:
        with process:
            data = process.stdout.read(_MAX_SECRET + 1) if process.stdout else b""
            if len(data) > _MAX_SECRET:
                os.killpg(process.pid, signal.SIGKILL)
    finally:
        timer.cancel()
    if late.is_set():
        raise _unavailable(secret, f"no answer within {seconds:g} s", by_hand)
    if len(data) > _MAX_SECRET:
        raise _unavailable(secret, "the answer is too long for a secret", by_hand)
    if process.returncode:
        raise _unavailable(secret, f"{argv[0]} ended with status {process.returncode}", by_hand)
    return data


def _keyring(secret: Secret, service: str, user: str, environ: Mapping[str, str], seconds: float) -> str:
    tool = shutil.which("secret-tool", path=environ.get("PATH"))
    if tool:
        return _clean(
            secret, _command(secret, [tool, "lookup", "service", service, "username", user], environ, seconds)
        )
    try:
        keyring = importlib.import_module("keyring")
    except ImportError as error:
        raise _unavailable(
            secret, "there is neither secret-tool nor the keyring module", "install libsecret-tools or keyring"
        ) from error
    try:
        found = keyring.get_password(service, user)
    except Exception as error:  # the back ends raise what they like; wrapped once, here
        raise _unavailable(secret, f"the keyring refuses: {type(error).__name__}", "unlock the keyring") from error
    if not found:
        raise _unavailable(secret, f"the keyring has no entry for {user} at {service}", "store it there first")
    return str(found)
