"""A place elsewhere that keeps what it is given and lets nobody take it away: an S3 bucket with Object Lock.

Decides what such a place is. Leaves to others: reading it from the inventory, sending (transports), what is sent there
(the record's checkpoints, evidence).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from remedy.core.values import Secret

#: For how many days an object is locked unless the inventory says otherwise: the six months for which article 21 of
#: China's Cybersecurity Law wants network logs kept.
RETENTION_DAYS: Final = 183


@dataclass(frozen=True, slots=True)
class Offsite:
    """One bucket. `endpoint` is a URL ("" for the provider's own), `prefix` begins every key, `days` is the retention.

    `access_key` and `secret_key` need only write; who compares from here reads with `read_access_key` and
    `read_secret_key`, or with the writing ones where those are not given.
    """

    name: str
    bucket: str
    endpoint: str = ""
    prefix: str = ""
    region: str = ""
    days: int = RETENTION_DAYS
    access_key: Secret | None = None
    secret_key: Secret | None = None
    read_access_key: Secret | None = None
    read_secret_key: Secret | None = None
