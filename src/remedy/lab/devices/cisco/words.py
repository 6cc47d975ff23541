"""What Cisco's devices say when a line was understood and cannot be done, and how a line is looked at by hand.

Quoted: `DUPLICATE` ("IP Access List Entry Sequence Numbering", restrictions), `NO_ARCHIVE`, `NO_PENDING`
("Configuration Rollback Confirmed Change"), `BAD_SECRETS`, `LOCKED` ("Exclusive Configuration Change Access"). The
others are ours: the references say that such a line fails, not in which words.
"""

from __future__ import annotations

from typing import Final

from remedy.lab.devices.cisco.entries import Wrong
from remedy.lab.devices.face import Face, Refusal
from remedy.lab.devices.grammar import Call, Misread
from remedy.lab.devices.sessions import Login

__all__ = ["wrong"]

DUPLICATE: Final = "% Duplicate sequence number."
NO_ENTRY: Final = "% Access rule does not exist"
NO_LIST: Final = "% Access list {} does not exist"
LIST_TYPE: Final = "% A named access list of another type with this name already exists"
NO_GROUP: Final = "% Object-group {} does not exist"
GROUP_TYPE: Final = "% Object-group {} exists with a different type"
GROUP_IN_USE: Final = "% Object-group {} is in use, it can be neither removed nor made empty"
GROUP_EMPTY: Final = "% Object-group {} is empty and cannot be used in an access list"
GROUP_FULL: Final = "% Object-group {} cannot take more members"
NO_MEMBER: Final = "% Object-group {} does not have this member"
NO_INTERFACE: Final = "% Interface {} does not exist"
NO_ARCHIVE: Final = "%Turn config archive on before using Rollback Confirmed Change"
NO_PENDING: Final = "%No Rollback Confirmed Change pending"
PENDING: Final = "%A Rollback Confirmed Change is already pending"
BAD_SECRETS: Final = "% Bad secrets"
NO_SECRET: Final = "% No password set"  # noqa: S105 -- a message
LOCKED: Final = "Configuration mode locked exclusively by user '{by}' process '3' from terminal '0'. Please try later."
SAVE_FAILED: Final = "startup-config file open failed (No space left on device)"


def wrong(face: Face, login: Login, call: Call, error: Wrong) -> Refusal:
    """The refusal of a line that is wrong at a column, or incomplete."""
    why = "wrong" if error.column is not None else "incomplete"
    return Refusal(face.refuse(Misread(why, error.column or 0), face.prompt(login), call.line))
