"""Programs that tests start: each is ended and waited for, whatever became of the test that started it.

Decides that nothing which a failing test leaves running outlives the tests, or is still running when its object is
collected: that would be a ResourceWarning, and so an error of a test that has nothing to do with it. Leaves to others
what is started.
"""

from __future__ import annotations

import atexit
import contextlib
import subprocess
from collections.abc import Iterator, Sequence
from typing import Any, Final

#: Kept here until they are ended, so that none is collected while it runs.
_ALIVE: Final[set[subprocess.Popen[Any]]] = set()


def start(argv: Sequence[object], **options: Any) -> subprocess.Popen[Any]:  # noqa: ANN401 -- those of Popen
    """Start a program, to be ended with `end`; at the latest it is when the tests are over."""
    process: subprocess.Popen[Any] = subprocess.Popen([str(word) for word in argv], **options)
    _ALIVE.add(process)
    return process


def end(process: subprocess.Popen[Any], *, gently: float = 0) -> None:
    """End a program, after so many seconds in which it may end by itself on SIGTERM, wait for it, close its streams."""
    if gently and process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(gently)
    process.kill()  # does nothing to one that has been waited for
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(BrokenPipeError):
                stream.close()
    _ALIVE.discard(process)


@contextlib.contextmanager
def child(argv: Sequence[object], *, gently: float = 0, **options: Any) -> Iterator[subprocess.Popen[Any]]:  # noqa: ANN401 -- those of Popen
    """A program that runs as long as the block."""
    process = start(argv, **options)
    try:
        yield process
    finally:
        end(process, gently=gently)


@atexit.register
def end_all() -> None:
    """End whatever is left."""
    for process in tuple(_ALIVE):
        end(process)
