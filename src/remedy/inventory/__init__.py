"""The inventory: Ansible files to targets.

inventory = load(Path("inventories/production"), user="ops")
for name in inventory.select(["web:!web03"]):
    target, policy = inventory.target(name), inventory.policy(name)
"""

from remedy.inventory.credentials import resolve
from remedy.inventory.devices import Device, SwitchPort
from remedy.inventory.findings import Finding
from remedy.inventory.inventory import Group, Inventory
from remedy.inventory.loading import check, load
from remedy.inventory.policy import Budget, Policy, Ports

__all__ = [
    "Budget",
    "Device",
    "Finding",
    "Group",
    "Inventory",
    "Policy",
    "Ports",
    "SwitchPort",
    "check",
    "load",
    "resolve",
]
