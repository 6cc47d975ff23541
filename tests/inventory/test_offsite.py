"""Places off site and trusted keys: set for `all`, typed; wrong values name file, line and key; no secrets in clear."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from remedy.core.errors import InventoryError
from remedy.core.offsite import RETENTION_DAYS, Offsite
from remedy.core.values import Secret
from remedy.inventory import Inventory, offsite

Loader = Callable[..., Inventory]
REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "inventory.md"
FINGERPRINT = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"


def with_all(text: str) -> dict[str, str]:
    """An inventory whose group_vars/all.yml has this text."""
    return {"hosts.yml": "all: {hosts: {web01: }}\n", "group_vars/all.yml": text}


def test_places_and_keys(inventory: Loader) -> None:
    """Everything that may be set is read; what is not set has its default; templates are rendered."""
    text = f"""\
where: records
remedy_offsite:
  - {{name: city-b, endpoint: "https://s3.example.net/", bucket: "{{{{ where }}}}", prefix: remedy/, region: eu-1,
     days: 365, access_key: {{env: KEY}}, secret_key: {{file: secrets/s3}}, read_access_key: {{env: R}},
     read_secret_key: {{env: S}}}}
  - {{name: city-c, bucket: second}}
remedy_record_keys: ["{FINGERPRINT}"]
"""
    found = inventory(with_all(text))
    first, second = found.offsite()
    assert (first.name, first.bucket, first.endpoint, first.prefix) == (
        "city-b",
        "records",
        "https://s3.example.net",
        "remedy/",
    )
    assert (first.region, first.days, first.access_key) == ("eu-1", 365, Secret("env:KEY"))
    assert first.secret_key == Secret(f"file:{found.directory}/secrets/s3")
    assert (first.read_access_key, first.read_secret_key) == (Secret("env:R"), Secret("env:S"))
    assert second == Offsite("city-c", "second", days=RETENTION_DAYS)
    assert found.record_keys() == (FINGERPRINT,)
    assert [one for one in found.check() if "offsite" in one.message or "record_keys" in one.message] == []


@pytest.mark.parametrize("text", ["", "remedy_offsite:\nremedy_record_keys:\n", "remedy_offsite: []\n"])
def test_nothing_set(inventory: Loader, text: str) -> None:
    """Without them nothing is sent and no key is named."""
    found = inventory(with_all(text))
    assert (found.offsite(), found.record_keys()) == ((), ())


@pytest.mark.parametrize(
    ("text", "key", "says"),
    [
        ("remedy_offsite: city-b", "remedy_offsite[0]", "a map"),
        ("remedy_offsite: [{name: a}]", "remedy_offsite[0]", "no name or no bucket"),
        ("remedy_offsite: [{bucket: bbb}]", "remedy_offsite[0]", "no name or no bucket"),
        ("remedy_offsite: [{name: a/b, bucket: bbb}]", "remedy_offsite[0].name", "a name of letters"),
        ("remedy_offsite: [{name: '', bucket: bbb}]", "remedy_offsite[0].name", "a name of letters"),
        ("remedy_offsite: [{name: a, bucket: ''}]", "remedy_offsite[0].bucket", "the name of a bucket"),
        ("remedy_offsite: [{name: a, bucket: bbb, day: 3}]", "remedy_offsite[0]", "did you mean days"),
        ("remedy_offsite: [{name: a, bucket: bbb, days: 0}]", "remedy_offsite[0].days", "from 1 to 36500"),
        ("remedy_offsite: [{name: a, bucket: bbb, endpoint: 's3.example.net'}]", "remedy_offsite[0].endpoint", "a URL"),
        ("remedy_offsite: [{name: a, bucket: bbb, prefix: /x}]", "remedy_offsite[0].prefix", "without '/'"),
        ("remedy_offsite: [{name: a, bucket: bbb, access_key: {env: K}}]", "remedy_offsite[0]", "one key of two"),
        (
            "remedy_offsite: [{name: a, bucket: bbb, read_access_key: {env: K}}]",
            "remedy_offsite[0]",
            "read_access_key and read_secret_key",
        ),
        ("remedy_offsite: [{name: a, bucket: bbb}, {name: a, bucket: ccc}]", "remedy_offsite[1]", "two places"),
        ("remedy_record_keys: [abc]", "remedy_record_keys[0]", "the fingerprint of a key"),
    ],
)
def test_wrong_values(inventory: Loader, text: str, key: str, says: str) -> None:
    """A wrong value is refused, naming the key, the file and the line, and `check` finds it too."""
    found = inventory(with_all(text + "\n"))
    with pytest.raises(InventoryError) as caught:
        (found.record_keys if "keys" in key else found.offsite)()
    assert key in str(caught.value)
    assert says in str(caught.value)
    assert caught.value.where.endswith("all.yml:1")
    assert any(key in f"{one.message}" and one.severity == "error" for one in found.check())


def test_secrets_in_clear_are_refused(inventory: Loader) -> None:
    """A key that stands in the inventory is refused and never shown."""
    text = "remedy_offsite: [{name: a, bucket: bbb, access_key: AKIA7EXAMPLE, secret_key: wJalrXUtnFEMI}]\n"
    found = inventory(with_all(text))
    with pytest.raises(InventoryError, match="in clear") as caught:
        found.offsite()
    assert "wJalr" not in str(caught.value)
    assert not any("wJalr" in f"{one.message}{one.hint}" for one in found.check())


def test_what_weakens_it_is_warned_of(inventory: Loader) -> None:
    """A place without TLS, and a setting that counts for nobody, are warnings with their places."""
    text = 'remedy_offsite: [{name: a, bucket: bbb, endpoint: "http://198.18.0.9:9000"}]\n'
    files = {
        **with_all(text),
        "host_vars/web01.yml": "remedy_record_keys: []\n",
        "group_vars/web.yml": "remedy_offsite: []\n",
    }
    files["hosts.yml"] = "all: {children: {web: {hosts: {web01: }}}}\n"
    found = {one.message: one.where for one in inventory(files).check() if one.severity == "warning"}
    assert any("without TLS" in message for message in found)
    assert found["remedy_record_keys of web01 is ignored"].endswith("web01.yml:1")
    assert found["remedy_offsite of web is ignored"].endswith("web.yml:1")


def test_the_reference_names_every_key() -> None:
    """Every key is in the inventory's reference."""
    section = REFERENCE.read_text().partition("## The record elsewhere")[2].partition("\n## ")[0]
    keys = [*offsite.KEYS, *(key for keys in offsite.KEYS.values() for key in keys)]
    assert [key for key in keys if f"`{key}`" not in section] == []
