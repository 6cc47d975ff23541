"""Every parser, with literal samples of what targets say, and with what an intruder's target may say instead.

The probes of containment are here; each other subject has its samples in a module of its name below `samples`:
`PROBES` (one of every constructor), `GOOD` and `BAD` answers, and what it makes of a failed question (`FAILED`).
"""

from __future__ import annotations

import contextlib
import inspect
import json
import pkgutil
import time
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.probes import samples

from remedy import probes
from remedy.core.canon import Json, canonical
from remedy.core.errors import AnswerUnusable, PlanFileError
from remedy.core.values import Probe, Reply
from remedy.probes import database, deadman, files, host, iptables, nft, parse, reach, sockets

SAMPLES: list[ModuleType] = [
    import_module(f"tests.probes.samples.{found.name}") for found in pkgutil.iter_modules(samples.__path__)
]


def sampled(name: str) -> list[Any]:
    """What the samples have under a name, put together."""
    return [item for module in SAMPLES for item in getattr(module, name, ())]


def parsers() -> list[str]:
    """Every registered parser by its full name."""
    return [f"{s}.{name}" for s in probes.subjects() for name in import_module(f"remedy.probes.{s}").PARSERS]


def informed() -> list[str]:
    """Every parser that is told what was asked."""
    modules = {s: import_module(f"remedy.probes.{s}") for s in probes.subjects()}
    return [f"{s}.{name}" for s, module in modules.items() for name in getattr(module, "INFORMED", {})]


def constructed() -> Iterator[Probe]:
    """One probe of every constructor."""
    yield from (deadman.state("R1"), files.state("/etc/x"), files.content("/etc/x"))
    yield from (host.facts(), host.peer(), host.clock(), host.addresses(), host.cards())
    yield from (iptables.chains(), iptables.rehearse(("", ""), ("", "")))
    yield from (nft.tables("inet x"), nft.rehearse("", "", "inet x"), nft.ruleset())
    yield from (reach.reach([("tcp", "198.18.1.11", 22)]), sockets.tcp(), sockets.foreign(("198.18.3.1",), 22))
    yield from sampled("PROBES")


def test_every_parser_is_named_by_a_probe() -> None:
    """No parser lies about unused, and no probe names one that is not there."""
    named = {probe.parser for probe in [*constructed(), *sampled("ELSEWHERE")]}
    assert {name for name in named if ":" not in name} == set(parsers())
    assert {name.partition(":")[0] for name in named if ":" in name} == set(informed())


def test_every_constructor_is_tested() -> None:
    """Each public function of the package that returns a Probe is among those above."""
    count = 0
    for subject in probes.subjects():
        for _, function in inspect.getmembers(import_module(f"remedy.probes.{subject}"), inspect.isfunction):
            public = not function.__name__.startswith("_") and function.__module__ == f"remedy.probes.{subject}"
            count += public and function.__annotations__.get("return") == "Probe"
    assert count == len(list(constructed()))


def test_probes_are_vectors_that_do_not_mix_data_and_script() -> None:
    """What varies is an argument of its own, never part of a shell script."""
    evil = "$(reboot); `reboot` 'x' \"y\""
    for probe in (deadman.state(evil), files.state(evil), files.content(evil), nft.tables(evil)):
        assert evil in probe.command.argv
        assert all(evil not in word for word in probe.command.argv[:3])


def test_names_of_schemas_are_never_sql() -> None:
    """A schema's name goes to the server in hexadecimal or in doubled backticks, whatever it is, and into no script."""
    evil = "si`te'\"\\; DROP DATABASE x; -- 数据\n"
    asked = (database.schemas("", evil), database.names("", evil), database.views("", evil))
    for probe in (*asked, database.number("", evil, "SELECT 1", 1), database.structure("", evil)):
        assert evil not in probe.command.stdin.replace(database.named(evil), "")
        assert all(evil not in word for word in probe.command.argv[:3])
        hexadecimal, quoted = evil.encode().hex() in probe.command.stdin, database.named(evil) in probe.command.stdin
        assert hexadecimal or quoted or evil in probe.command.argv


