"""Patterns: where remedy is stricter than Ansible, on purpose."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remedy.core.errors import UnknownTarget, UsageError
from remedy.inventory import Inventory
from remedy.inventory.patterns import Selector

Loader = Callable[..., Inventory]
WORLD = "[web]\nweb[1:3]\n[db]\ndb1\n[site:children]\nweb\ndb\n[empty]\n"


@pytest.mark.parametrize("patterns", [[], [""], [" , "], ["!web1"], ["&web"], ["!web1", "&db"]])
def test_no_default_target(patterns: list[str], inventory: Loader) -> None:
    """Nothing named, or only exclusions, is a usage error and never means everything."""
    with pytest.raises(UsageError, match="no default target"):
        inventory({"h.ini": WORLD}).select(patterns)


@pytest.mark.parametrize(
    "pattern", ["web9", "all:!wbe1", "web1,wbe2", "web:&dbx", "nothing*", "~^x", "web[7]", "web[3:]", "webb[0]"]
)
def test_a_term_that_names_nothing(pattern: str, inventory: Loader) -> None:
    """A typing mistake anywhere in a pattern is an error, in an exclusion too."""
    with pytest.raises(UnknownTarget):
        inventory({"h.ini": WORLD}).select([pattern])


@pytest.mark.parametrize(("pattern", "near"), [("wbe1", "web1"), ("all:!db2", "db1"), ("stie", "site")])
def test_near_misses(pattern: str, near: str, inventory: Loader) -> None:
    """The error suggests the names that look alike."""
    with pytest.raises(UnknownTarget) as caught:
        inventory({"h.ini": WORLD}).select([pattern])
    assert near in caught.value.hint


@pytest.mark.parametrize("pattern", ["empty", "web:&db", "web1:!web"])
def test_nothing_left(pattern: str, inventory: Loader) -> None:
    """A pattern that leaves no host is an error."""
    with pytest.raises(UnknownTarget, match="no host matches"):
        inventory({"h.ini": WORLD}).select([pattern])


@pytest.mark.parametrize("pattern", ["~(", "~*", "web[0-9]", "x" * 70_000])
def test_malformed(pattern: str, inventory: Loader) -> None:
    """Broken expressions and the ambiguous [0-9] are usage errors."""
    with pytest.raises(UsageError):
        inventory({"h.ini": WORLD}).select([pattern])


def test_order_and_uniqueness(inventory: Loader) -> None:
    """Hosts come in the order they were named, each once."""
    found = inventory({"h.ini": WORLD})
    assert found.select(["db1", "web3,web"]) == ("db1", "web3", "web1", "web2")
    assert found.select(["all"]) == found.hosts


names = st.text("abc123", min_size=1, max_size=4)


@given(hosts=st.lists(names, min_size=1, unique=True), data=st.data())
def test_laws(hosts: list[str], data: st.DataObject) -> None:
    """Intersection and exclusion split any selection in two, and all but everything is nothing."""
    some = data.draw(st.lists(st.sampled_from(hosts), min_size=1, unique=True))
    selector = Selector(hosts, {"ALL": None, "SOME": None}, {"ALL": hosts, "SOME": some}.__getitem__)
    inside = selector.select(["ALL:&SOME"])
    assert set(inside) == set(some) == set(selector.select([",".join(some)]))
    if len(some) < len(hosts):
        assert set(selector.select(["ALL:!SOME"])) == set(hosts) - set(some)
    with pytest.raises(UnknownTarget):
        selector.select(["SOME,!ALL"])


@given(text=st.text(max_size=30) | st.text("~!&*?[]():,.0123-web", max_size=30))
def test_any_text_is_hosts_or_a_usage_error(text: str) -> None:
    """Whatever is typed selects known hosts or is a usage error."""
    try:
        chosen = Selector(["web1", "web2"], {"web": None}, lambda _: ["web1", "web2"]).select([text])
    except UsageError:
        return
    assert chosen
    assert set(chosen) <= {"web1", "web2"}
