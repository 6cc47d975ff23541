"""ssh options: the jump hosts they mean, read as ssh(1) reads them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remedy.core.errors import InventoryError
from remedy.inventory.jump import Hop, parse


@pytest.mark.parametrize(
    ("text", "hops"),
    [
        ("", ()),
        ("-J b", (Hop("b"),)),
        ("-Jb,u@c:22", (Hop("b"), Hop("c", "u", 22))),
        ("-vJ b", (Hop("b"),)),
        ("-o ProxyJump=b", (Hop("b"),)),
        ("-oProxyJump=b", (Hop("b"),)),
        ("-o 'ProxyJump b'", (Hop("b"),)),
        ("-o proxyjump=ssh://u@b:23", (Hop("b", "u", 23),)),
        ("-J [2001:db8::1]:24", (Hop("2001:db8::1", "", 24),)),
        ("-J 2001:db8::1", (Hop("2001:db8::1"),)),
        ("-J u@d@b", (Hop("b", "u@d"),)),
        ("-J b -J c", (Hop("b"),)),
        ("-o ProxyJump=none -J c", ()),
        ("-o ProxyCommand='ssh -W %h:%p b' -J c", (Hop("b"),)),
        ("-o ProxyCommand=\"ssh -q -W '[%h]:%p' b\"", None),
        ("-o ProxyCommand='/usr/bin/ssh b -W %h:%p -p 24 -l u -i k'", (Hop("b", "u", 24, "k"),)),
        ("-o ProxyCommand='exec ssh -J a -W %h:%p u@b:25'", (Hop("a"), Hop("b", "u", 25))),
        ("-o ProxyCommand='ssh b nc %h %p'", None),
        ("-o ProxyCommand='socat - TCP:%h:%p'", None),
        ("-o ProxyCommand=''", None),
        ("-J -oProxyCommand=x", None),
        ("-J b:x", None),
        ("-J b:70000", None),
        ("-J ,", None),
        ("-J 'a b'", None),
        ("-J " + ",".join("abcdefghi"), None),
    ],
)
def test_hops(text: str, hops: tuple[Hop, ...] | None) -> None:
    """Each spelling gives its hops, nearest first; what cannot be followed is an error."""
    if hops is None:
        with pytest.raises(InventoryError):
            parse(text)
    else:
        assert parse(text).hops == hops


def test_other_options() -> None:
    """User, port, key and known hosts are taken; the rest is listed unless it means nothing here."""
    made = parse(
        "-C -p 22 -l u -i k -o UserKnownHostsFile=/kh -o StrictHostKeyChecking=no -o ControlMaster=auto -L 1:a:2 -D 9"
    )
    assert (made.port, made.user, made.key_file, made.known_hosts) == (22, "u", "k", "/kh")
    assert made.ignored == ("-o StrictHostKeyChecking=no", "-L 1:a:2", "-D 9")


def test_disabled_host_keys_are_never_honoured() -> None:
    """`UserKnownHostsFile=/dev/null` is ignored, and listed as ignored."""
    made = parse("-o UserKnownHostsFile=/dev/null")
    assert (made.known_hosts, made.ignored) == ("", ("-o UserKnownHostsFile=/dev/null",))


@given(text=st.text(max_size=40) | st.text("-JoWpil =%h:pssh,@[]'\"", max_size=40))
def test_any_text(text: str) -> None:
    """Whatever the options are, they are read or refused."""
    with contextlib.suppress(InventoryError):
        assert all(hop.host for hop in parse(text).hops)
