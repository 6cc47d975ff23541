"""The inventory, read: hosts, groups, variables, targets, policies.

Decides how the parts of an inventory add up to each host's variables (Ansible's precedence: the sources' `all`, their
groups from the top down, `group_vars/all`, `group_vars` of the groups, the host, `host_vars`). Leaves reading the
formats to the `*_source` modules and judging them to `check`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from remedy.backups.values import Database
from remedy.core.errors import InventoryError, UnknownTarget
from remedy.core.offsite import Offsite
from remedy.core.values import Target
from remedy.inventory import credentials, jump, nested, offsite, secrecy, target
from remedy.inventory import databases as declarations
from remedy.inventory import devices as network
from remedy.inventory import policy as policies
from remedy.inventory.draft import Draft, DraftGroup
from remedy.inventory.findings import Finding, Variables
from remedy.inventory.hostvars import HostVars
from remedy.inventory.patterns import Selector
from remedy.inventory.templates import Renderer

#: Names Ansible keeps for itself; `ansible-inventory --list` leaves them out, set by a file or not.
INTERNAL: Final = frozenset(
    (
        *("ansible_async_path", "ansible_collection_name", "ansible_config_file"),
        *("ansible_dependent_role_names", "ansible_diff_mode", "ansible_facts", "ansible_forks"),
        *("ansible_inventory_sources", "ansible_limit", "ansible_play_batch", "ansible_play_hosts"),
        *("ansible_play_hosts_all", "ansible_play_role_names", "ansible_playbook_python", "ansible_role_name"),
        *("ansible_role_names", "ansible_run_tags", "ansible_skip_tags", "ansible_verbosity"),
        *("ansible_version", "inventory_dir", "inventory_file", "inventory_hostname"),
        *("inventory_hostname_short", "groups", "group_names", "hostvars", "playbook_dir", "play_hosts"),
        *("role_name", "role_names", "role_path", "role_uuid"),
    )
)
_MAX_LINES: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Group:
    """A group. `hosts` and `children` are those it names itself; `members` all hosts, those of children included."""

    name: str
    hosts: tuple[str, ...]
    children: tuple[str, ...]
    parents: tuple[str, ...]
    members: tuple[str, ...]
    depth: int
    priority: int


@dataclass(slots=True)
class VarsFiles:
    """The variables of `group_vars/` and `host_vars/`, per name.

    `encrypted` lists the files Ansible Vault has encrypted as a whole, per `group:NAME` or `host:NAME`.
    """

    groups: dict[str, Variables] = field(default_factory=dict)
    hosts: dict[str, Variables] = field(default_factory=dict)
    encrypted: dict[str, list[str]] = field(default_factory=dict)


class Inventory:
    """A loaded inventory. Does not change. Made by `loading.load`."""

    def __init__(  # noqa: D107 -- see the class
        self, draft: Draft, vars_files: VarsFiles, *, root: Path, user: str, home: Path, environ: Mapping[str, str]
    ) -> None:
        self._draft = draft
        self._files = vars_files
        self._user = user
        self._home = home
        self._environ = environ
        self.path: Path = root
        self.directory: Path = Path(os.path.abspath(root if root.is_dir() else root.parent))  # noqa: PTH100 -- keeps links
        self.hosts: tuple[str, ...] = tuple(draft.hosts)
        self.groups: dict[str, Group] = {name: self._group(group) for name, group in draft.groups.items()}
        self._layers: dict[frozenset[str], Variables] = {}
        self._renderers: dict[str, Renderer] = {}
        self._clear: frozenset[str] | None = None

    def _group(self, group: DraftGroup) -> Group:
        return Group(
            group.name,
            tuple(group.hosts),
            tuple(group.children),
            tuple(group.parents),
            self.hosts if group.name == "all" else tuple(self._draft.members(group.name)),
            group.depth,
            group.priority,
        )

    @property
    def notes(self) -> tuple[Finding, ...]:
        """What reading the files has to say; `check` has more."""
        return tuple(self._draft.notes)

    @property
    def encrypted(self) -> Mapping[str, Sequence[str]]:
        """Files encrypted as a whole with Ansible Vault, and so not read, per `host:NAME` or `group:NAME`."""
        return self._files.encrypted

    def located(self, host: str) -> Variables:
        """All variables of a host with the place each was last set, as written. Raises UnknownTarget."""
        self._known(host)
        member_of = self._draft.memberships(host)
        layer = self._layer(frozenset(member_of))
        return layer | self._draft.hosts[host].vars | self._files.hosts.get(host, {})

    def _layer(self, member_of: frozenset[str]) -> Variables:
        if member_of not in self._layers:
            groups = (self._draft.groups[name] for name in member_of if name != "all")
            ranked = sorted(groups, key=lambda group: (group.depth, group.priority, group.name))
            merged = dict(self._draft.groups["all"].vars)
            for group in ranked:
                merged.update(group.vars)
            merged.update(self._files.groups.get("all", {}))
            for group in ranked:
                merged.update(self._files.groups.get(group.name, {}))
            self._layers[member_of] = merged
        return self._layers[member_of]

    def group_variables(self, group: str) -> Variables:
        """The variables a group sets itself, in a source or in `group_vars/`."""
        return self._draft.groups[group].vars | self._files.groups.get(group, {})

    def variables(self, host: str) -> dict[str, object]:
        """All variables of a host as `ansible-inventory --host` shows them, secrets in clear. Raises UnknownTarget."""
        return {
            name: target.plain(located.value) for name, located in self.located(host).items() if name not in INTERNAL
        }

    def in_clear(self) -> frozenset[str]:
        """Every secret that stands in the inventory in clear, so that it can be kept out of whatever is written.

        What is part of a name that is shown anyway is left out, and so are the shortest: by their name they are masked
        all the same.
        """
        if self._clear is None:
            draft, files = self._draft, self._files
            layers = [*(one.vars for one in draft.groups.values()), *(one.vars for one in draft.hosts.values())]
            layers += [*files.groups.values(), *files.hosts.values()]
            settings = [(name, located.value) for layer in layers for name, located in layer.items()]
            clear = {secret for name, value in settings for secret in credentials.in_clear(name, value)}
            self._clear = secrecy.worth(clear, {*self.hosts, *self.groups, *(name for name, _ in settings)})
        return self._clear

    def shown(self, host: str) -> dict[str, object]:
        """`variables` fit for people and logs: secrets as `<secret env:NAME>`, encrypted values as `<secret vault>`.

        Secrets are found by the name of their variable, by their form, and by their value.
        """
        return self._shown(secrecy.remover(self.in_clear()))(host)

    def _shown(self, remove: Callable[[str], str]) -> Callable[[str], dict[str, object]]:
        return lambda host: {
            name: secrecy.removed(target.plain(credentials.masked(name, located.value)), remove)
            for name, located in self.located(host).items()
            if name not in INTERNAL
        }

    def raw(self) -> dict[str, object]:
        """The inventory as `ansible-inventory --list` prints it (without `_meta.profile`), secrets in clear."""
        return self._listing(self.variables)

    def listing(self) -> dict[str, object]:
        """`raw` fit for people and logs: secrets by reference only."""
        return self._listing(self._shown(secrecy.remover(self.in_clear())))

    def _listing(self, variables: Callable[[str], dict[str, object]]) -> dict[str, object]:
        found = ((host, variables(host)) for host in self.hosts)
        made: dict[str, object] = {"_meta": {"hostvars": {host: values for host, values in found if values}}}
        for name, group in self.groups.items():
            entry = {"children": list(group.children), "hosts": [] if name == "all" else list(group.hosts)}
            if filled := {key: names for key, names in entry.items() if names}:
                made[name] = filled
        return made

    def graph(self) -> str:
        """The tree of groups as `ansible-inventory --graph` draws it.

        Raises InventoryError when groups shared by many parents make it longer than a million lines.
        """
        lines: list[str] = []
        waiting = [("all", 0, True)]
        while waiting:
            name, depth, is_group = waiting.pop()
            text = f"@{name}:" if is_group else name
            lines.append("  |" * depth + "--" + text if depth else text)
            if len(lines) > _MAX_LINES:
                raise InventoryError(f"the graph has more than {_MAX_LINES} lines", where=str(self.path))
            if is_group:
                group = self.groups[name]
                hosts = () if name == "all" else group.hosts
                waiting.extend((host, depth + 1, False) for host in reversed(hosts))
                waiting.extend((child, depth + 1, True) for child in reversed(group.children))
        return "\n".join(lines)

    @credentials.unshown
    def select(self, patterns: Sequence[str]) -> tuple[str, ...]:
        """The hosts some patterns mean together (see `patterns`). Raises UsageError, UnknownTarget."""
        return self._selector().select(patterns)

    def _selector(self) -> Selector:
        return Selector(self.hosts, self.groups, lambda name: self.groups[name].members)

    def _known(self, host: str) -> None:
        if host not in self._draft.hosts:
            raise UnknownTarget(f"there is no host {host!r}", hint=self._selector().near(host))

    def renderer(self, host: str) -> Renderer:
        """What renders a host's templates, one per host."""
        if host not in self._renderers:
            self._renderers[host] = Renderer(
                self.located(host), magic=self._magic(host), environ=self._environ, missing_hint=self._vault_hint(host)
            )
        return self._renderers[host]

    def _vault_hint(self, host: str) -> str:
        names = [f"host:{host}", *(f"group:{name}" for name in sorted(self._draft.memberships(host)))]
        paths = [path for name in names for path in self._files.encrypted.get(name, ())]
        return f"it may stand in an encrypted file remedy does not read: {', '.join(paths)}" if paths else ""

    def _magic(self, host: str) -> dict[str, Callable[[], object]]:
        source = self._draft.hosts[host].source
        return {
            "inventory_hostname": lambda: host,
            "inventory_hostname_short": lambda: host.partition(".")[0],
            "inventory_file": lambda: source,
            "inventory_dir": lambda: os.path.dirname(source),  # noqa: PTH120 -- text for a template
            "group_names": lambda: list(self.group_names(host)),
            "groups": lambda: {name: list(group.members) for name, group in self.groups.items()},
            "hostvars": lambda: HostVars(self),
        }

    def group_names(self, host: str) -> tuple[str, ...]:
        """The groups a host is in, directly or not, sorted, without `all`."""
        return tuple(sorted(self._draft.memberships(host) - {"all"}))

    def login(self, host: str) -> target.Login:
        """The connection variables of a host, read on demand."""
        variables = self.located(host)
        on_device = network.is_device(self._around(host, variables))
        return target.Login(host, variables, self.renderer(host), self.locate, self._user, on_device)

    @credentials.unshown
    def target(self, name: str) -> Target:
        """The host as a target to log in to. Raises UnknownTarget, InventoryError naming file and variable."""
        self._known(name)
        return target.build(self.login(name), self._hop, self.group_names(name))

    def _hop(self, hop: jump.Hop, known_hosts: str) -> Target:
        if hop.host not in self._draft.hosts:
            key = self.locate(hop.key_file) if hop.key_file else ""
            return Target(
                hop.host, hop.host, hop.port or 22, hop.user or self._user, key_file=key, known_hosts=known_hosts
            )
        # A jump host of the inventory brings its own address and key, but is itself reached directly, as with ssh -J.
        login = self.login(hop.host)
        options = login.options()
        key = hop.key_file or login.text(target.KEY)
        return Target(
            name=hop.host,
            address=login.text(target.HOST, hop.host),
            port=hop.port or login.port(),
            user=hop.user or login.text(target.USER) or self._user,
            key_file=self.locate(key) if key else "",
            known_hosts=login.known_hosts(options),
            password=login.secret(target.PASSWORD),
            groups=self.group_names(hop.host),
        )

    def locate(self, path: str) -> str:
        """A path of a variable made absolute: `~` is the operator's home, relative ones start at the inventory."""
        if path == "~" or path.startswith("~/"):
            return str(self._home / path[2:])
        return os.path.normpath(self.directory / path)

    @credentials.unshown
    def policy(self, host: str) -> policies.Policy:
        """The typed `remedy_*` variables of a host. Raises UnknownTarget, InventoryError naming file and key."""
        located, renderer = self.located(host), self.renderer(host)
        keys = [key for key in policies.KEYS if key in located]
        made = policies.read({key: renderer.variable(key) for key in keys}, {key: located[key].where for key in keys})
        return replace(made, known_hosts=self.locate(made.known_hosts)) if made.known_hosts else made

    @credentials.unshown
    def budget(self, group: str) -> policies.Budget:
        """The limits a group sets for itself, else the nearest group above it, else the default."""
        row = [group]
        while row:
            for name in sorted(row):
                found = self.group_variables(name).get("remedy_budget")
                if found is not None and found.value is not None:
                    return policies.budget("remedy_budget", found.value, found.where)
            row = list({parent for name in row for parent in self._draft.groups[name].parents})
        return policies.Budget()

    def _around(self, host: str, variables: Variables) -> nested.Around:
        return nested.Around(host, variables, self.renderer(host), self.hosts, self.locate)

    def is_device(self, host: str) -> bool:
        """Whether a host is a network device. Raises UnknownTarget."""
        return network.is_device(self._around(host, self.located(host)))

    @credentials.unshown
    def device(self, host: str) -> network.Device | None:
        """The network device that a host is, None when it is none. Raises UnknownTarget, InventoryError."""
        return network.device(self._around(host, self.located(host)))

    @credentials.unshown
    def devices(self) -> tuple[network.Device, ...]:
        """All network devices. Raises InventoryError."""
        return tuple(found for host in self.hosts if (found := self.device(host)) is not None)

    @credentials.unshown
    def switch_port(self, host: str) -> network.SwitchPort | None:
        """Where a host is plugged in, None where nothing says so. Raises UnknownTarget, InventoryError."""
        return network.switch_port(self._around(host, self.located(host)), self.is_device)

    @credentials.unshown
    def declared(self, host: str) -> tuple[declarations.Declared, ...]:
        """The databases that a host declares, not read yet. Raises UnknownTarget, InventoryError."""
        variables = self.located(host)
        if declarations.KEY not in variables:
            return ()
        return declarations.declared(self._around(host, variables))

    @credentials.unshown
    def databases(self) -> tuple[Database, ...]:
        """The databases of all hosts; a name that two hosts use becomes host/name. Raises InventoryError."""
        found = declarations.named([one for host in self.hosts for one in self.declared(host)])
        return tuple(replace(one.database(), name=name) for name, one in found.items())

    @credentials.unshown
    def database(self, name: str) -> Database:
        """The database of that name, or of host/name. What is wrong with others does not matter here.

        Raises UnknownTarget, saying what there is, and InventoryError naming file and key.
        """
        rows: list[declarations.Declared] = []
        errors: list[InventoryError] = []
        for host in self.hosts:
            try:
                rows += self.declared(host)
            except InventoryError as error:
                errors.append(error)
        found = declarations.named(rows)
        exact = found | {f"{one.host}/{one.name}": one for one in rows}
        if name in exact:
            one = exact[name]
            return replace(one.database(), name=next(key for key, value in found.items() if value is one))
        if errors:
            raise errors[0]
        there = ", ".join(found) or f"none: {declarations.KEY} is not set for any host"
        raise UnknownTarget(f"there is no database {name!r}", hint=f"there is {there}")

    @credentials.unshown
    def offsite(self) -> tuple[Offsite, ...]:
        """The places elsewhere that keep copies nobody can take away. Raises InventoryError."""
        return offsite.places(self._overall())

    @credentials.unshown
    def record_keys(self) -> tuple[str, ...]:
        """Fingerprints of the keys whose signatures under the record count. Raises InventoryError."""
        return offsite.fingerprints(self._overall())

    def _overall(self) -> nested.Around:
        """What is set for `all` alone: it belongs to no host."""
        variables = self._layer(frozenset())
        renderer = Renderer(variables, magic={}, environ=self._environ)
        return nested.Around("all", variables, renderer, self.hosts, self.locate)

    def check(self) -> tuple[Finding, ...]:
        """Everything there is to say about the inventory, errors first."""
        from remedy.inventory.check import findings  # noqa: PLC0415 -- `check` is written over this class

        return findings(self)
