"""The lab's inventory: Ansible's YAML folder that matches the lab that is up.

Decides groups and variables. Leaves to others: reading it.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from remedy.core.errors import Refused
from remedy.lab import appliances, offsite, spoiling
from remedy.lab.credentials import Credentials
from remedy.lab.topology import ZONES, Host, Topology

__all__ = ["require_own_folder", "write_inventory"]

_MARK = "# Written by `remedy lab up` to match the lab; overwritten by the next one.\n"
_VANTAGE = {"attacker": "outside", "web02": "peer", "legacy01": "peer", "backup01": "peer", "mon01": "management"}
_PROTECTED = ("fw01", "core01", "asa01", "sw01", "mon01", "backup01", "offsite")
_IMPACT = {
    "web01": "The public site's first server: visitors are left with web02 alone.",
    "web02": "The public site's second server: visitors are left with web01 alone.",
    "legacy01": "The old public site: its visitors see nothing.",
    "db01": "The database of all sites: every page that shows notices answers 503.",
}


def require_own_folder(folder: Path) -> None:
    """Return when `folder` may be written: empty, absent, or an earlier lab's. Raises Refused for any other."""
    hosts = folder / "hosts.yml"
    if hosts.exists() and hosts.read_text(encoding="utf-8", errors="replace").startswith(_MARK):
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Refused("this is not an inventory the lab wrote", where=str(folder), hint="choose another folder")


def write_inventory(folder: Path, topology: Topology, credentials: Credentials) -> None:
    """Write hosts.yml, group_vars/ and host_vars/ into `folder`, replacing what an earlier lab wrote there."""
    import yaml  # noqa: PLC0415 - slow to import, and only `up` writes

    require_own_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hosts.yml").write_text(_MARK, encoding="utf-8")
    for name in ("group_vars", "host_vars"):
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir()

    def write(name: str, content: dict[str, Any]) -> None:
        text = yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
        (folder / name).write_text(_MARK + text, encoding="utf-8")

    groups: dict[str, dict[str, Any]] = {}
    for host in topology.hosts:
        for group in host.groups:
            groups.setdefault(group, {"hosts": {}})["hosts"][host.name] = {}
        variables = _host_vars(host, topology)
        if "mysql" in host.services:
            variables["remedy_databases"] = {"site": _database(credentials)}
        variables |= appliances.variables(host, topology, credentials)
        write(f"host_vars/{host.name}.yml", variables)
    write("hosts.yml", {"all": {"children": {"lab": {"children": groups}}}})
    write("group_vars/lab.yml", _lab_vars(topology, credentials))


def _lab_vars(topology: Topology, credentials: Credentials) -> dict[str, Any]:
    attacker, management = topology["attacker"], ZONES["management"]
    return {
        "ansible_user": "root",
        "ansible_port": 22,
        "ansible_ssh_private_key_file": str(credentials.controller_key),
        "remedy_known_hosts": str(credentials.known_hosts),
        "remedy_management": [management.address4(1), management.address6(1)],
        "remedy_canaries": [attacker.v4, attacker.v6],
        "remedy_canary_ports": {"tcp": [4444], "udp": [4444]},
    }


def _database(credentials: Credentials) -> dict[str, Any]:
    """The site's database: its copies in order of distance, who writes to it, and what a restored one must answer."""
    store = {
        "endpoint": offsite.ENDPOINT,
        "bucket": offsite.BUCKET,
        "prefix": offsite.PREFIX,
        "versioned": True,
        "access_key": {"file": str(credentials.store_access_key)},
        "secret_key": {"file": str(credentials.store_secret_key)},
    }
    return {
        "timezone": "UTC",
        "binlogs": "/var/lib/mysql",
        "copies": [
            {"name": "local", "path": spoiling.FOLDERS["db01"], "place": "machine room"},
            {"name": "building-b", "host": "backup01", "path": spoiling.FOLDERS["backup01"], "place": "building B"},
            {"name": "off-site", **store, "off_site": True, "place": "other city"},
        ],
        "units": [{"host": "web01", "name": name} for name in ("site", "till")],
        "questions": [
            {"sql": "SELECT COUNT(*) FROM notice", "at_least": 1},
            {"sql": "SELECT COUNT(*) FROM orders JOIN customer ON customer.id = orders.customer", "at_least": 100},
        ],
    }


def _host_vars(host: Host, topology: Topology) -> dict[str, Any]:
    zone = ZONES[host.zone]
    variables: dict[str, Any] = {
        "ansible_host": host.v4,
        "remedy_addresses": [host.v4, host.v6],
        "remedy_resolvers": list(zone.resolvers),
        "remedy_probe": {"tcp": sorted(host.services.values()), "udp": [4444]},
    }
    if host.name in _VANTAGE:
        variables["remedy_vantage"] = _VANTAGE[host.name]
    if _VANTAGE.get(host.name) == "peer":
        near = [other.name for other in topology.hosts if other.zone == host.zone and other is not host]
        variables["remedy_vantage_for"] = near
    if (host.zone == "dmz" and not {80, 443} & set(host.services.values())) or host.zone not in {"dmz", "outside"}:
        variables["remedy_unreachable_from"] = ["outside"]  # the perimeter lets in the web alone
    if host.name in _IMPACT:
        variables["remedy_impact"] = _IMPACT[host.name]
    if host.name in _PROTECTED:
        variables["remedy_protected"] = True
    return variables
