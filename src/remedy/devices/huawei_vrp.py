"""Huawei VRP: access lists written, read and edited; written from the reference and tried on texts alone.

    Advanced ACL REGLE_NAT 3998, 3 rules
    Acl's step is 5
     rule 5 permit tcp source 85.14.167.234 0 destination 192.214.198.156 0 destination-port eq 8022 (18 matches)
     rule 5 description "asked for"

Of the family's first-stage versions: what is typed acts at once. From VRP V8 on it acts after `commit`, which is not
typed here. Groups are left out: switches have no address groups that an access list could name.

Follows Huawei S1720, S2700, S5700 and S6720 Command Reference, ACL configuration commands (`acl name`, `rule (advanced
ACL view)`, `rule description`, `display acl`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from remedy.devices import Lines, Terminal, Vendor
from remedy.devices.acl import Acl
from remedy.devices.dialects import comware
from remedy.devices.dialects.comware_edit import edit_list, write_list
from remedy.devices.dialects.comware_write import Dialect

__all__ = ["VENDOR"]

DIALECT: Final = Dialect(title="Huawei VRP", comment="description", typed=False, grouped=False, typed_after=True)


class Lists:
    """`Filters` of VRP."""

    def ask_lists(self) -> Lines:
        """What to type to see all access lists."""
        return ("display acl all", "display acl ipv6 all")

    def read_lists(self, texts: Sequence[str]) -> tuple[Acl, ...]:
        """Read what those lines printed, and any saved file of it."""
        return comware.read_lists(texts)

    def write_list(self, acl: Acl) -> Lines:
        """What to type to make this list from nothing."""
        return write_list(acl, DIALECT)

    def edit_list(self, before: Acl, after: Acl) -> Lines:
        """What to type to make the one of the other."""
        return edit_list(before, after, DIALECT)


VENDOR: Final = Vendor(
    name="huawei_vrp",
    title="Huawei VRP",
    driver="huawei",
    terminal=Terminal(
        refusals=comware.REFUSALS,
        absent=comware.ABSENT,
        answers=(
            (r"\[Y/N[^\]]*\]:?\s*$", "y"),
            (r"Please input the file name[^\n]*:\s*$", ""),
        ),
        quiet=("undo terminal monitor", "screen-length 0 temporary"),
        reading=("display", "dir"),
        save=("save",),
        running="display current-configuration",
    ),
    tried="text",
    reference=("Huawei S1720, S2700, S5700 and S6720 V200R011C10 Command Reference, ACL configuration commands",),
    systems=("vrp", "ce", "community.network.ce", "huawei"),
    filters=Lists(),
    secrets=(
        r"\b(?:cipher|simple|irreversible-cipher|plain)\s+(?!(?:cipher|simple|irreversible-cipher|plain)\s)(\S+)",
        r"^\s*snmp-agent community (?:read|write)\s+(?!(?:cipher|simple)\s)(\S+)",
        r"\b(?:pre-shared-key|shared-key) (?!(?:cipher|simple)\s)(\S+)\s*$",
    ),
)
