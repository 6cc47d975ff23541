"""The inventory adds up to what ansible-core makes of the same files."""

from __future__ import annotations

import json
import string
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remedy.core.errors import InventoryError, UnknownTarget, UsageError
from remedy.inventory import load, ranges
from remedy.inventory.patterns import Selector, split

SAMPLES = Path(__file__).parent / "samples"
NAMES = sorted(path.name for path in SAMPLES.iterdir())


def as_json(value: object) -> object:
    """What a value looks like after it was printed and read as JSON."""
    return json.loads(json.dumps(value))


@pytest.mark.parametrize("name", NAMES)
def test_list_equals(name: str, ansible_list: Callable[[Path], dict[str, object]]) -> None:
    """`raw` equals `ansible-inventory --list`: every group, member, child and variable, in the same order."""
    assert as_json(load(SAMPLES / name).raw()) == ansible_list(SAMPLES / name)


@pytest.mark.parametrize("name", NAMES)
def test_graph_equals(name: str, ansible: Callable[..., str]) -> None:
    """`graph` equals `ansible-inventory --graph` to the letter."""
    assert load(SAMPLES / name).graph() == ansible("-i", str(SAMPLES / name), "--graph").rstrip("\n")


def test_symlinks_equal(tmp_path: Path, ansible_list: Callable[[Path], dict[str, object]]) -> None:
    """A linked source takes its group_vars from beside the link, and linked directories are followed."""
    (tmp_path / "inv").mkdir()
    (tmp_path / "inv" / "hosts").symlink_to(SAMPLES / "hosts")
    (tmp_path / "inv" / "group_vars").symlink_to(SAMPLES / "site" / "group_vars")
    (tmp_path / "inv" / "more").symlink_to(SAMPLES / "site" / "more")
    for path in (tmp_path / "inv", tmp_path / "inv" / "hosts"):
        assert as_json(load(path).raw()) == ansible_list(path)


