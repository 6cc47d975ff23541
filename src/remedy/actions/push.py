"""Push a rule file to a network device: its rules become the content of lists of remedy's own.

Decides nothing of its own: what is written where is in `perimeter.lists`. The file's text and the moment it was read
are options, so that planning twice gives the same plan, and the record has the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from remedy.actions import begin
from remedy.actions.perimeter import lists
from remedy.actions.perimeter.device import Desk
from remedy.actions.perimeter.harm import Way
from remedy.core.ports import Reader
from remedy.core.values import Context, Plan, Site, Target
from remedy.devices import named, rulefile


@dataclass(frozen=True, slots=True)
class Push:
    """Make lists of one device hold the rules of a file. `vendor` is the inventory's.

    `text` is the file, `file` its name, `now` (RFC 3339 UTC) the moment it was read, which `for 24h` counts from.
    `acl` and `replace` are as in `lists.Wish`. `ways` are how we reach the device ourselves, `keep` who must stay
    reachable, with addresses. `seconds` is the device's own timer.
    `ended` (RFC 3339 UTC) makes it the end of an earlier push of that text: of what was not over by `since` (empty:
    `now`) goes what is over by then. `only` names lists (name and family) that alone are meant.
    """

    name: ClassVar[str] = "push"
    vendor: str = ""
    text: str = ""
    file: str = ""
    now: str = "1970-01-01T00:00:00+00:00"
    acl: str = ""
    replace: bool = False
    ways: tuple[Way, ...] = ()
    keep: tuple[tuple[str, tuple[str, ...]], ...] = ()
    seconds: int = 120
    since: str = ""
    ended: str = ""
    only: tuple[tuple[str, int], ...] = ()

    def plan(self, target: Target, site: Site, context: Context, reader: Reader) -> Plan:  # noqa: ARG002 -- the port's
        """Read the device and say exactly what would be typed. Raises Refused, TargetUnfit, UsageError."""
        wish = self.wish()
        return lists.extend(
            begin(self, target, context),
            Desk(target.name, named(self.vendor), reader),
            wish,
        )

    def wish(self) -> lists.Wish:
        """The rules of the file, and what is asked for them. Raises UsageError for what is no file of rules."""
        return lists.Wish(
            rulefile.read(self.text, now=datetime.fromisoformat(self.now), name=self.file),
            datetime.fromisoformat(self.since or self.now),
            self.seconds,
            acl=self.acl,
            replace=self.replace,
            ways=self.ways,
            keep=dict(self.keep),
            ended=datetime.fromisoformat(self.ended) if self.ended else None,
            only=self.only,
        )


ACTION = Push
