"""Targets: Ansible's connection variables become what a transport logs in with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from remedy.core.errors import InventoryError, UnknownTarget
from remedy.core.values import Secret
from remedy.inventory import Inventory, resolve

Loader = Callable[..., Inventory]


def test_defaults(inventory: Loader, tmp_path: Path) -> None:
    """A bare name is reached at port 22 as the operator, with the operator's known hosts, without elevation."""
    made = inventory({"hosts.ini": "web1\n"}).target("web1")
    assert (made.address, made.port, made.user, made.become, made.key_file) == ("web1", 22, "operator", False, "")
    assert made.known_hosts == str(tmp_path / "home" / ".ssh" / "known_hosts")
    assert (made.password, made.become_password, made.jump, made.groups) == (None, None, (), ("ungrouped",))


def test_all_variables(inventory: Loader, tmp_path: Path) -> None:
    """Address, port, user, key, passwords and elevation come from their variables; paths start at the inventory."""
    made = inventory(
        {
            "hosts.yml": "web: {hosts: {w: {ansible_host: 198.18.0.1, ansible_port: 2222, ansible_user: deploy,"
            " ansible_ssh_private_key_file: keys/id, ansible_become: yes, ansible_become_user: root,"
            " ansible_become_method: ansible.builtin.sudo, ansible_password: {env: P},"
            " ansible_become_pass: {file: ~/sudo}, remedy_known_hosts: known}}}"
        }
    ).target("w")
    inv = tmp_path / "inv"
    assert (made.address, made.port, made.user, made.become) == ("198.18.0.1", 2222, "deploy", True)
    assert (made.key_file, made.known_hosts) == (str(inv / "keys/id"), str(inv / "known"))
    assert made.password == Secret("env:P")
    assert made.become_password == Secret(f"file:{tmp_path / 'home' / 'sudo'}")
    assert made.groups == ("web",)


def test_old_names(inventory: Loader) -> None:
    """The names of Ansible 1 still count, and win over the new ones, as in Ansible."""
    made = inventory(
        {
            "h.ini": "w ansible_host=a ansible_ssh_host=b ansible_ssh_port=23 ansible_ssh_user=u "
            "ansible_ssh_pass=12345 ansible_sudo=yes\n"
        }
    ).target("w")
    assert (made.address, made.port, made.user, made.become) == ("b", 23, "u", True)
    assert made.password is not None
    assert resolve(made.password) == "12345"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ansible_port=ssh", "no TCP port"),
        ("ansible_port=70000", "no TCP port"),
        ("ansible_become=perhaps", "true or false"),
        ("ansible_become=1 ansible_become_user=postgres", "becomes root"),
        ("ansible_become=1 ansible_become_method=su", "with sudo"),
        ("ansible_connection=local", "SSH only"),
        ("ansible_connection=community.docker.docker", "SSH only"),
        ("ansible_host=\"['a']\"", "expected text"),
        ("ansible_ssh_common_args=\"-o ProxyCommand='nc x %h %p'\"", "cannot follow"),
        ('ansible_ssh_common_args="\'open"', "cannot split"),
        ("ansible_password=\"{'env': 1}\"", "no reference to a secret"),
    ],
)
def test_unusable_values(line: str, message: str, inventory: Loader) -> None:
    """A value that cannot be meant is an error at its line when the host is wanted, not before."""
    found = inventory({"hosts.ini": f"ok\nw {line}\n"})
    assert found.target("ok").name == "ok"
    with pytest.raises(InventoryError, match=message) as caught:
        found.target("w")
    assert caught.value.where.endswith("hosts.ini:2")


def test_jump_through_inventory_and_foreign_hosts(inventory: Loader, tmp_path: Path) -> None:
    """A jump host of the inventory brings its address and key and is reached directly; another is taken as written."""
    made = inventory(
        {
            "h.ini": "[all:vars]\nansible_ssh_common_args=-J gate,ops@[2001:db8::1]:2222\nansible_user=u\n"
            "[x]\nw\ngate ansible_host=198.18.0.9 ansible_port=99 ansible_ssh_private_key_file=k\n"
        }
    ).target("w")
    gate, inner = made.jump
    assert (gate.name, gate.address, gate.port, gate.user, gate.jump) == ("gate", "198.18.0.9", 99, "u", ())
    assert gate.key_file == str(tmp_path / "inv" / "k")
    assert (inner.address, inner.port, inner.user) == ("2001:db8::1", 2222, "ops")
    assert inner.known_hosts == made.known_hosts


def test_proxy_command(inventory: Loader) -> None:
    """`ssh -W %h:%p` means a jump, with its port, user and key; %r is the target's user."""
    args = '-C -o ProxyCommand=\\"ssh -W %h:%p -q -p 2200 -i /k %r@gate\\" -o ForwardAgent=no'
    made = inventory(
        {"h.yml": f'all: {{hosts: {{w: {{ansible_user: u, ansible_ssh_common_args: "{args}"}}}}}}'}
    ).target("w")
    (hop,) = made.jump
    assert (hop.address, hop.port, hop.user, hop.key_file) == ("gate", 2200, "u", "/k")


def test_variables_carry_no_secret(inventory: Loader) -> None:
    """`Target.vars` is canonical JSON of everything but secrets and encrypted values, floats as text."""
    text = (
        "all: {hosts: {w: {b: 1.5, a: [1, {token: hidden1}], db_password: hidden2, v: !vault hidden3,"
        " ansible_password: {env: hidden4}, d: 2026-11-20, 7: x}}}"
    )
    made = inventory({"h.yml": text}).target("w")
    assert json.loads(made.vars) == {"a": [1, {}], "b": "1.5", "d": "2026-11-20", "7": "x"}
    assert made.vars == json.dumps(json.loads(made.vars), sort_keys=True, separators=(",", ":"))
    assert "hidden" not in made.vars + repr(made).replace("env:hidden4", "")


def test_listing_masks_secrets_and_raw_does_not(inventory: Loader) -> None:
    """People see where a secret is kept; only `raw` and `variables` have it as written."""
    found = inventory(
        {
            "h.yml": "all: {hosts: {w: {ansible_password: pw, ansible_become_pass: {env: S}, x_token: 1,"
            " v: !vault c, n: {password: q}}}}"
        }
    )
    assert found.shown("w") == {
        "ansible_password": "<secret literal>",
        "ansible_become_pass": "<secret env:S>",
        "x_token": "<secret literal>",
        "v": "<secret vault>",
        "n": {"password": "<secret literal>"},
    }
    assert found.variables("w")["ansible_password"] == "pw"
    assert "pw" not in json.dumps(found.listing())


def test_unknown_host(inventory: Loader) -> None:
    """A host that is not there is an error with near misses."""
    found = inventory({"h.ini": "web01\nweb02\ndb01\n"})
    for ask in (found.target, found.variables, found.policy):
        with pytest.raises(UnknownTarget) as caught:
            ask("wbe01")
        assert "web01" in caught.value.hint
