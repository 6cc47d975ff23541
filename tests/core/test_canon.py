"""Canonical JSON, and decoding: strict, and of what older versions wrote."""

from __future__ import annotations

import json
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any, Final, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remedy.core.canon import Json, canonical, decode, digest, encode
from remedy.core.errors import PlanFileError
from remedy.core.values import PLAN_SCHEMA, Cell, Change, Command, Expect, Guard, Plan, Probe, Transfer

SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.text())
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(), inner, max_size=4)),
    max_leaves=12,
)


@given(VALUES)
def test_round_trip(value: Json) -> None:
    """What is written can be read by any JSON program and is the same value."""
    assert json.loads(canonical(value)) == value


@given(VALUES)
def test_one_form(value: Json) -> None:
    """Reading and writing again gives the same bytes, so a hash means the same everywhere."""
    once = canonical(value)
    assert canonical(json.loads(once)) == once
    assert digest(value) == digest(json.loads(once))


@given(st.dictionaries(st.text(), st.integers(), min_size=2))
def test_order_of_insertion_does_not_matter(value: dict[str, Json]) -> None:
    """Two equal objects have one form, however they were built."""
    assert canonical(value) == canonical(dict(reversed(value.items())))


def test_keys_in_utf16_order() -> None:
    """Keys are sorted as RFC 8785 (section 3.2.3) shows, where an astral character comes before U+FB33."""
    sample = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\u0080": 6, "\u00f6": 7}
    ordered = list(json.loads(canonical(cast("Json", sample))))
    assert ordered == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


@given(st.dictionaries(st.text(), st.none(), min_size=2))
def test_keys_in_utf16_order_always(value: dict[str, Json]) -> None:
    """For any keys, the order written is that of their UTF-16 code units."""
    written = list(json.loads(canonical(value)))
    assert written == sorted(written, key=lambda key: key.encode("utf-16-be"))


def test_strings_are_escaped_as_the_rfc_says() -> None:
    """Two-character escapes where JSON has them, lower-case hexadecimal for other controls, all else literally."""
    sample = "\u20ac$\u000f\nA'\u0042\u0022\u005c\\\"/\b\t\f\r\x7f"
    assert canonical(sample).decode() == '"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/\\b\\t\\f\\r\x7f"'


def test_no_spaces() -> None:
    """Nothing stands between the tokens."""
    assert canonical({"b": [1, True, None], "a": {}}) == b'{"a":{},"b":[1,true,null]}'


@pytest.mark.parametrize("value", [1.0, float("nan"), [0.5], {"a": 1e3}, {1: "a"}, b"x", {"a": {2, 3}}, object()])
def test_what_json_or_programs_disagree_about_is_refused(value: object) -> None:
    """Floats, keys that are no text, bytes and other objects have no canonical form."""
    with pytest.raises(TypeError):
        canonical(cast("Json", value))


def test_lone_surrogates_are_refused() -> None:
    """Text without a UTF-8 form is not quietly changed."""
    with pytest.raises(UnicodeEncodeError):
        canonical("\ud800")


@dataclass(frozen=True)
class Inner:
    """A part."""

    number: int
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outer:
    """A whole, with every kind of field that plans have."""

    name: str
    on: bool
    part: Inner | None
    pair: tuple[int, str]


GOOD: dict[str, Any] = {"name": "x", "on": True, "part": {"number": 1, "words": ["a"]}, "pair": [1, "b"]}


