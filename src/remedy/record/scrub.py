r"""Makes text storable: secrets out, invalid Unicode visible.

Decides what the record does with text that came from a target:

- in bodies, every string (keys too) goes through the given `redact`, then each lone surrogate becomes visible text:
  U+DC80 to U+DCFF (how Python carries a byte that is no UTF-8) becomes `\xNN`, any other becomes `\uNNNN`.
  Everything else is kept exactly: NUL and other control characters are escaped by JSON, so undo data survives;
- in header fields (kind, incident, run, key, actor), control characters become `\xNN` as well.

Leaves to others: knowing the secrets, and making text safe for a terminal when it is shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from remedy.core.canon import Json

Redact = Callable[[str], str]

_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_FIRST_BYTE, _LAST_BYTE = 0xDC80, 0xDCFF


def valid(text: str) -> str:
    """The text with lone surrogates made visible, so that it has a UTF-8 form. One way: backslashes stay single."""
    return _SURROGATE.sub(_visible, text)


def one_line(text: str) -> str:
    """`valid`, and control characters made visible: for header fields."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", valid(text))


def scrub(value: Json, redact: Redact) -> Json:
    """The JSON value with every string, keys included, redacted and made valid.

    Two keys that become the same text are kept apart with a trailing `~`. Raises TypeError on what JSON has not.
    """
    if isinstance(value, str):
        return valid(redact(value))
    if isinstance(value, (list, tuple)):
        return [scrub(item, redact) for item in value]
    if isinstance(value, Mapping):
        return _scrub_object(value, redact)
    return value


def _scrub_object(value: Mapping[str, Json], redact: Redact) -> Json:
    done: dict[str, Json] = {}
    for key, item in value.items():
        if not isinstance(key, str):
            msg = f"a body has only text keys, not {type(key).__name__}"
            raise TypeError(msg)
        name = valid(redact(key))
        while name in done:
            name += "~"
        done[name] = scrub(item, redact)
    return done


def _visible(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code - 0xDC00:02x}" if _FIRST_BYTE <= code <= _LAST_BYTE else f"\\u{code:04x}"
