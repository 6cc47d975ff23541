"""YAML and JSON documents: bounded, and never more than data."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remedy.core.errors import InventoryError
from remedy.inventory.documents import Marked, Unsafe, Vaulted, parse
from remedy.inventory.findings import Finding


def read(text: str) -> object:
    """Parse without notes."""
    return parse(text, "f.yml", [])


@pytest.mark.parametrize("unit", ["[", "{a: ", "- ", "? ", "&a [", '{"a":'])
@pytest.mark.parametrize("times", [100, 200_000])
def test_nesting_is_bounded(unit: str, times: int) -> None:
    """Nesting beyond the limit is an error, however deep; the process survives it."""
    with pytest.raises(InventoryError, match="nested deeper"):
        read(unit * times)


def test_alias_bomb_is_refused() -> None:
    """Aliases that expand to billions of values are refused before anything is expanded."""
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    start = time.monotonic()
    with pytest.raises(InventoryError, match="expands to more than"):
        read("\n".join(rows))
    assert time.monotonic() - start < 5


def test_merge_bomb_is_refused() -> None:
    """Merge keys count like the values they bring."""
    rows = ["b: &b {" + ", ".join(f"k{i}: 1" for i in range(2000)) + "}"]
    rows += [f"m{i}: {{<<: [{', '.join(['*b'] * 50)}]}}" for i in range(50)]
    with pytest.raises(InventoryError, match="expands to more than"):
        read("\n".join(rows))


@pytest.mark.parametrize("text", ["a: &x [*x]", "a: &x {b: *x}", "a: *nowhere"])
def test_recursive_alias_is_refused(text: str) -> None:
    """An alias to itself or to nothing is an error with its line."""
    with pytest.raises(InventoryError, match="undefined or contains itself") as caught:
        read(text)
    assert caught.value.where == "f.yml:1"


@pytest.mark.parametrize(
    "value",
    [
        "!!python/object/apply:os.system [id]",
        "!!python/name:os.system ''",
        "!!python/object:x.Y {}",
        "!local x",
        "!!binary aGk=",
        "!!omap [a: 1]",
        "!include other.yml",
    ],
)
def test_foreign_tags_are_refused(value: str) -> None:
    """Nothing is constructed from a tag, and the error names it."""
    with pytest.raises(InventoryError, match=r"tag .* is refused") as caught:
        read(f"ok: 1\nbad: {value}\n")
    assert caught.value.where == "f.yml:2"


def test_vault_and_unsafe_are_kept() -> None:
    """Encrypted values stay ciphertext and unsafe ones text, in YAML and in Ansible's JSON."""
    expected = {"v": Vaulted("c"), "u": Unsafe("{{ x }}"), "n": 5}
    assert read('v: !vault c\nu: !unsafe "{{ x }}"\nn: !unsafe 5\n') == expected
    assert read('{"v": {"__ansible_vault": "c"}, "u": {"__ansible_unsafe": "{{ x }}"}, "n": 5}') == expected
    unsafe = read("a: !unsafe [x, {k: y}]")
    assert isinstance(unsafe, dict)
    assert all(isinstance(item, Unsafe) for item in (unsafe["a"][0], unsafe["a"][1]["k"]))


def test_duplicates_are_noted() -> None:
    """A repeated key is noted with its line and the last one counts; JSON likewise."""
    notes: list[Finding] = []
    assert parse("a: 1\nb: 2\na: 3\n", "f.yml", notes) == {"a": 3, "b": 2}
    assert parse('{"a": 1, "a": 3}', "f.json", notes) == {"a": 3}
    assert [note.where for note in notes] == ["f.yml:3", "f.json"]


def test_lines_are_known() -> None:
    """A map tells the line of each of its keys."""
    document = read("a: 1\n\n# comment\nb:\n  c: 2\n")
    assert isinstance(document, Marked)
    assert (document.where("f", "a"), document.where("f", "b")) == ("f:1", "f:4")
    inner = document["b"]
    assert isinstance(inner, Marked)
    assert inner.where("f", "c") == "f:5"


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8"))
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=20,
)


@given(value=st.dictionaries(st.text(st.characters(codec="utf-8")), documents, min_size=1))
def test_json_comes_back(value: dict[str, object]) -> None:
    """Any JSON document is read as the values it was written from."""
    if set(value) & {"__ansible_vault", "__ansible_unsafe"}:
        return
    assert read(json.dumps(value)) == value


@given(text=st.text(max_size=200) | st.text("{}[]:,-&*!<>|? \n\t\"'#ab1", max_size=200))
def test_any_text_is_a_value_or_an_inventory_error(text: str) -> None:
    """Hostile text never raises anything but InventoryError."""
    with contextlib.suppress(InventoryError):
        assert isinstance(read(text), (type(None), bool, int, float, str, list, dict, dt.date, Vaulted))