def test_decode_is_the_inverse_of_encode() -> None:
    """Every kind of field comes back as it was."""
    value = Outer("x", on=True, part=Inner(1, ("a",)), pair=(1, "b"))
    assert encode(value) == GOOD
    assert decode(Outer, GOOD) == value
    assert decode(Outer, {**GOOD, "part": None}).part is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"extra": 1}, r"Outer: unknown option 'extra'"),
        ({"on": 1}, r"Outer\.on: bool is expected here, not int"),
        ({"name": None}, r"Outer\.name: str is expected here, not NoneType"),
        ({"part": {"number": True, "words": []}}, r"Outer\.part\.number: int is expected here, not bool"),
        ({"part": {"number": 1.0, "words": []}}, r"Outer\.part\.number: int is expected here, not float"),
        ({"part": {"words": []}}, r"Outer\.part: 'number' is missing"),
        ({"part": []}, r"Outer\.part: an object is expected here"),
        ({"part": {"number": 1, "words": "ab"}}, r"Outer\.part\.words: a list is expected here"),
        ({"part": {"number": 1, "words": ["a", 2]}}, r"Outer\.part\.words\[1\]: str is expected here, not int"),
        ({"pair": [1]}, r"Outer\.pair: 2 items are expected here, not 1"),
        ({"pair": ["b", 1]}, r"Outer\.pair\[0\]: int is expected here, not str"),
    ],
)
def test_decode_is_strict(change: dict[str, Any], said: str) -> None:
    """Whatever is unknown, missing or of the wrong type is refused with its place, booleans for numbers too."""
    with pytest.raises(PlanFileError, match=said) as caught:
        decode(Outer, {**GOOD, **change})
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", [field.name for field in fields(Outer)])
def test_decode_misses_nothing(name: str) -> None:
    """A field without a default has to be there."""
    with pytest.raises(PlanFileError, match=f"'{name}' is missing"):
        decode(Outer, {key: value for key, value in GOOD.items() if key != name})


TEXT = st.text(max_size=8)
COMMANDS = st.builds(
    Command, st.lists(TEXT, max_size=3).map(tuple), stdin=TEXT, root=st.booleans(), seconds=st.integers(1, 99)
)
PROBES = st.builds(Probe, COMMANDS, TEXT)
CHANGES = st.builds(
    Change,
    TEXT,
    TEXT,
    COMMANDS,
    st.none() | COMMANDS,
    st.none() | PROBES,
    TEXT,
    TEXT,
    essential=st.booleans(),
    again=st.none() | COMMANDS,
    transfer=st.none() | st.builds(Transfer, TEXT, TEXT),
    halfway=TEXT,
)
CELLS = st.builds(Cell, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT, st.integers(), TEXT)
EXPECTS = st.builds(Expect, TEXT, TEXT, PROBES, TEXT, fresh=st.booleans(), cells=st.lists(CELLS, max_size=2).map(tuple))
GUARDS = st.builds(Guard, TEXT, TEXT, st.integers(), COMMANDS, COMMANDS, PROBES, PROBES, TEXT)
PLANS = st.builds(
    Plan,
    *[TEXT] * 6,
    changes=st.lists(CHANGES, max_size=2).map(tuple),
    keep=st.lists(CHANGES, max_size=1).map(tuple),
    expects=st.lists(EXPECTS, max_size=2).map(tuple),
    guard=st.none() | GUARDS,
    unproven=st.lists(TEXT, max_size=2).map(tuple),
    schema=st.integers(1, PLAN_SCHEMA),
)


@given(PLANS)
def test_plans_come_back_equal_with_their_hash(plan: Plan) -> None:
    """Any plan survives a file: equal, with the same hash, whoever indents it."""
    text = json.dumps(encode(plan), indent=3, sort_keys=True)
    again = decode(Plan, json.loads(text))
    assert again == plan
    assert again.hash == plan.hash == digest(json.loads(text))


@given(PLANS, PLANS)
def test_different_plans_have_different_hashes(one: Plan, other: Plan) -> None:
    """An approval of one plan never is one of another."""
    assert (one.hash == other.hash) == (one == other)


@given(PLANS, st.lists(TEXT, max_size=2), st.lists(EXPECTS, max_size=2))
def test_effect_is_what_is_sent(plan: Plan, lines: list[str], expects: list[Expect]) -> None:
    """What is said about a plan, and its proof, do not make it stale; everything that is sent, or read for it, does."""
    said = tuple(lines)
    other = replace(plan, impact=said, notes=said, unproven=said, expects=tuple(expects))
    assert other.effect == plan.effect
    for name in ("facts", "params", "target", "anchor"):
        assert replace(plan, **{name: getattr(plan, name) + "x"}).effect != plan.effect
    step = Change("one more", "web01", Command(("true",)))
    for more in ({"changes": (*plan.changes, step)}, {"keep": (*plan.keep, step)}, {"card": (*plan.card, "reboot")}):
        assert replace(plan, **more).effect != plan.effect


def test_hash_is_stable() -> None:
    """The hash of a known plan is the same in every run and on every machine."""
    plan = Plan("isolate", "web01", "R1", "INC-1", "0", "{}", changes=(Change("why", "web01", Command(("true",))),))
    assert plan.hash == "e3b1c62613b0c180ac63367f5dbb804b20ece2ec3c06caca59f41e5477d6b763"
    assert not plan.is_noop
    assert Plan("isolate", "web01", "R1", "INC-1", "0", "{}").is_noop


