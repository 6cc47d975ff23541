"""Judging an inventory: what is wrong, what is risky, what is ignored.

Decides the findings of `remedy inventory check` beyond those noted while reading. Every host is tried as a target
and its policy read, so that what would fail in an emergency fails here first. Asks no network.
"""

from __future__ import annotations

import contextlib
import difflib
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from remedy.core.errors import InventoryError, UsageError
from remedy.inventory import credentials, databases, devices, offsite, policy, secrecy, target
from remedy.inventory.documents import Vaulted
from remedy.inventory.findings import Finding, Located, of_error

if TYPE_CHECKING:
    from remedy.inventory.inventory import Inventory

_RANK: Final = {"error": 0, "warning": 1, "info": 2}
_GROUP_OR_OTHER_READABLE: Final = 0o077


def findings(inventory: Inventory) -> tuple[Finding, ...]:
    """All findings, errors first, each once."""
    found = [*inventory.notes, *_overall(inventory)]
    seen_variables: dict[tuple[str, str], None] = {}
    places: dict[tuple[str, int], str] = {}
    for host in inventory.hosts:
        for name, located in inventory.located(host).items():
            if (name, located.where) not in seen_variables:
                seen_variables[name, located.where] = None
                found.extend(_variable(name, located))
        found.extend(_host(inventory, host, places))
        found.extend(_device(inventory, host))
    found.extend(_ports(inventory))
    for group in inventory.groups:
        found.extend(_group(inventory, group))
    found.extend(_elsewhere(inventory))
    clean = secrecy.remover(inventory.in_clear())
    shown = (replace(one, where=clean(one.where), message=clean(one.message), hint=clean(one.hint)) for one in found)
    return tuple(sorted(dict.fromkeys(shown), key=lambda finding: _RANK[finding.severity]))


def _overall(inventory: Inventory) -> Iterator[Finding]:
    if not inventory.hosts:
        yield Finding("warning", str(inventory.path), "the inventory has no hosts")
    for name, paths in inventory.encrypted.items():
        for path in paths:
            yield Finding(
                "warning",
                path,
                f"encrypted with Ansible Vault: its variables for {name.partition(':')[2]} are not seen",
                "keep what remedy needs in a file in clear, and secrets by reference",
            )


def _elsewhere(inventory: Inventory) -> Iterator[Finding]:
    """What is kept off site, and whose signatures count: set for `all`, and for nobody else."""
    overall = inventory.group_variables("all")
    for key in offsite.KEYS:
        named = [(group, inventory.group_variables(group)) for group in inventory.groups if group != "all"]
        for name, variables in (*named, *((host, inventory.located(host)) for host in inventory.hosts)):
            if key in variables and variables[key] != overall.get(key):
                yield Finding("warning", variables[key].where, f"{key} of {name} is ignored", "set it for `all`")
    try:
        inventory.record_keys()
        if places := inventory.offsite():
            yield from offsite.risks(places, overall[offsite.PLACES].where)
    except InventoryError as error:
        yield of_error(error)


def _variable(name: str, located: Located) -> Iterator[Finding]:
    if isinstance(located.value, Vaulted):
        yield Finding(
            "info", located.where, f"{name} is encrypted with Ansible Vault: unusable here", "refer to it by command"
        )
        return
    known = (*policy.KEYS, databases.KEY, *devices.KEYS, *offsite.KEYS)
    if name.startswith("remedy_") and name not in known and not secrecy.is_secret(name):
        near = difflib.get_close_matches(name, known, n=1)
        yield Finding(
            "warning", located.where, f"{name} is no known key", f"did you mean {near[0]}?" if near else "remove it"
        )
    if secrecy.is_secret(name) and any(credentials.in_clear(name, located.value)):
        yield Finding(
            "warning",
            located.where,
            f"{name} stands here in clear",
            "write {env: NAME}, {file: PATH}, {command: […]} or {keyring: […]}",
        )


def _host(inventory: Inventory, host: str, places: dict[tuple[str, int], str]) -> Iterator[Finding]:
    try:
        made = inventory.target(host)
        options = inventory.login(host).options()
    except InventoryError as error:
        yield of_error(error)
    else:
        twin = places.setdefault((made.address, made.port), host)
        if twin != host:
            yield Finding("warning", host, f"has the address and port of {twin}", "is one of them a leftover?")
        for ignored in options.ignored:
            yield Finding("warning", host, f"the ssh option {ignored} is ignored", _why(ignored))
        yield from _files(made.key_file, made.known_hosts)
    try:
        rules = inventory.policy(host)
        if rules.vantage:
            inventory.select(rules.vantage_for)
    except InventoryError as error:
        yield of_error(error)
    except UsageError as error:
        where = inventory.located(host)["remedy_vantage_for"].where
        yield Finding("error", where, f"remedy_vantage_for: {error.message}", error.hint)
    yield from _databases(inventory, host)


def _databases(inventory: Inventory, host: str) -> Iterator[Finding]:
    try:
        declared = inventory.declared(host)
    except InventoryError as error:
        yield of_error(error)
        return
    for one in declared:
        try:
            yield from databases.risks(one.database(), one.at.where)
        except InventoryError as error:
            yield of_error(error)


def _device(inventory: Inventory, host: str) -> Iterator[Finding]:
    variables = inventory.located(host)
    try:
        found = inventory.device(host)
    except InventoryError as error:
        yield of_error(error)
        return
    yield from devices.risks(found, variables) if found else devices.unused(host, variables)


def _ports(inventory: Inventory) -> Iterator[Finding]:
    places: dict[str, devices.SwitchPort] = {}
    for host in inventory.hosts:
        try:
            port = inventory.switch_port(host)
        except InventoryError as error:
            yield of_error(error)
            continue
        if port is None:
            continue
        places[host] = port
        # What is wrong with the switch itself is said where it is described.
        with contextlib.suppress(InventoryError):
            switch = inventory.device(port.device)
            if switch is not None:
                yield from devices.without_quarantine(host, port, switch, _place(inventory, host))
    yield from devices.shared(places, lambda host: _place(inventory, host))


def _place(inventory: Inventory, host: str) -> str:
    return inventory.located(host)[devices.SWITCH].where


def _why(option: str) -> str:
    return "host keys are always checked" if "host" in option.lower() else "remove it for this host if it matters"


def _files(key: str, known_hosts: str) -> Iterator[Finding]:
    if not os.path.exists(known_hosts):  # noqa: PTH110 -- a path as text in a Target
        yield Finding(
            "warning", known_hosts, "there is no such file, so no host key is known", "set remedy_known_hosts"
        )
    if not key:
        return
    try:
        mode = os.stat(key).st_mode  # noqa: PTH116 -- as above
    except OSError as error:
        yield Finding("warning", key, f"private key: {error.strerror}", f"correct {target.KEY[1]}")
        return
    if mode & _GROUP_OR_OTHER_READABLE:
        yield Finding("warning", key, "private key is open to others", f"chmod 600 {key}")


def _group(inventory: Inventory, group: str) -> Iterator[Finding]:
    try:
        inventory.budget(group)
    except InventoryError as error:
        yield of_error(error)
    if group not in {"all", "ungrouped"} and not inventory.groups[group].members:
        yield Finding("info", group, "the group has no hosts")
    if target.HOST[0] in inventory.group_variables(group):
        where = inventory.group_variables(group)[target.HOST[0]].where
        yield Finding(
            "warning", where, f"ansible_host of group {group}: all its hosts get one address", "set it per host"
        )