def test_definitions_are_read_in_spite_of_one_that_cannot_be() -> None:
    """The dump program ends with status 2 when a view cannot be shown: that is an answer, other failures are none."""
    assert parse("database.text", Reply(2, b"-- all but one", b"mariadb-dump: Couldn't execute")) == "-- all but one"
    with pytest.raises(AnswerUnusable, match="status 3"):
        parse("database.text", Reply(3, b"-- half"))


@pytest.mark.parametrize(
    "name",
    [
        "",
        "nft",
        "nft.",
        ".tables",
        "nft.tables.x",
        "nft.tables\n",
        "nft.nothing",
        "nothing.tables",
        "os.system",
        "__init__.parse",
        "nft.PARSERS",
        "nft.parse_tables",
        "nft.__class__",
        "..actions.build",
        "remedy.probes.nft.tables",
        "files.text",
        "NFT.tables",
        "nft .tables",
    ],
)
def test_other_code_cannot_be_named(name: str) -> None:
    """A name in a plan file reaches the registered parsers and nothing else."""
    with pytest.raises(PlanFileError, match="no parser is called"):
        parse(name, Reply(0))


@given(st.text(max_size=30))
def test_no_other_name_is_a_parser(name: str) -> None:
    """Whatever is written in place of a parser's name is refused unless it is exactly one."""
    if name in parsers():
        return
    with pytest.raises(PlanFileError):
        parse(name, Reply(0))


KEYS = st.one_of(
    st.sampled_from(["is", "schema", "table", "name", "type", "engine", "rows", "bytes", "comment", "trigger", "view"]),
    st.sampled_from(["step", "run", "in", "undo", "mark", "account", "read_only", "on", "tables", "login", "routine"]),
    st.sampled_from(["named", "kind", "session", "user", "host", "transaction", "seconds", "powerful", "inbound"]),
)
#: Also what JSON can spell and no text or number can be: halves of characters, infinities.
VALUES = st.one_of(KEYS, st.text(max_size=5), st.integers(), st.floats(), st.booleans(), st.none(), st.just([]))
HOSTILE = st.one_of(
    st.binary(max_size=400),
    st.text(alphabet="0123456789abcdef:. \n\t=-[]{}\"',/\\*AREMDYINj", max_size=400).map(str.encode),
    st.lists(st.dictionaries(KEYS, VALUES, max_size=7).map(json.dumps), max_size=4).map("\n".join).map(str.encode),
    st.lists(
        st.sampled_from([b"uid=0\n", b"sha256:", b"allowed 22\n", b'["open"]', b"0: 0B0112C6:0016 ", b"-A INPUT -j "])
    ).map(b"".join),
)


@pytest.mark.parametrize("name", parsers())
@given(out=HOSTILE, err=st.binary(max_size=100), status=st.sampled_from([0, 0, 0, 1, 127, 255]))
def test_hostile_bytes(name: str, out: bytes, err: bytes, status: int) -> None:
    """Whatever bytes come back, a parser gives a value that can be recorded, or refuses; it never breaks."""
    try:
        answer = parse(name, Reply(status, out, err))
    except AnswerUnusable:
        return
    canonical(answer)


@pytest.mark.parametrize("name", parsers())
def test_cut_off_answers_are_refused(name: str) -> None:
    """Nothing is decided from half an answer."""
    with pytest.raises(AnswerUnusable, match="cut off"):
        parse(name, Reply(0, b"armed\n", truncated=True))


@pytest.mark.parametrize("name", parsers())
def test_failed_questions_are_refused(name: str) -> None:
    """A command that failed without a word it should have said gives no answer, or the one that means just that."""
    means = {key: value for module in SAMPLES for key, value in getattr(module, "FAILED", {}).items()}
    if name in means:
        assert parse(name, Reply(1, b"armed\n", b"")) == means[name]
        return
    with pytest.raises(AnswerUnusable):
        parse(name, Reply(1, b"armed\n", b""))


@pytest.mark.parametrize("name", parsers())
@pytest.mark.parametrize("out", [b"[" * 3_000_000, b"\x00" * 3_000_000, b"a=b\n" * 700_000, b"x" * 3_000_000])
def test_megabytes_are_read_in_no_time(name: str, out: bytes) -> None:
    """Answers as large as the transport lets through neither hang a parser nor exhaust its stack."""
    begin = time.process_time()
    with contextlib.suppress(AnswerUnusable):
        parse(name, Reply(0, out))
    assert time.process_time() - begin < 10


