"""Rights then and now: what is gone, what is new, and what could not be compared."""

from __future__ import annotations

import json

from remedy.backups import rights
from remedy.backups.manifest import Manifest, decoded, encoded
from remedy.backups.rights import Held


def test_differences() -> None:
    """Of each kind that both sides tell, what is gone and what is new is named; the same in another order is equal."""
    then = (Held("roles", ("a has role r", "b has role r")), Held("proxies", ()))
    now = (Held("proxies", ("c may act as root",)), Held("roles", ("b has role r", "d has role r")))
    assert rights.differences(then, now) == (
        ("right gone: a has role r", "right new: d has role r", "right new: c may act as root"),
        (),
    )
    assert rights.differences(now, now) == ((), ())


def test_an_older_manifest() -> None:
    """A manifest of before has no such rights: it is read, nothing is called different, and that is said."""
    text = json.loads(encoded(Manifest("site", "site", "db01", "10.11", 1, "0" * 64, 1)))
    del text["held"]
    older = decoded(json.dumps(text).encode())
    assert older.held == ()
    now = rights.of({"roles": ["b", "a"], "proxies": []})
    assert now == (Held("roles", ("a", "b")), Held("proxies", ()))
    found, passed_over = rights.differences(older.held, now)
    assert found == ()
    assert rights.not_compared(passed_over).startswith("not compared: proxies, roles; ")
    assert rights.not_compared(()) == ""


def test_they_are_kept() -> None:
    """What a manifest says of them is what was written."""
    made = Manifest("site", "site", "db01", "10.11", 1, "0" * 64, 1, held=(Held("roles", ("王 has role r",)),))
    assert decoded(encoded(made)) == made
