r"""What in an inventory is secret, whatever it is called by and wherever it stands.

Decides which names mean a secret, which parts of a text are one by their form (logins in URLs, passwords among options,
private keys), and how known secrets are found in any text. Leaves to others: references to secrets (`credentials`), and
putting the known ones out of screen, record and errors (the command line).

    s3://AKIA7:wJalr/XUtn@backups          https://ops:hunter2@mirror/        host=db user=web password=hunter2
    sshpass -p hunter2 ssh gate            mysqldump -u root -phunter2        --password hunter2
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import groupby
from typing import Final

#: What stands in place of a secret that is written in clear.
MASK: Final = "<secret literal>"

_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_APART: Final = re.compile(r"[\s.-]+")
_NAME: Final = re.compile(
    r"(?:(?:password|passwd|passphrase)|(?:^|_)(?:pass|pwd|passcode|secret|token|credential|psk|signature|api_?key"
    r"|(?:secret|access|private|encryption|signing|session|master|auth|shared)_?(?:access_?)?key(?:_id)?))s?"
    r"(?:_(?:hash|value|plain|text|base64|b64))?_?[0-9]*\Z|^remedy_secret"
)
#: Secret below `keys` of a database alone; elsewhere it is the name of a package.
_BELOW_KEYS: Final = "openssl"

_PEM: Final = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*KEY-----|\Z)", re.DOTALL)
_AGE: Final = re.compile(r"AGE-SECRET-KEY-1[0-9A-Z]+", re.IGNORECASE)
_BEARER: Final = re.compile(r"\b(?:Bearer|Basic)\s+([A-Za-z0-9._~+/=-]{8,})")
#: A login with a password, which may hold unquoted '/' and '@'; and one that is all secret, longer than a user's name,
#: in a URL of the web. All lengths are bounded: texts are as long as somebody likes.
_LOGIN: Final = re.compile(r"[A-Za-z0-9+.-]://([^\s/:@'\"<>]{0,500}:[^\s'\"<>]{0,500})@")
_KEY_ALONE: Final = re.compile(r"(?:https?|s3)://([^\s/:@'\"<>]{16,500})@")
_NAMED: Final = re.compile(
    r"(?<![A-Za-z0-9_.])([A-Za-z][A-Za-z0-9_.-]{0,80})(?:[ \t]*=[ \t]*|:[ \t]+|[ \t]+)(\"[^\"]*\"|'[^']*'|[^\s&'\"]+)"
)
_SSHPASS: Final = re.compile(r"\bsshpass\s+-p\s*([^\s'\"]+|'[^']*'|\"[^\"]*\")")
_CLIENT: Final = re.compile(r"\b(?:mysql|mariadb)[a-z-]*\s(?:[^|;&\n]{0,500}?\s)?-p([^\s'\"]+|'[^']*'|\"[^\"]*\")")
#: What none of these is without; most texts of an inventory have nothing of it.
_HINT: Final = re.compile(r"[=:]|\s-|--|age-secret|bearer|basic", re.IGNORECASE)
_PARTS: Final = (_PEM, _AGE, _BEARER, _LOGIN, _KEY_ALONE, _SSHPASS, _CLIENT)
#: Shorter ones are in half of all texts; so are short numbers.
_SHORTEST: Final = 4
_SHORTEST_NUMBER: Final = 6
_DEPTH: Final = 3


def is_secret(name: str, parent: str = "") -> bool:
    """Whether a value of this name is a secret: `*_password`, `secret_key`, `dbToken`, `remedy_secret*` and alike.

    `parent` is the name of the map that it is in.
    """
    plain = _APART.sub("_", _CAMEL.sub("_", name)).lower()
    return bool(_NAME.search(plain)) or (plain == _BELOW_KEYS and parent.lower().endswith("keys"))


def parts(text: str) -> Iterator[tuple[int, int]]:
    """Where in a text there are secrets by their form: from, to; may overlap. Templates are none."""
    if not _HINT.search(text):
        return
    for pattern in _PARTS:
        for match in pattern.finditer(text):
            yield match.span(pattern.groups)
    at = 0
    while setting := _NAMED.search(text, at):
        name, begins = setting.span(1)[1], setting.start()
        spaced = text[name : setting.start(2)].isspace()
        named = is_secret(setting[1]) and (not spaced or text[max(0, begins - 2) : begins] == "--")
        if named:
            yield setting.span(2)
        at = setting.end() if named else name


def masked(text: str) -> str:
    """The text with the secrets that it shows by their form masked."""
    made, at = [], 0
    for start, end in sorted(span for span in parts(text) if _counts(text[slice(*span)])):
        if end > at:
            made += [text[at : max(at, start)], MASK if start >= at else ""]
            at = end
    return "".join((*made, text[at:]))


def found(text: str) -> Iterator[str]:
    """The secrets that a text shows by their form; of a login its password too, and without the brackets of a map."""
    for start, end in parts(text):
        secret = text[start:end].strip("'\"")
        if _counts(secret):
            yield from {secret, secret.rstrip(",;]}")}
            yield from secret.split(":", 1)[1:]


def worth(secrets: Iterable[str], public: Collection[str]) -> frozenset[str]:
    """Those of the secrets that can be looked for in any text: not short, and not part of a name shown anyway."""
    names = "\n".join(public)
    least = {True: _SHORTEST_NUMBER, False: _SHORTEST}
    return frozenset(one for one in secrets if len(one) >= least[one.isdigit()] and one not in names)


def remover(secrets: Collection[str]) -> Callable[[str], str]:
    """What masks all of these wherever they stand in a text, in one pass, the longest first."""
    if not secrets:
        return str
    pattern = re.compile(_alternatives(sorted(secrets), _DEPTH))
    return lambda text: pattern.sub(MASK, text)


def removed(value: object, remove: Callable[[str], str]) -> object:
    """A value with every text in it, keys and numbers too, as `remove` leaves it."""
    if isinstance(value, str):
        return remove(value)
    if isinstance(value, dict):
        return {remove(str(key)): removed(item, remove) for key, item in value.items()}
    if isinstance(value, list):
        return [removed(item, remove) for item in value]
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return MASK if number and remove(str(value)) != str(value) else value


def _counts(text: str) -> bool:
    return bool(text) and "{{" not in text


def _alternatives(words: list[str], depth: int) -> str:
    """A pattern of sorted words, those with the same first character together: thousands cost no more than a few."""
    if depth == 0 or len(words) == 1:
        return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    made = []
    for first, same in groupby(words, key=lambda word: word[:1]):
        rest = [word[1:] for word in same]
        made.append(f"{re.escape(first)}(?:{_alternatives(rest, depth - 1)})" if first else "")
    return "|".join(made)