ADDRESSES = rb"""
1: lo    inet 127.0.0.1/8 scope host lo\       valid_lft forever preferred_lft forever
2: eth0    inet 198.18.1.11/24 brd 198.18.1.255 scope global eth0\       valid_lft forever preferred_lft forever
2: eth0    inet6 2001:DB8:0:1::11/64 scope global nodad \       valid_lft forever preferred_lft forever
"""

GOOD: list[tuple[str, bytes, Json]] = [
    ("deadman.state", b"armed\n", "armed"),
    ("deadman.state", b"off\n", "off"),
    (
        "files.state",
        b"sha256:" + b"0" * 64 + b"\nlink:../init.d/remedy-isolation\nabsent:\nother:\n",
        ["sha256:" + "0" * 64, "link:../init.d/remedy-isolation", "absent:", "other:"],
    ),
    ("files.content", b"a\n\xff", "a\n\\xff"),
    (
        "host.peer",
        b"198.18.3.1 51544 198.18.1.11 22\ndev=eth0 type=1 kind=\n",
        {"client": "198.18.3.1", "server": "198.18.1.11", "port": 22, "tunnel": ""},
    ),
    (
        "host.peer",
        b"::ffff:198.18.3.1 5 ::ffff:198.18.1.11 22\ndev= type= kind=",
        {"client": "198.18.3.1", "server": "198.18.1.11", "port": 22, "tunnel": ""},
    ),
    (
        "host.peer",
        b"fe80::1%eth0 5 fe80::2%eth0 2222",
        {"client": "fe80::1", "server": "fe80::2", "port": 2222, "tunnel": ""},
    ),
    ("host.peer", b"\n", None),
    ("host.addresses", b"2: eth0    inet 198.18.1.999/24\n3: eth1    inet6 ::::/64\n", []),
    ("host.clock", b"1795152000\n", 1795152000),
    (
        "host.addresses",
        ADDRESSES,
        ["198.18.1.11", "2001:db8:0:1::11"],
    ),
    ("nft.tables", b"table inet x {  \n\n\tchain y {\n\t}\n}\n", "table inet x {\n\tchain y {\n\t}\n}"),
    (
        "nft.rehearsal",
        b"table inet x {\n}\n== fallback\ntable inet y {\n}\n",
        {"listing": "table inet x {\n}", "fallback": "table inet y {\n}"},
    ),
    ("reach.states", b'["open", "refused", "silent", "prohibited"]\n', ["open", "refused", "silent", "prohibited"]),
    ("reach.states", b"1 unable\n0 open\n10 silent\n2 refused\n", ["open", "unable", "refused", "silent"]),
    ("sockets.foreign", b"allowed 22\nallowed 198.18.3.1\n", []),
]


@pytest.mark.parametrize(("name", "out", "value"), [*GOOD, *sampled("GOOD")])
def test_literal_samples(name: str, out: bytes, value: Json) -> None:
    """What a healthy target says is read as it is meant."""
    assert parse(name, Reply(0, out)) == value


BAD: list[tuple[str, bytes]] = [
    ("deadman.state", b"armed\noff\n"),
    ("deadman.state", b"\x1b[2Karmed"),
    ("files.state", b"sha256:xyz\n"),
    ("files.state", b"link:\x1b]0;x\x07\n"),
    ("host.peer", b"198.18.3.1 51544 198.18.1.11\n"),
    ("host.peer", b"198.18.3.1 51544 198.18.1.11 99999\n"),
    ("host.peer", b"evil 1 198.18.1.11 22\n"),
    ("host.peer", b"198.18.3.1 1 198.18.1.11 22 more\n"),
    ("host.clock", b"-1\n"),
    ("host.clock", b"9" * 13),
    ("host.facts", b"uid=1000\nkernel=6.1\n"),
    ("host.facts", b""),
    ("reach.states", b'["open", "closed"]'),
    ("reach.states", b'["open", 1]'),
    ("reach.states", b'{"0": "open"}'),
    ("reach.states", b'["open"'),
    ("reach.states", b"0 open extra\n"),
    ("sockets.foreign", b"  sl  local_address\n"),
    ("sockets.foreign", b"allowed 22\nallowed everybody\n"),
]


