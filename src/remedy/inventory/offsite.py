"""Where copies are kept that nobody can take away, and whose signatures count: variables of the group `all`.

Decides names, types and defaults of their keys. Leaves to others: sending (transports), checking signatures (record).

    remedy_offsite:
      - {name: city-b, endpoint: "https://s3.example.net", bucket: records, prefix: remedy/, days: 365,
         access_key: {env: OFFSITE_KEY}, secret_key: {file: secrets/offsite}}
    remedy_record_keys: ["SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"]
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from remedy.core.errors import InventoryError
from remedy.core.offsite import Offsite
from remedy.inventory import buckets
from remedy.inventory.findings import Finding
from remedy.inventory.nested import Around, Setting

PLACES: Final = "remedy_offsite"
FINGERPRINTS: Final = "remedy_record_keys"
#: The variables, and the keys below each; the reference documentation is checked against them.
KEYS: Final[dict[str, tuple[str, ...]]] = {
    PLACES: (
        *("name", "endpoint", "bucket", "prefix", "region", "days"),
        *("access_key", "secret_key", "read_access_key", "read_secret_key"),
    ),
    FINGERPRINTS: (),
}
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
_FINGERPRINT: Final = re.compile(r"SHA256:[A-Za-z0-9+/]{43}\Z")
_MOST_DAYS: Final = 36_500
_PAIRS: Final = (("access_key", "secret_key"), ("read_access_key", "read_secret_key"))


def places(around: Around) -> tuple[Offsite, ...]:
    """The places of `remedy_offsite`. Raises InventoryError naming key, file and line."""
    made: dict[str, Offsite] = {}
    for item in _items(around, PLACES):
        place = _place(item)
        if place.name in made:
            raise InventoryError(
                f"{item.key}: two places are called {place.name!r}", where=item.where, hint="rename one"
            )
        made[place.name] = place
    return tuple(made.values())


def fingerprints(around: Around) -> tuple[str, ...]:
    """The keys of `remedy_record_keys`. Raises InventoryError naming key, file and line."""
    hint = "as `remedy incident key` and `ssh-keygen -l` print it: SHA256:…"
    return tuple(item.text("the fingerprint of a key", _FINGERPRINT, hint) for item in _items(around, FINGERPRINTS))


def risks(found: tuple[Offsite, ...], where: str) -> Iterator[Finding]:
    """What is allowed but weakens the copies."""
    for place in found:
        if buckets.in_clear(place.endpoint):
            text = f"off-site place {place.name} is reached without TLS: what is sent can be read on the way"
            yield Finding("warning", where, text, "use https://")


def _items(around: Around, key: str) -> list[Setting]:
    located = around.variables.get(key)
    if located is None or located.value is None:
        return []
    return Setting(around, key, located.where, None).of(located.value).items()


def _place(at: Setting) -> Offsite:
    given = at.entries(KEYS[PLACES])
    if not {"name", "bucket"} <= set(given):
        raise InventoryError(
            f"{at.key} has no name or no bucket", where=at.where, hint="write {name: city-b, bucket: records, …}"
        )
    for one, other in _PAIRS:
        if (one in given) != (other in given):
            raise InventoryError(f"{at.key} has one key of two", where=at.where, hint=f"give {one} and {other}")
    readers: dict[str, Callable[[Setting], object]] = {
        "name": lambda one: one.text("a name of letters, digits, '.', '_' and '-'", _NAME),
        "endpoint": buckets.endpoint,
        "bucket": lambda one: one.text("the name of a bucket", buckets.BUCKET),
        "prefix": buckets.prefix,
        "region": lambda one: one.text("the name of a region", buckets.BUCKET),
        "days": lambda one: one.whole(1, _MOST_DAYS),
        **{key: Setting.secret for pair in _PAIRS for key in pair},
    }
    made = {key: readers[key](entry) for key, entry in given.items() if entry.value != "" or key in {"name", "bucket"}}
    return Offsite(**made)  # type: ignore[arg-type]
