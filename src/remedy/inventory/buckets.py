"""What places in S3 have in common, as values of the inventory: endpoint, bucket, prefix.

Decides how they may be written. Leaves to others: which settings they belong to (`databases`, `offsite`).
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from remedy.inventory.nested import Setting

#: Names of buckets and of regions.
BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}\Z")
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def endpoint(at: Setting) -> str:
    """The URL of a service, without a path, a login or a slash at its end. Raises InventoryError."""
    text = at.text("a URL")
    expected, hint = "a URL such as https://s3.example.net", "no path, no login; keys go into access_key and secret_key"
    try:
        url = urlsplit(text)
        fine = url.scheme in {"http", "https"} and url.hostname and (url.port is None or url.port > 0)
    except ValueError:
        fine = False
    if not fine or "@" in text or url.query or url.fragment or url.path.strip("/"):
        at.wrong(expected, hint, secret="@" in text)
    return text.rstrip("/")


def prefix(at: Setting) -> str:
    """What begins every key. Raises InventoryError."""
    text = at.text("a prefix")
    if text.startswith("/") or ".." in text.split("/"):
        at.wrong("a prefix without '/' at its beginning and without '..'", "write it as it is in the bucket: db01/")
    return text


def in_clear(text: str) -> bool:
    """Whether what goes to this endpoint can be read on the way: no TLS, and not this machine."""
    url = urlsplit(text)
    return url.scheme == "http" and url.hostname not in _LOOPBACK
