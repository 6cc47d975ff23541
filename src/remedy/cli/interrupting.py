"""Ctrl-C while something is under way: the first asks it to come to a good end, the second ends the process at once.

Decides that nobody who presses it once loses anything, and that nobody has to press it three times. That it was heard
is told by a thread of its own: the one that it came to may be in the middle of a line. Leaves to others: what a good
end is, which whoever works under it finds out from the event.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

from remedy.core.errors import Interrupted

#: Seconds that a line may take; a terminal that is stopped (Ctrl-S) holds nobody up for longer.
_PATIENCE = 2.0


@contextlib.contextmanager
def asked_to_stop(stop: threading.Event, tell: Callable[[], None], ended: Interrupted) -> Iterator[None]:
    """Set `stop` and `tell` that it was heard; raise `ended` when it is pressed again."""
    telling = threading.Thread(target=tell, name="interrupted", daemon=True)

    def handler(_number: int, _frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        telling.start()

    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    except KeyboardInterrupt as error:
        raise ended from error
    finally:
        signal.signal(signal.SIGINT, before)
        if telling.ident is not None:
            telling.join(_PATIENCE)
