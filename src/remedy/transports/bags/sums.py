"""Several digests of one stream, each on a core of its own.

Decides how a stream is hashed with SHA-256 and SM3 at once: hashlib lets other threads run while it hashes, so that
SM3, which no processor has instructions for that OpenSSL 3.0 would use, costs time of another core and not of ours.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Self

#: Bytes read at once.
CHUNK: Final = 1024 * 1024
#: Bytes from which on another thread is worth it.
_WORTH: Final = 64 * 1024


def available(digests: tuple[str, ...]) -> tuple[str, ...]:
    """Those that this Python's OpenSSL has."""
    return tuple(name for name in digests if name in hashlib.algorithms_available)


class Sums:
    """Hashes streams one after another: `begin`, `update` …, `ended`. Used by one thread, closed at the end."""

    def __init__(self) -> None:
        """No thread is started before it is worth one."""
        self._pool: ThreadPoolExecutor | None = None
        self._hashes: list[tuple[str, hashlib._Hash]] = []

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """End the threads; the digests can still be asked for."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def begin(self, digests: tuple[str, ...]) -> None:
        """A new stream."""
        self._hashes = [(name, hashlib.new(name)) for name in digests]

    def update(self, data: bytes | memoryview) -> None:
        """More of it. Returning means: hashed, the buffer may be used anew."""
        first, *others = self._hashes
        if len(data) < _WORTH or not others:
            for _, one in self._hashes:
                one.update(data)
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(len(others), thread_name_prefix="sums")
        waiting = [self._pool.submit(one.update, data) for _, one in others]
        first[1].update(data)
        for done in waiting:
            done.result()

    def ended(self) -> dict[str, str]:
        """The digests, lower-case hex."""
        return {name: one.hexdigest() for name, one in self._hashes}