def test_relative_path_equals(
    ansible_list: Callable[[Path], dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An inventory named relative to the working directory reads the same."""
    expected = ansible_list(SAMPLES / "precedence" / "hosts.yml")
    monkeypatch.chdir(SAMPLES / "precedence")
    assert as_json(load(Path("hosts.yml")).raw()) == expected


GROUPS = ("ga", "gb", "gc", "gd")
HOSTS = ("h1", "h2", "h3")
VALUES = st.sampled_from(["1", "x", "True", "007", "1e3"])


@st.composite
def ini_texts(draw: st.DrawFn) -> str:
    """INI inventories over a few names: members, children without circles, variables and priorities."""
    lines = [
        f"{host} v=host" if draw(st.booleans()) else host
        for host in draw(st.lists(st.sampled_from(HOSTS), unique=True))
    ]
    for index, group in enumerate(GROUPS):
        lines.append(f"[{group}]")
        members = draw(st.lists(st.sampled_from(HOSTS), unique=True))
        lines += [f"{host} own_{group}={draw(VALUES)}" for host in members]
        children = draw(st.lists(st.sampled_from(GROUPS[index + 1 :]), unique=True)) if GROUPS[index + 1 :] else []
        lines += [f"[{group}:children]", *children]
        lines.append(f"[{group}:vars]")
        lines += [f"{name}={group}" for name in draw(st.lists(st.sampled_from(["v", "w"]), unique=True))]
        if draw(st.booleans()):
            lines.append(f"ansible_group_priority={draw(st.integers(0, 3))}")
    return "\n".join(lines) + "\n"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=ini_texts())
def test_generated_inventories_equal(text: str, tmp_path: Path) -> None:
    """Whatever groups contain and override, hosts end with Ansible's variables and groups with Ansible's members."""
    manager, variables = oracle(tmp_path, text)
    ours = load(tmp_path / "generated.ini")
    assert set(ours.hosts) == set(manager.hosts)
    for host in ours.hosts:
        theirs = variables.get_vars(host=manager.get_host(host), include_hostvars=False, stage="all")
        assert {k: v for k, v in theirs.items() if k in ours.variables(host)} == ours.variables(host)
        assert sorted(theirs["group_names"]) == list(ours.group_names(host))
    for name, group in ours.groups.items():
        assert [host.name for host in manager.groups[name].hosts] == list(group.hosts)
        assert {host.name for host in manager.groups[name].get_hosts()} == set(group.members)
        assert manager.groups[name].depth == group.depth


def oracle(folder: Path, text: str):  # type: ignore[no-untyped-def]  # noqa: ANN201 -- Ansible's classes are untyped
    """Ansible's own inventory and variable managers over a text."""
    from ansible.inventory.manager import InventoryManager  # noqa: PLC0415 -- slow to import; only some tests need it
    from ansible.parsing.dataloader import DataLoader  # noqa: PLC0415 -- as above
    from ansible.vars.manager import VariableManager  # noqa: PLC0415 -- as above

    path = folder / "generated.ini"
    path.write_text(text)
    loader = DataLoader()
    manager = InventoryManager(loader=loader, sources=[str(path)])
    return manager, VariableManager(loader=loader, inventory=manager)


WORLD = "lone1\nlone2\n[web]\nweb[1:4]\n[db]\ndb[1:2]\nweb4\n[site:children]\nweb\ndb\n[empty]\n[web.x]\nq\n"
ATOMS = st.sampled_from(
    [
        "all",
        "web",
        "db",
        "site",
        "empty",
        "web1",
        "web4",
        "lone1",
        "web*",
        "*1",
        "*b*",
        "?eb1",
        "web[2]",
        "web[0]",
        "web[-1]",
        "web[1:2]",
        "site[1:]",
        "~web[12]",
        "~.*2$",
        "web.x",
        "web.*",
        "[wd]*",
        "[!w]*",
        "ungrouped",
        "lone?",
        "nothing*",
        "web[9]",
        "xyz",
        "*",
    ]
)
TERMS = st.builds(str.__add__, st.sampled_from(["", "", "", "!", "&"]), ATOMS)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(terms=st.lists(TERMS, min_size=1, max_size=4), joint=st.sampled_from([",", ":", ", "]))
def test_patterns_equal(terms: list[str], joint: str, tmp_path: Path) -> None:
    """A pattern selects Ansible's hosts; where remedy refuses it, Ansible would have ignored a term or chosen all."""
    manager, _ = oracle(tmp_path, WORLD)
    ours = load(tmp_path / "generated.ini")
    if any("~" in term for term in terms):
        joint = ","
    pattern = joint.join(terms)
    singles = [term.lstrip("!&") for term in terms]
    try:
        chosen = ours.select([pattern])
    except UsageError:
        unknown = [t for t in singles if not silent(manager, t) and t != "empty"]
        nothing_left = not silent(manager, pattern)
        only_modifiers = all(term[0] in "!&" for term in terms)
        assert unknown or nothing_left or only_modifiers
    else:
        assert set(chosen) == {host.name for host in manager.get_hosts(pattern)}
        assert len(set(chosen)) == len(chosen)


def silent(manager: object, pattern: str) -> list[object]:
    """Ansible's hosts for a pattern; none where it raises for a subscript out of range."""
    from ansible.errors import AnsibleError  # noqa: PLC0415 -- slow to import

    try:
        return list(manager.get_hosts(pattern))  # type: ignore[attr-defined]
    except AnsibleError:
        return []


@given(text=st.text("ab1:,[]!&~.*- \t", max_size=20))
def test_split_equals(text: str) -> None:
    """Patterns are cut into terms where Ansible cuts them."""
    from ansible.inventory.manager import split_host_pattern  # noqa: PLC0415 -- slow to import

    assert split(text) == split_host_pattern(text)


bounds = st.integers(0, 120)


@given(
    begin=bounds,
    count=st.integers(0, 30),
    step=st.integers(1, 7),
    width=st.integers(1, 5),
    tail=st.sampled_from(["", "-x", ".net"]),
)
def test_numeric_ranges_equal(begin: int, count: int, step: int, width: int, tail: str) -> None:
    """A range of numbers, padded or not, with or without step, stands for Ansible's names."""
    first, last = str(begin).zfill(width), str(begin + count).zfill(width)
    same_width = len(first) == len(last) or first[0] != "0" or len(first) == 1
    pattern = f"web[{first}:{last}:{step}]{tail}"
    if not same_width:
        with pytest.raises(InventoryError):
            ranges.expand(pattern)
        return
    assert ranges.expand(pattern)[0] == expanded(pattern)


@given(ends=st.lists(st.sampled_from(string.ascii_letters), min_size=2, max_size=2), step=st.integers(1, 4))
def test_letter_ranges_equal(ends: list[str], step: int) -> None:
    """A range of letters, lower case before upper, stands for Ansible's names; backwards it is refused by both."""
    first, last = sorted(ends, key=string.ascii_letters.index)
    pattern = f"x[{first}:{last}:{step}]y[1:2]"
    assert ranges.expand(pattern)[0] == expanded(pattern)
    if first != last:
        with pytest.raises(InventoryError, match="backwards"):
            ranges.expand(f"x[{last}:{first}]")


def expanded(pattern: str) -> list[str]:
    """Ansible's names for a pattern."""
    from ansible.plugins.inventory import expand_hostname_range  # noqa: PLC0415 -- slow to import

    names: list[str] = expand_hostname_range(pattern)
    return names


@given(text=st.text("ab01:.[]_-", max_size=24))
def test_any_host_text_equals(text: str) -> None:
    """Whatever stands where a host stands: remedy's names and port are Ansible's, or remedy refuses."""
    from ansible.plugins.inventory import BaseInventoryPlugin  # noqa: PLC0415 -- slow to import

    try:
        ours = ranges.expand(text)
    except InventoryError:
        return
    assert tuple(ours) == tuple(BaseInventoryPlugin._expand_hostpattern(None, text))


def test_selector_finds_nothing_in_nothing() -> None:
    """In an inventory without hosts every pattern is an error."""
    with pytest.raises(UnknownTarget):
        Selector((), {}, lambda _: ()).select(["all"])