@pytest.mark.parametrize(("name", "out"), [*BAD, *sampled("BAD")])
def test_nonsense_is_refused(name: str, out: bytes) -> None:
    """What does not make sense is never guessed at."""
    with pytest.raises(AnswerUnusable):
        parse(name, Reply(0, out))


FACTS = b"""\
uid=0
boot=6a7f
kernel=6.1.0-18-amd64
tool.nft=/usr/sbin/nft
nft_version=nftables v1.0.6 (Lester Gooch #5)
init=sysv
bridge=/sys/class/net/docker0/bridge
free_kib=enough
ipsec=no
namespaces=one
address=eth0 198.18.1.11/24
address=eth0 198.18.2.9/23 dynamic
address=eth0 2001:DB8:0:1::11/64
address=eth1 999.18.1.11/24
address=eth1 198.18.1.11/240
address=eth1
address=
unknown=x
tool.ss=/usr/bin/ss
"""


def test_facts() -> None:
    """The facts script's lines become one object; words it does not know, and what is no address, are left out."""
    assert parse("host.facts", Reply(0, FACTS)) == {
        "ipsec": "no",
        "namespaces": "one",
        "uid": "0",
        "boot": "6a7f",
        "kernel": "6.1.0-18-amd64",
        "init": "sysv",
        "free_kib": "enough",
        "nft_version": "1.0.6",
        "tools": {"nft": "/usr/sbin/nft", "ss": "/usr/bin/ss"},
        "bridges": ["docker0"],
        "addresses": [
            {"dev": "eth0", "address": "198.18.1.11", "net": "198.18.1.0/24", "dynamic": False},
            {"dev": "eth0", "address": "198.18.2.9", "net": "198.18.2.0/23", "dynamic": True},
            {"dev": "eth0", "address": "2001:db8:0:1::11", "net": "2001:db8:0:1::/64", "dynamic": False},
        ],
    }


@pytest.mark.parametrize("key", ["boot", "kernel", "nft_version", "init", "free_kib", "ipsec", "namespaces"])
def test_missing_facts_are_refused(key: str) -> None:
    """A host that leaves a fact out is refused with the fact's name; nothing is decided from the rest."""
    rest = b"".join(line for line in FACTS.splitlines(keepends=True) if not line.startswith(key.encode() + b"="))
    with pytest.raises(AnswerUnusable, match=f"lack '{key}'"):
        parse("host.facts", Reply(0, rest))


@pytest.mark.parametrize(
    ("device", "tunnel"),
    [
        ("dev=eth0 type=1 kind=", ""),
        ("dev=bond0 type=1 kind=bond", ""),
        ("dev=br0 type=1 kind=bridge", ""),
        ("dev=eth0.7 type=1 kind=vlan", ""),
        ("dev=ib0 type=32 kind=", ""),
        ("dev=ppp0 type=512 kind=ppp", "ppp0"),
        ("dev=lo type=772 kind=", ""),
        ("dev=wg0 type=65534 kind=wireguard", "wg0"),
        ("dev=tun0 type=65534 kind=tun", "tun0"),
        ("dev=tap0 type=1 kind=tun", "tap0"),
        ("dev=vx0 type=1 kind=vxlan", "vx0"),
        ("dev=gre1 type=778 kind=", "gre1"),
        ("dev=sit0 type=776 kind=", "sit0"),
        ("dev=ipip0 type=768 kind=", "ipip0"),
    ],
)
def test_devices_that_carry_packets_in_packets(device: str, tunnel: str) -> None:
    """A tunnel towards the client is told by the kernel's type of the device or by its driver's."""
    answer = parse("host.peer", Reply(0, f"198.18.3.1 5 198.18.1.11 22\n{device}\n".encode()))
    assert isinstance(answer, dict)
    assert answer["tunnel"] == tunnel


