"""Compressions, one file each, found by walking the folder.

A module of this package gives `SUFFIXES` (with the dot), `MAGIC` (the first bytes) and
`opened(chunks: Iterable[bytes]) -> Iterator[bytes]`, which decompresses to the end and raises Damaged: "truncated",
"corrupt" or "trailing" (something follows that is no further member). `CHECKED(head)` says whether the container
carries a checksum of its own, so that reading it to the end proves its bytes. What a file is called is a hint; its
first bytes decide.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import pkgutil
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Final

#: Compressions that are seen in backup folders and that nothing here reads: what is inside has its name all the same.
UNREAD: Final = (".lz4", ".lzo", ".br")


@functools.cache
def registered() -> dict[str, ModuleType]:
    """Every container of the folder, by module name."""
    modules = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: importlib.import_module(f"{__name__}.{name}") for name in modules}


def recognise(head: bytes) -> str:
    """The name of the container that begins with `head`, "" when it is none (plain bytes)."""
    return next((name for name, module in registered().items() if head.startswith(module.MAGIC)), "")


def opened(chunks: Iterable[bytes]) -> tuple[str, bool, Iterator[bytes]]:
    """Look at the first bytes: the container's name, whether it checks itself, and the bytes inside.

    Plain bytes come back as they are, under the name "" and unchecked. Raises Damaged while iterating.
    """
    stream = iter(chunks)
    head = b""
    for chunk in stream:
        head += chunk
        if len(head) >= 16:  # noqa: PLR2004 -- longer than any magic and frame header needed
            break
    whole = itertools.chain((head,), stream) if head else stream
    name = recognise(head)
    if not name:
        return "", False, whole
    module = registered()[name]
    return name, module.CHECKED(head), module.opened(whole)


def without_suffix(name: str) -> tuple[str, str]:
    """A file name without its compression suffix, and the container's name ("" when it has none)."""
    for container, module in registered().items():
        for suffix in module.SUFFIXES:
            if name.lower().endswith(suffix) and len(name) > len(suffix):
                return name[: -len(suffix)], container
    return name, ""
