"""What a Comware device says when a line was understood and cannot be done.

The references say that such a line fails, seldom in which words. Quoted: `EXISTS` (S5500-SI operation manual, ACL: "the
system will prompt the rule already exists"), `CROWDED`, `DENIED`. The others are ours.
"""

from __future__ import annotations

from typing import Final

EXISTS: Final = "The rule already exists."
NO_RULE: Final = "The rule does not exist."
NO_ACL: Final = "The ACL does not exist."
AUTO: Final = "The rule cannot be modified because the match order of the ACL is auto."
HAS_RULES: Final = "The match order cannot be changed because the ACL has rules."
NAME_TAKEN: Final = "The name is used by another ACL."
ACL_IN_USE: Final = "The ACL is being used."
FILTERED: Final = "A packet filter is already applied in this direction."
NO_GROUP: Final = "The object group does not exist."
GROUP_TYPE: Final = "The object group exists with a different type."
GROUP_IN_USE: Final = "The object group is being used."
GROUP_LOOP: Final = "The object group is referenced by itself or nested too deeply."
GROUP_FULL: Final = "The number of objects in the object group has reached the upper limit."
OBJECT_EXISTS: Final = "The object already exists."
NO_OBJECT: Final = "The object does not exist."
NO_VLAN: Final = "The VLAN does not exist."
NOT_ACCESS: Final = "The link type of the port is not access."
NOT_TRUNK: Final = "The link type of the port is not trunk."
NO_ZONE: Final = "The security zone does not exist."
IN_ZONE: Final = "The interface is already in another security zone."
NO_ENTRY: Final = "The blacklist entry does not exist."
NO_SERVICE: Final = "The service object group does not exist."
NAME_USED: Final = "A rule with the same name already exists."
GONE: Final = "The object of this view does not exist any more."
NO_FILE: Final = "The file does not exist."
NO_DELAY: Final = "No configuration commit delay timer is running."
BAD_PASSWORD: Final = "Invalid password."  # noqa: S105 -- a message
DENIED: Final = "Permission denied."
LOCKED: Final = "The configuration is being edited exclusively by user {by}. Please try again later."
CROWDED: Final = "All user lines are used, please try later!"
SAVE_FAILED: Final = "Failed to save the current configuration to the file: no sufficient storage space."