TCP = b"""\
allowed 22
allowed 198.18.3.0/24
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0
   2: 0B0112C6:0016 010312C6:C958 01 00000000:00000000 02:000A7F3D 00000000     0        0 3 4 0 20 4 25 10 -1
   3: 0B0112C6:C350 420012C6:115C 01 00000000:00000000 02:000A7F3D 00000000     0        0 4 4 0 20 4 25 10 -1
   4: 0B0112C6:0050 010312C6:C959 01 00000000:00000000 02:000A7F3D 00000000     0        0 5 4 0 20 4 25 10 -1
   5: 0B0112C6:0050 010312C6:C95A 06 00000000:00000000 02:000A7F3D 00000000     0        0 0 4 0 20 4 25 10 -1
   6: zzzz:0050 010312C6:C95A 01
   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 6 1 0 100
   1: 0000000000000000FFFF00000B0112C6:0050 0000000000000000FFFF0000420012C6:9C40 01 0:0 00:0 0 0 0 7 1 0 100
"""


def test_kernel_socket_tables() -> None:
    """Listening ports without loopback's, live flows of both families, mapped addresses by their IPv4 form."""
    assert parse("sockets.tcp", Reply(0, TCP)) == {
        "listening": [22, 80],
        "flows": [
            ["198.18.1.11", 22, "198.18.3.1", 51544],
            ["198.18.1.11", 80, "198.18.0.66", 40000],
            ["198.18.1.11", 80, "198.18.3.1", 51545],
            ["198.18.1.11", 50000, "198.18.0.66", 4444],
        ],
    }


def test_foreign_flows() -> None:
    """Only allowed peers on the allowed port are left out; management on another port is foreign too."""
    assert parse("sockets.foreign", Reply(0, TCP)) == [
        "198.18.0.66:40000 to 80",
        "198.18.3.1:51545 to 80",
        "198.18.0.66:4444 to 50000",
    ]


SAVED = b"""\
# Generated by iptables-save v1.8.9
== iptables
*mangle
:INPUT ACCEPT [120:9600]
:REMEDY_IN - [0:0]
-A INPUT -j %s
-A INPUT -s 198.19.0.9/32 -j DROP
-A REMEDY_IN -i lo -m comment --comment "remedy incident=I run=R anchor=A" -j RETURN
COMMIT
== ip6tables
-A OUTPUT -j OTHER
-A OUTPUT -j REMEDY_OUT
"""


def test_iptables_chains() -> None:
    """Remedy's rules are kept in order, and a jump that somebody got in front of shows as such."""
    kept = str(parse("iptables.chains", Reply(0, SAVED % b"REMEDY_IN"))).splitlines()
    assert kept == [
        "iptables INPUT first -j REMEDY_IN",
        'iptables REMEDY_IN -i lo -m comment --comment "remedy incident=I run=R anchor=A" -j RETURN',
        "ip6tables OUTPUT NOT FIRST -j REMEDY_OUT",
    ]
    assert nft.stamp("\n".join(kept)) == {"incident": "I", "run": "R", "anchor": "A"}
    assert parse("iptables.chains", Reply(0, b"== iptables\n*mangle\n-A INPUT -j DROP\nCOMMIT\n")) == ""


@pytest.mark.parametrize(
    ("name", "err", "said"),
    [
        (
            "nft.rehearsal",
            b"/dev/stdin:4:9-14: Error: syntax error, unexpected reject\n  reject\n",
            "unexpected reject",
        ),
        ("nft.rehearsal", b"sh: 1: unshare: not found\n", "not found"),
        ("nft.rehearsal", b"unshare: unshare failed: Operation not permitted\n", "not permitted"),
        ("iptables.rehearsal", b"iptables-restore v1.8.9 (legacy): Couldn't load match `foo'\n", "Couldn't load match"),
    ],
)
def test_rehearsal_refused(name: str, err: bytes, said: str) -> None:
    """A tool's own complaint about the rules is an answer, and says why."""
    answer = parse(name, Reply(1, b"", err))
    assert isinstance(answer, dict)
    assert said in str(answer["refused"])


@given(st.text(max_size=200))
def test_stamp_of_anything(listing: str) -> None:
    """Whose table it is can be asked of any text without harm."""
    assert isinstance(nft.stamp(listing), dict)


def test_stamp() -> None:
    """The words of the comment say incident, run and anchor; without the comment nobody is named."""
    line = 'iifname "lo" accept comment "remedy incident=INC-1 run=R7 anchor=9f state=fallback"'
    assert nft.stamp(line) == {"incident": "INC-1", "run": "R7", "anchor": "9f", "state": "fallback"}
    assert nft.stamp('comment "somebody else"') == {}
