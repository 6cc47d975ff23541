"""Templates in variables: references are followed, anything cleverer is refused."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from remedy.core.errors import InventoryError
from remedy.inventory import Inventory, resolve

Loader = Callable[..., Inventory]


def address(inventory: Loader, value: str, more: str = "") -> str:
    """The address a template comes to."""
    text = f"all:\n  hosts:\n    other: {{ip: 198.18.0.7}}\n    web01.example.net:\n      ansible_host: {value}\n{more}"
    return inventory({"h.yml": text}, environ={"NET": "198.18"}).target("web01.example.net").address


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('"{{ ip }}"', "198.18.0.3"),
        ('"{{ net.base }}.{{ last }}"', "198.18.0.3"),
        ("\"{{ net['base'] ~ '.' ~ last }}\"", "198.18.0.3"),
        ('"{{ twice }}"', "198.18.0.3"),
        ("\"{{ missing | default('x') }}\"", "x"),
        ("\"{{ hostvars['other'].ip }}\"", "198.18.0.7"),
        ("\"{{ hostvars[groups['all'][0]]['ip'] }}\"", "198.18.0.7"),
        ('"{{ inventory_hostname_short | upper }}"', "WEB01"),
        ("\"{{ lookup('env', 'NET') }}.0.3\"", "198.18.0.3"),
        ("\"{{ ip | replace('18', '19') }}\"", "198.19.0.3"),
        ("\"{{ ip if last == 3 else 'no' }}\"", "198.18.0.3"),
        ('!unsafe "{{ ip }}"', "{{ ip }}"),
    ],
)
def test_references(value: str, expected: str, inventory: Loader) -> None:
    """Names, items, joins, a few filters and other hosts' variables come to what Ansible makes of them."""
    more = "      ip: 198.18.0.3\n      last: 3\n      net: {base: 198.18.0}\n      twice: '{{ ip }}'\n"
    assert address(inventory, value, more) == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ('"{{ missing }}"', "missing.* is undefined"),
        ('"{{ ansible_host }}"', "refers to itself"),
        ('"{{ open }"', "unexpected"),
        ('"{% for i in range(9) %}x{% endfor %}{{ 1 }}"', "not allowed"),
        ("\"{{ 'x' * 999999999 }}\"", "not allowed"),
        ('"{{ 9 ** 9999999 }}"', "not allowed"),
        ("\"{{ ''.__class__ }}\"", "unsafe|plain value|undefined"),
        ("\"{{ '%99999999d' % 1 }}\"", "not allowed"),
        ("\"{{ lookup('pipe', 'id') }}\"", "only lookup"),
        ("\"{{ lookup('file', '/etc/shadow') }}\"", "only lookup"),
        ("\"{{ ''.join(['a']) }}\"", "only lookup"),
        ("\"{{ x | map('upper') }}\"", "filter map"),
        ('"{{ hostvars }}"', "plain value"),
        ('!vault "c"', "encrypted"),
    ],
)
def test_refused(value: str, message: str, inventory: Loader) -> None:
    """Loops, calls, arithmetic that grows, attributes of Python and undefined names are errors at the variable."""
    with pytest.raises(InventoryError, match=message) as caught:
        address(inventory, value)
    assert caught.value.where.endswith("h.yml:5")


def test_growth_is_bounded(inventory: Loader) -> None:
    """Variables that double each other are refused before they fill the memory."""
    more = "      v0: xxxxxxxxxx\n" + "".join(
        f"      v{i}: '{{{{ v{i - 1} }}}}{{{{ v{i - 1} }}}}'\n" for i in range(1, 31)
    )
    start = time.monotonic()
    with pytest.raises(InventoryError, match="longer than"):
        address(inventory, '"{{ v30 }}"', more)
    assert time.monotonic() - start < 5


def test_circles_over_hosts(inventory: Loader) -> None:
    """Two hosts that refer to each other are an error, not an endless recursion."""
    found = inventory(
        {"h.ini": "a x=\"{{ hostvars['b'].x }}\" ansible_host='{{ x }}'\nb x=\"{{ hostvars['a'].x }}\"\n"}
    )
    with pytest.raises(InventoryError, match="refers to itself"):
        found.target("a")


def test_lists_keep_their_type(inventory: Loader) -> None:
    """A template that is one expression gives the list itself."""
    values = "remedy_addresses: '{{ ips }}', ips: [198.18.0.1, '{{ six }}'], six: '2001:db8::1'"
    found = inventory({"h.yml": f"all: {{hosts: {{w: {{{values}}}}}}}"})
    assert found.policy("w").addresses == ("198.18.0.1", "2001:db8::1")


@pytest.mark.parametrize(
    ("variables", "reference", "value"),
    [
        ("{ansible_password: '{{ pw }}', pw: {env: P}}", "env:P", "from-env"),
        ("{ansible_password: '{{ pw }}', pw: \"{{ lookup('env', 'P') }}\"}", "env:P", "from-env"),
        ("{ansible_password: \"{{ lookup('ansible.builtin.env', 'P') }}\"}", "env:P", "from-env"),
        ("{ansible_password: '{{ pw }}', pw: '{{ pw2 }}', pw2: clear}", "literal:pw2", "clear"),
        ("{ansible_password: 'a{{ pw }}', pw: b}", "literal:ansible_password", "ab"),
        ("{ansible_password: !unsafe 'a{{ pw }}'}", "literal:ansible_password", "a{{ pw }}"),
    ],
)
def test_secrets_through_templates(variables: str, reference: str, value: str, inventory: Loader) -> None:
    """A password that refers to another variable takes that one's reference."""
    secret = inventory({"h.yml": f"all: {{hosts: {{w: {variables}}}}}"}).target("w").password
    assert secret is not None
    assert (secret.reference, resolve(secret, environ={"P": "from-env"})) == (reference, value)


def test_vaulted_secret_only_fails_when_resolved(inventory: Loader) -> None:
    """An encrypted password is no obstacle until it is needed; the error says what to write instead."""
    secret = (
        inventory({"h.yml": "all: {hosts: {w: {ansible_password: '{{ pw }}', pw: !vault x}}}"}).target("w").password
    )
    assert secret is not None
    with pytest.raises(InventoryError, match="Vault") as caught:
        resolve(secret)
    assert "ansible-vault" in caught.value.hint


def test_foreign_lookup_for_a_secret(inventory: Loader) -> None:
    """A lookup remedy does not know is refused with the forms it does know."""
    found = inventory({"h.yml": "all: {hosts: {w: {ansible_password: \"{{ lookup('community.x.vault', 'p') }}\"}}}"})
    with pytest.raises(InventoryError, match="only lookup") as caught:
        found.target("w")
    assert "command" in caught.value.hint
