"""Access lists and where they filter packets, as Comware V7 has them.

Followed: "ACL and QoS Command Reference", ACL commands (`acl`, `rule`, `rule comment`, `step`, `display acl`). What
the device shows:

    Advanced IPv4 ACL 3000, 2 rules,
    remedy
    ACL's step is 5, start ID is 0
     rule 0 deny ip source object-group remedy-block counting
     rule 5 permit tcp source 10.0.0.0 0.0.0.255 destination-port eq www
     rule 5 comment staff only

Decides what a list holds. Leaves to others: where it is applied (`filters`), what a rule means (`rules`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from remedy.lab.devices.enforce import Placed
from remedy.lab.devices.face import Face, Part, Refusal, View, command
from remedy.lab.devices.grammar import Call
from remedy.lab.devices.h3c import messages
from remedy.lab.devices.h3c.groups import ObjectGroups
from remedy.lab.devices.h3c.rules import ADVANCED4, ADVANCED6, BASIC4, BASIC6, UNDO, AclRule, read_rule
from remedy.lab.devices.sessions import Login

__all__ = ["AccessList", "AccessLists"]

_VIEWS = ("acl4-basic", "acl4-advanced", "acl6-basic", "acl6-advanced")
_WHICH = (
    "{ basic { <number:n2000-2999> | name <acl:aclname> } | advanced { <number:n3000-3999> | name <acl:aclname> } }"
)


@dataclass(slots=True)
class AccessList:
    """A list. `name` is its name or its number as text; `texts` finds the rule with a text."""

    family: int
    kind: str
    name: str
    number: str = ""
    order: str = "config"
    step: int = 5
    description: str = ""
    rules: dict[int, AclRule] = field(default_factory=dict)
    texts: dict[str, int] = field(default_factory=dict)
    highest: int = -1

    @property
    def head(self) -> str:
        """Its first line in the configuration."""
        family = "ipv6 " if self.family == 6 else ""  # noqa: PLR2004
        which = self.name if self.name == self.number else f"name {self.name}"
        auto = " match-order auto" if self.order == "auto" else ""
        return f"acl {family}{self.kind} {which}{auto}"

    @property
    def key(self) -> tuple[int, str]:
        """What it is kept under."""
        return self.family, self.name.lower()

    def put(self, number: int, rule: AclRule) -> None:
        """Set a rule. Raises Refusal when another has the same content."""
        if self.texts.get(rule.text, number) != number:
            raise Refusal(messages.EXISTS)
        self.take(number)
        self.rules[number] = rule
        self.texts[rule.text] = number
        self.highest = max(self.highest, number)

    def take(self, number: int) -> None:
        """Remove a rule, if it is there."""
        rule = self.rules.pop(number, None)
        if rule is not None:
            del self.texts[rule.text]
            if number == self.highest:
                self.highest = max(self.rules, default=-1)

    def next_number(self) -> int:
        """The next multiple of the step above the highest number ("ACL rule numbering")."""
        return 0 if self.highest < 0 else (self.highest // self.step + 1) * self.step

    def ordered(self) -> list[tuple[int, AclRule]]:
        """The rules in the order in which packets meet them; depth first puts hosts before nets before any."""
        rules = sorted(self.rules.items())
        if self.order == "auto":
            rules.sort(key=lambda pair: (pair[1].text.count("any"), "object-group" in pair[1].text, -len(pair[1].text)))
        return rules


class AccessLists(Part):
    """All lists of the device."""

    def __init__(self, face: Face) -> None:
        """None."""
        super().__init__(face)
        self.lists: dict[tuple[int, str], AccessList] = {}

    def configured(self) -> list[str]:
        """Each a section."""
        lines: list[str] = []
        for acl in self.lists.values():
            lines += ["#", acl.head]
            if acl.description:
                lines.append(f" description {acl.description}")
            if acl.step != 5:  # noqa: PLR2004 -- the default
                lines.append(f" step {acl.step}")
            for number, rule in sorted(acl.rules.items()):
                lines.append(f" rule {number} {rule.text}")
                if rule.comment:
                    lines.append(f" rule {number} comment {rule.comment}")
        return lines

    def find(self, family: int, name: str) -> AccessList | None:
        """A list by name or number."""
        acl = self.lists.get((family, name.lower()))
        if acl is None and name.isdigit():
            acl = next((a for a in self.lists.values() if a.family == family and a.number == name), None)
        return acl

    def placed(self, family: int, name: str) -> tuple[Placed, ...]:
        """What a list means, without the rules that have no resources; nothing for one that does not exist."""
        acl = self.find(family, name)
        if acl is None or self.device.is_failed(acl.name):
            return ()
        return tuple(
            Placed(rule.neutral(family, number), f"acl:{family}:{acl.name}:{number}")
            for number, rule in acl.ordered()
            if not self.device.is_failed(f"{acl.name}/{number}")
        )

    def _here(self, login: Login) -> AccessList:
        acl = self.lists.get(login.view.key[0])
        if acl is None:
            raise Refusal(messages.NO_ACL)
        return acl

    # lists

    @command(f"acl [ ipv6 ] {_WHICH} [ match-order {{ auto | config }} ]", views=("system",))
    def enter(self, login: Login, call: Call) -> None:
        """Make a list, or enter it. The match order can be changed while there are no rules."""
        family, kind = 6 if "ipv6" in call else 4, "basic" if "basic" in call else "advanced"
        name = call.get("acl") or call["number"]
        acl = self.find(family, name)
        if acl is not None and acl.kind != kind:
            raise Refusal(messages.NAME_TAKEN)
        if acl is None:
            acl = self.make(family, kind, name, call.get("number"))
            self.lists[acl.key] = acl
        if "match-order" in call:
            order = "auto" if "auto" in call else "config"
            if acl.rules and order != acl.order:
                raise Refusal(messages.HAS_RULES)
            acl.order = order
        self._go(login, acl)

    @command("acl [ ipv6 ] number <number:n2000-3999> [ name <acl:aclname> ] [ match-order { auto | config } ]",
             views=("system",))  # fmt: skip
    def enter_number(self, login: Login, call: Call) -> None:
        """The form of Comware V5, which V7 takes too (ACL command reference, `acl`, form 1)."""
        family, number = 6 if "ipv6" in call else 4, call["number"]
        acl = self.find(family, number)
        if acl is None:
            acl = self.make(family, "basic" if number < "3000" else "advanced", call.get("acl", number), number)
            if acl.key in self.lists:
                raise Refusal(messages.NAME_TAKEN)
            acl.order = "auto" if "auto" in call else "config"
            self.lists[acl.key] = acl
        self._go(login, acl)

    @command("acl [ ipv6 ] name <acl:aclname>", views=("system",))
    def enter_name(self, login: Login, call: Call) -> None:
        """Enter a list that exists."""
        acl = self.find(6 if "ipv6" in call else 4, call["acl"])
        if acl is None:
            raise Refusal(messages.NO_ACL)
        self._go(login, acl)

    def _go(self, login: Login, acl: AccessList) -> None:
        login.views.append(View(f"acl{acl.family}-{acl.kind}", self.label(acl), (acl.key, acl.head)))

    @staticmethod
    def make(family: int, kind: str, name: str, number: str) -> AccessList:
        """A new list."""
        return AccessList(family, kind, name, number)

    @staticmethod
    def label(acl: AccessList) -> str:
        """What the prompt says of a list's view."""
        return f"acl-ipv{acl.family}-{'adv' if acl.kind == 'advanced' else 'basic'}-{acl.name}"

    @command(
        f"undo acl [ ipv6 ] {_WHICH}",
        "undo acl [ ipv6 ] number <number:n2000-3999>",
        "undo acl [ ipv6 ] name <acl:aclname>",
        "undo acl [ ipv6 ] all",
        views=("system",),
    )
    def remove(self, login: Login, call: Call) -> None:
        """Delete a list, or all of a family."""
        del login
        family = 6 if "ipv6" in call else 4
        if "all" in call:
            self.lists = {key: acl for key, acl in self.lists.items() if acl.family != family}
            return
        acl = self.find(family, call.get("acl") or call["number"])
        if acl is None:
            raise Refusal(messages.NO_ACL)
        del self.lists[acl.key]

    @command("description <text>", "undo description", views=_VIEWS)
    def describe(self, login: Login, call: Call) -> None:
        """Describe the list."""
        self._here(login).description = call.get("text")[:127]

    @command("step <step:n1-20>", "undo step", views=_VIEWS)
    def set_step(self, login: Login, call: Call) -> None:
        """Set the step, which numbers the rules anew from 0 ("Automatic rule numbering and renumbering")."""
        acl = self._here(login)
        acl.step = int(call.get("step", "5"))
        rules = [rule for _, rule in sorted(acl.rules.items())]
        acl.rules = {n * acl.step: rule for n, rule in enumerate(rules)}
        acl.texts = {rule.text: number for number, rule in acl.rules.items()}
        acl.highest = max(acl.rules, default=-1)

    # rules

    @command(BASIC4, views=("acl4-basic",))
    def basic4(self, login: Login, call: Call) -> None:
        """A rule of an IPv4 basic list."""
        self._rule(login, call, advanced=False)

    @command(BASIC6, views=("acl6-basic",))
    def basic6(self, login: Login, call: Call) -> None:
        """A rule of an IPv6 basic list."""
        self._rule(login, call, advanced=False)

    @command(ADVANCED4, views=("acl4-advanced",))
    def advanced4(self, login: Login, call: Call) -> None:
        """A rule of an IPv4 advanced list."""
        self._rule(login, call, advanced=True)

    @command(ADVANCED6, views=("acl6-advanced",))
    def advanced6(self, login: Login, call: Call) -> None:
        """A rule of an IPv6 advanced list."""
        self._rule(login, call, advanced=True)

    def _rule(self, login: Login, call: Call, *, advanced: bool) -> None:
        """Make a rule, or lay it over the one of that number. Raises Refusal (`rule`, usage guidelines)."""
        acl = self._here(login)
        try:
            rule = read_rule(call, acl.family, advanced=advanced)
        except KeyError as wrong:
            raise Refusal(argument=str(wrong.args[0])) from None
        groups = self.face.part(ObjectGroups)
        for name in rule.groups:
            group = groups.find(name, acl.family)
            if group is None:
                raise Refusal(messages.NO_GROUP)
            rule = rule.calling(name, group.name)
        number = int(call["id"]) if "id" in call.values else acl.next_number()
        old = acl.rules.get(number)
        if old is not None:
            if acl.order == "auto":
                raise Refusal(messages.AUTO)
            rule = rule.over(old)
            if rule.text == old.text:
                raise Refusal(messages.EXISTS)
        acl.put(number, rule)

    @command("rule <id:n0-65534> comment <text>", "undo rule <id:n0-65534> comment", views=_VIEWS)
    def comment(self, login: Login, call: Call) -> None:
        """Comment on a rule that exists (`rule comment`)."""
        acl = self._here(login)
        rule = acl.rules.get(int(call["id"]))
        if rule is None:
            raise Refusal(messages.NO_RULE)
        acl.rules[int(call["id"])] = replace(rule, comment=call.get("text")[:127])

    @command(UNDO, views=_VIEWS)
    def undo_rule(self, login: Login, call: Call) -> None:
        """Delete a rule, or take fields out of it."""
        acl = self._here(login)
        number = int(call["id"])
        rule = acl.rules.get(number)
        if rule is None:
            raise Refusal(messages.NO_RULE)
        names = tuple(call.words[3:])
        if not names:
            acl.take(number)
            return
        if acl.order == "auto":
            raise Refusal(messages.AUTO)
        acl.put(number, rule.without(names))

    # showing

    @command(
        "display acl [ ipv6 ] { <number:n2000-3999> | all | name <acl:aclname> }",
        reads=True,
    )
    async def show(self, login: Login, call: Call) -> str:
        """Lists with what they have met in software."""
        del login
        family = 6 if "ipv6" in call else 4
        if "all" in call:
            lists = [acl for acl in self.lists.values() if acl.family == family]
        else:
            found = self.find(family, call.get("acl") or call["number"])
            if found is None:
                raise Refusal(messages.NO_ACL)
            lists = [found]
        hits = await self.device.enforcer.hits() if self.counts_in_software else {}
        return "".join(self.shown(acl, dict(hits)) for acl in lists)

    def refers_to(self, group: str) -> bool:
        """Whether a rule names the group."""
        return any(group in (name.lower() for name in r.groups) for a in self.lists.values() for r in a.rules.values())

    #: A switch filters in hardware, and `display acl` counts what software met alone.
    counts_in_software = False

    def shown(self, acl: AccessList, hits: dict[str, int]) -> str:
        """A list as `display acl` prints it; `hits` are the packets met by rule."""
        kind = "Basic" if acl.kind == "basic" else "Advanced"
        which = f"{acl.number} " * bool(acl.number) + f"named {acl.name}" * (acl.name != acl.number)
        count = f" {len(acl.rules)} rule{'' if len(acl.rules) == 1 else 's'}," if acl.rules else ""
        lines = [f"{kind} IPv{acl.family} ACL {which.strip()},{count}"]
        if acl.order == "auto":
            lines[0] = f"{lines[0]} match-order is auto,"
        if acl.description:
            lines.append(acl.description)
        lines.append(f"ACL's step is {acl.step}, start ID is 0")
        return "\n".join([*lines, *self.shown_rules(acl, hits), ""])

    @staticmethod
    def shown_rules(acl: AccessList, hits: dict[str, int]) -> list[str]:
        """A list's rules as they are printed."""
        lines = []
        for number, rule in acl.ordered():
            met = hits.get(f"acl:{acl.family}:{acl.name}:{number}", 0)
            lines.append(f" rule {number} {rule.text}" + (f" ({met} times matched)" if met else ""))
            if rule.comment:
                lines.append(f" rule {number} comment {rule.comment}")
        return lines