#: A plan as the record of remedy 0.1.0 has it, of format 1: no step is a stream, none can be found half-way.
FORMAT_1: Final = """
{"action":"isolate","anchor":"0","card":[],"changes":[{"after":"1","again":null,"at":"web01","before":"0",
"do":{"argv":["nft","-f","-"],"root":true,"seconds":30,"stdin":"add table inet remedy"},"essential":true,
"layer":"host","seen":{"command":{"argv":["nft","-j","list","ruleset"],"root":true,"seconds":30,"stdin":""},
"parser":"nft.state"},"undo":null,"why":"cut web01 off"}],"expects":[],"facts":"{}","guard":null,"impact":[],
"incident":"INC-1","keep":[],"notes":[],"on_failure":"keep","params":"{}","run":"R1","schema":1,"target":"web01",
"unproven":[]}"""


def test_a_plan_of_format_1_is_read_with_the_hash_that_was_approved() -> None:
    """What was added since has its default, the hash is the document's; a plan made from it has one of its own."""
    document = json.loads(FORMAT_1)
    plan = decode(Plan, document)
    assert plan.schema == 1
    assert plan.changes[0].transfer is None
    assert plan.changes[0].halfway == ""
    assert plan.hash == digest(document) == "1556c0c2b21ad93712a63179e6dffacfc663b68a575b6b9dfc6a688a9bd0032a"
    assert replace(plan, target="web02").hash == digest(encode(replace(plan, target="web02"))) != plan.hash
    assert decode(Plan, encode(plan)) == plan


PLAN: Final = Plan("isolate", "web01", "R1", "INC-1", "0", "{}", (Change("why", "web01", Command(("true",))),))


@given(PLANS, st.data())
def test_whatever_has_a_default_may_be_missing(plan: Plan, data: st.DataObject) -> None:
    """A recorded plan without fields that are at their default is the same plan, with the hash of what was recorded."""
    document = cast("dict[str, Any]", encode(plan))
    values: list[tuple[Plan | Change, dict[str, Any]]] = [(plan, document)]
    for value, part in [*values, *zip(plan.changes, document["changes"], strict=True)]:
        spare = [f.name for f in fields(value) if f.init and f.default is not MISSING and f.name != "schema"]
        for name in data.draw(st.lists(st.sampled_from(spare), unique=True)):
            if getattr(value, name) == next(f.default for f in fields(value) if f.name == name):
                del part[name]
    again = decode(Plan, json.loads(canonical(document)))
    assert again == plan
    assert again.effect == plan.effect
    assert again.hash == digest(document)
    assert (again.hash == plan.hash) == (document == encode(plan))


@pytest.mark.parametrize("extra", [{}, {"cost": 1}])
def test_a_plan_of_a_newer_format_is_refused_for_that(extra: dict[str, Json]) -> None:
    """The newer format is what the error is about, whatever else is unknown, and the way out is the newer version."""
    newer = {**cast("dict[str, Json]", encode(PLAN)), "schema": PLAN_SCHEMA + 1, **extra}
    with pytest.raises(PlanFileError, match=f"has plan format {PLAN_SCHEMA + 1}, this remedy knows 1 to") as caught:
        decode(Plan, newer)
    assert caught.value.hint == "use the version of remedy that wrote it, or a newer one"


def test_an_unknown_field_is_never_dropped() -> None:
    """A step with something that this version does not know is refused, though its format is the present one."""
    document = cast("dict[str, Any]", encode(PLAN))
    document["changes"][0]["only_if"] = "it is safe"
    with pytest.raises(PlanFileError, match=r"changes\[0\]: unknown option 'only_if'") as caught:
        decode(Plan, document)
    assert "or a newer one" in caught.value.hint


@pytest.mark.parametrize("schema", [None, 0, -1, True, "2"])
def test_the_format_has_to_be_said(schema: Json) -> None:
    """Without its format, or with one that no version ever wrote, a plan is not taken for one of the present."""
    document = cast("dict[str, Any]", encode(PLAN)) | ({} if schema is None else {"schema": schema})
    if schema is None:
        del document["schema"]
    with pytest.raises(PlanFileError):
        decode(Plan, document)
