"""Encryptions, one file each, found by walking the folder.

A module of this package gives `SUFFIXES` (with the dot), `CHECKED` (whether opening it to the end proves the bytes
inside), `recognises(head)` (by the first `HEAD` bytes), `opening(keys)` (the program that turns its standard input into
its standard output; raises Refused when the inventory has no key for it), `doubt(head)` (a complaint when this cannot
be how the inside begins: all that tells a wrong key where nothing else does) and `complaint(end)` (what the program's
end means). What a file is called is a hint; its first bytes decide.
Leaves to others: running the program, and where the secret comes from (transports).
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from dataclasses import dataclass
from types import ModuleType
from typing import Final

from remedy.core.values import Secret

#: Stands in `Opening.argv` for the number of the descriptor from which the program reads the secret, one line.
DESCRIPTOR: Final = "{descriptor}"
#: Bytes of a head that are enough to recognise a seal, and what was inside.
HEAD: Final = 32


@dataclass(frozen=True, slots=True)
class Opening:
    """How a seal is opened on the controller: the program, the secret it is given, the Debian package it comes in.

    `daemon` is None, or for a program that leaves a helper running two commands: one that prints something when the
    helper runs already, and one that ends it.
    """

    argv: tuple[str, ...]
    package: str
    secret: Secret | None = None
    daemon: tuple[tuple[str, ...], tuple[str, ...]] | None = None


@dataclass(frozen=True, slots=True)
class End:
    """How such a program ended: exit status, the last bytes of standard error, bytes given and got.

    `whole` says whether the program has taken everything there was; `head` is how its output began.
    """

    status: int
    err: bytes
    given: int
    got: int
    whole: bool
    head: bytes = b""


@dataclass(frozen=True, slots=True)
class Complaint:
    """Why there is nothing, or not all, inside. `code` is that of a finding; "" when it was not the backup's fault."""

    code: str
    text: str
    hint: str = ""


@functools.cache
def registered() -> dict[str, ModuleType]:
    """Every seal of the folder, by module name."""
    modules = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: importlib.import_module(f"{__name__}.{name}") for name in modules}


def recognise(head: bytes) -> str:
    """The name of the seal that begins with `head`, "" when it is none."""
    return next((name for name, module in registered().items() if module.recognises(head)), "")


def without_suffix(name: str) -> tuple[str, str]:
    """A file name without its suffix of encryption, and the seal's name ("" when it has none)."""
    for seal, module in registered().items():
        for suffix in module.SUFFIXES:
            if name.lower().endswith(suffix) and len(name) > len(suffix):
                return name[: -len(suffix)], seal
    return name, ""
