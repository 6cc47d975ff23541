"""Policy: the remedy_* variables, typed; wrong types name file and key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from remedy.core.errors import InventoryError
from remedy.inventory import Budget, Inventory, Policy, Ports, policy

Loader = Callable[..., Inventory]


def test_defaults(inventory: Loader) -> None:
    """A host nobody said anything about has the default policy."""
    assert inventory({"h.ini": "w\n"}).policy("w") == Policy()


def test_all_keys(inventory: Loader, tmp_path: Path) -> None:
    """Every key reaches its field, addresses in canonical form and paths from the inventory."""
    text = """
all:
  hosts:
    w:
      remedy_known_hosts: keys
      remedy_addresses: [198.18.0.1, "2001:DB8:0::1", 198.18.0.1]
      remedy_management: [198.18.250.0/24, 198.18.1.1, "2001:db8:f::/48"]
      remedy_vantage: outside
      remedy_vantage_for: [web, "!w"]
      remedy_probe: {tcp: [22, "80"], udp: 53}
      remedy_canaries: 198.18.9.9
      remedy_canary_ports: {tcp: [443]}
      remedy_resolvers: [198.18.0.53]
      remedy_impact: the shop
      remedy_protected: "yes"
      remedy_budget: {isolations_per_hour: 3}
      remedy_dns: pinned
      remedy_require_grade: network
"""
    assert inventory({"h.yml": text}).policy("w") == Policy(
        known_hosts=str(tmp_path / "inv" / "keys"),
        addresses=("198.18.0.1", "2001:db8::1"),
        management=("198.18.250.0/24", "198.18.1.1", "2001:db8:f::/48"),
        vantage="outside",
        vantage_for=("web", "!w"),
        probe=Ports((22, 80), (53,)),
        canaries=("198.18.9.9",),
        canary_ports=Ports((443,)),
        resolvers=("198.18.0.53",),
        impact="the shop",
        protected=True,
        budget=Budget(3, 50),
        dns="pinned",
        require_grade="network",
    )


def test_ini_spelling(inventory: Loader) -> None:
    """INI inventories write lists with commas or as literals."""
    found = inventory(
        {"h.ini": "w remedy_addresses=198.18.0.1,2001:db8::1 remedy_protected=true remedy_probe=\"{'tcp': [80]}\"\n"}
    ).policy("w")
    assert (found.addresses, found.protected, found.probe.tcp) == (("198.18.0.1", "2001:db8::1"), True, (80,))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("remedy_known_hosts", "[a]"),
        ("remedy_addresses", "[web01]"),
        ("remedy_addresses", "[5]"),
        ("remedy_addresses", "{a: 1}"),
        ("remedy_addresses", "['fe80::1%eth0']"),
        ("remedy_management", "[198.18.0.1/24]"),
        ("remedy_management", "[7]"),
        ("remedy_vantage", "inside"),
        ("remedy_vantage_for", "[1]"),
        ("remedy_probe", "[80]"),
        ("remedy_probe", "{icmp: [1]}"),
        ("remedy_probe", "{tcp: [0]}"),
        ("remedy_probe", "{tcp: [65536]}"),
        ("remedy_probe", "{tcp: [http]}"),
        ("remedy_probe", "{tcp: [80.5]}"),
        ("remedy_probe", "{tcp: [true]}"),
        ("remedy_canaries", "[x]"),
        ("remedy_canary_ports", "x"),
        ("remedy_resolvers", "[x]"),
        ("remedy_impact", "5"),
        ("remedy_protected", "perhaps"),
        ("remedy_protected", "[true]"),
        ("remedy_budget", "{isolations_per_hour: -1}"),
        ("remedy_budget", "{group_share_percent: 101}"),
        ("remedy_budget", "{per_day: 1}"),
        ("remedy_budget", "5"),
        ("remedy_dns", "open"),
        ("remedy_require_grade", "perimeter"),
    ],
)
def test_wrong_types(key: str, value: str, inventory: Loader) -> None:
    """A value of the wrong type is an error with the key, the file and the line."""
    found = inventory({"hosts": "w\n", "group_vars/all.yml": f"x: 1\n{key}: {value}\n"})
    with pytest.raises(InventoryError, match=key) as caught:
        found.policy("w")
    assert caught.value.where.endswith("group_vars/all.yml:2")


def test_budgets_of_groups(inventory: Loader) -> None:
    """A group's own budget counts, else that of the nearest group above, else the default."""
    found = inventory(
        {
            "h.yml": "site: {vars: {remedy_budget: {group_share_percent: 20}}, children: {web: {hosts: {w: }},"
            " db: {vars: {remedy_budget: {isolations_per_hour: 1}}}}}\nlone: {hosts: {x: }}\n"
        }
    )
    assert [found.budget(name) for name in ("site", "web", "db", "lone")] == [
        Budget(10, 20),
        Budget(10, 20),
        Budget(1, 50),
        Budget(),
    ]


def test_every_key_has_a_field() -> None:
    """Keys and fields of Policy are the same names."""
    assert {f"remedy_{name}" for name in Policy.__dataclass_fields__} == set(policy.KEYS)


def test_every_key_is_documented() -> None:
    """The reference names every key."""
    text = (Path(__file__).parents[2] / "docs" / "reference" / "inventory.md").read_text()
    assert [key for key in policy.KEYS if f"`{key}`" not in text] == []
