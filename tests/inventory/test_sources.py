"""INI and YAML sources: what is malformed is an error with its file and line."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from remedy.core.errors import InventoryError
from remedy.inventory import Inventory

Loader = Callable[..., Inventory]

MALFORMED_INI = {
    "[web\nx y\n": (1, "no closing bracket"),
    "web1\n[a b]\n": (2, "is no section"),
    "[web:hosts:x]\n": (1, "is no section"),
    "[web:nonsense]\n": (1, "no known kind"),
    "[web]\nweb1 'open\n": (2, "cannot split"),
    "[web]\nweb[1:\n": (2, "no closing bracket"),
    "[web]\nweb[1-3]\n": (2, "begin:end"),
    "[web]\nweb[3:1]\n": (2, "backwards"),
    "[web]\nweb[01:100]\n": (2, "same number of digits"),
    "[web]\nweb[a:9]\n": (2, "numbers or over single letters"),
    "[web]\nweb[1:9:0]\n": (2, "step"),
    "[web]\nweb[:]\n": (2, "no end"),
    "[web]\nweb[1:999999]\n": (2, "more than"),
    "[web]\nweb[1:999][1:999]\n": (2, "more than"),
    "[web]\nweb:99999\n": (2, "no TCP port"),
    "[web]\nweb:\n": (2, "ends in a colon"),
    "---\nweb\n": (1, "YAML"),
    "[web]\n''\n": (2, "no host name"),
    "[web]\n'a b'\n": (2, "no host name"),
    "[web:vars]\nx=1\n": (1, "declared nowhere"),
    "[site:children]\n\nweb\n": (3, "declared nowhere"),
    "[site:children]\nweb x\n[web]\n": (2, "no group name"),
    "[web]\n[web:vars]\nx\n": (3, "not key=value"),
    "[a]\n[a:children]\na\n": (3, "contain each other"),
    "[a:children]\nb\n[b:children]\nc\n[c:children]\na\n": (6, "contain each other"),
    "[a:children]\nall\n": (2, "contain each other"),
    "[a]\n[a:vars]\nansible_group_priority=high\n": (3, "whole number"),
}


@pytest.mark.parametrize("text", MALFORMED_INI)
def test_malformed_ini(text: str, inventory: Loader) -> None:
    """A malformed INI inventory is refused with the file, the line and what to do."""
    line, message = MALFORMED_INI[text]
    with pytest.raises(InventoryError, match=message) as caught:
        inventory({"hosts.ini": text})
    assert caught.value.where.endswith(f"hosts.ini:{line}")


MALFORMED_YAML = {
    "all:\n  hosts:\n    - web1\n": (2, "a list"),
    "all:\n  children:\n    web: [x]\n": (3, "no group"),
    "all:\n  hosts:\n    5:\n": (3, "not text"),
    "all:\n  hosts:\n    web1: [1]\n": (3, "a list"),
    "5:\n  hosts:\n": (1, "not text"),
    "all:\n  vars: [1]\n": (2, "a list"),
    "all:\n hosts:\n\tweb1:\n": (3, "not valid YAML"),
    "all: {hosts: {a: }\n": (2, "not valid YAML"),
    "- web1\n": (1, "no map"),
    "web1\n": (1, "no map"),
    "a: {}\n---\nb: {}\n": (2, "second document"),
    "a:\n  children:\n    b:\n      children:\n        a:\n": (3, "contain each other"),
    "all:\n  hosts:\n    web[2:1]:\n": (3, "backwards"),
    "plugin: amazon.aws.aws_ec2\n": (1, "plug-in"),
    "all:\n  hosts:\n    h: {d: 2026-13-45}\n": (3, "timestamp"),
    "all:\n  hosts:\n    h: {[1]: x}\n": (3, "plain scalar"),
}


@pytest.mark.parametrize("text", MALFORMED_YAML)
def test_malformed_yaml(text: str, inventory: Loader) -> None:
    """A malformed YAML inventory is refused with the file, the line and what to do."""
    line, message = MALFORMED_YAML[text]
    with pytest.raises(InventoryError, match=message) as caught:
        inventory({"hosts.yml": text})
    assert caught.value.where.endswith(f"hosts.yml:{line}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("---\nall:\n  hosts:\n - x\n", "not valid YAML"),
        ("[web]\nweb[3:1]\n", "backwards"),
        ("all:\n  x: [\n", "not valid YAML"),
    ],
)
def test_error_of_the_format_meant(text: str, message: str, inventory: Loader) -> None:
    """Without an extension the error comes from the format the file was meant to have."""
    with pytest.raises(InventoryError, match=message):
        inventory({"hosts": text})


def test_group_and_host_of_one_name(inventory: Loader) -> None:
    """A host named like a group gives its variables to the group, as in Ansible, and is noted."""
    found = inventory({"hosts.ini": "[web]\nweb x=1\nother\n"})
    assert found.variables("other") == {"x": 1}
    assert any("name of a host and of a group" in note.message for note in found.notes)


def test_deep_nesting_of_groups_is_bounded(inventory: Loader) -> None:
    """A chain of thousands of groups is refused in time instead of hanging or overflowing."""
    text = "".join(f"[g{i}:children]\ng{i + 1}\n" for i in range(2000)) + "[g2000]\nx\n"
    with pytest.raises(InventoryError, match="nested deeper"):
        inventory({"hosts.ini": text})


def test_diamonds_do_not_explode(inventory: Loader) -> None:
    """Groups shared by many parents cost what they are, and a graph of exponential length is refused."""
    rows = ["[r0a]", "x"]
    for i in range(1, 40):
        rows += [f"[r{i}{side}:children]\nr{i - 1}a" + ("" if i == 1 else f"\nr{i - 1}b") for side in "ab"]
    found = inventory({"hosts.ini": "\n".join(rows)})
    assert found.groups["r39a"].members == ("x",)
    with pytest.raises(InventoryError, match="lines"):
        found.graph()


def test_empty_sources(inventory: Loader) -> None:
    """Empty and comment-only files are inventories without hosts."""
    assert inventory({"a.yml": "# nothing\n", "b.ini": "; nothing\n", "c": "", "d.yaml": "---\n"}).hosts == ()
