"""The contract of the actions that restore a database, on a real server with real backups.

Re-plans are equal, planning changes nothing, what is there afterwards is exactly what the backup holds, undo returns to
the start and loses nothing, every expectation fails when the world is broken on purpose, and a process killed at any
moment leaves production whole and a run that `resume` and `undo` end well.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.worlds.databases import BACKUP, RUN, RUN2, Shop

from remedy import actions
from remedy.actions import Action
from remedy.backups.values import Question
from remedy.core.canon import decode, encode
from remedy.core.errors import Refused
from remedy.core.values import Plan
from remedy.engine.job import Event


@pytest.fixture(scope="module")
def opened() -> Iterator[Shop]:
    """A world of this module's own."""
    with Shop.open() as world:
        yield world


@pytest.fixture
def shop(opened: Shop) -> Shop:
    """The world at its start."""
    opened.begin()
    return opened


def restored(shop: Shop) -> Plan:
    """A restore that went well; its plan."""
    action = shop.restore()
    plan = shop.plan(action)
    outcome = shop.carry(plan, action)
    assert outcome.status == "verified", outcome.doubts
    return plan


def prepared(shop: Shop, name: str) -> Action:
    """The action, where it has something to do."""
    if name == "restore":
        return shop.restore()
    restored(shop)
    return shop.discard()


def rows(shop: Shop, schema: str, *options: str) -> list[bytes]:
    """All rows of a schema's tables, in order."""
    dump = shop.live.dump(schema, "--compact", "--no-create-info", *options)
    return [line for line in dump.splitlines() if line.startswith((b"INSERT", b"("))]


@pytest.mark.parametrize("name", ["restore", "discard"])
def test_plans_are_equal_and_change_nothing(shop: Shop, name: str) -> None:
    """Planning twice gives the same plan, which survives being written to a file, and leaves no trace anywhere."""
    action = prepared(shop, name)
    before = shop.everything()
    first, second = shop.plan(action, RUN2), shop.plan(action, RUN2)
    assert first == second
    assert not first.is_noop
    again = decode(Plan, json.loads(json.dumps(encode(first))))
    assert (again, again.hash) == (first, first.hash)
    assert actions.build(first.action, first.params) == action
    assert shop.everything() == before


def test_what_is_live_is_exactly_what_the_backup_holds(shop: Shop) -> None:
    """Every row, definition, comment and the order of rows are the backup's; the data before is kept, row for row."""
    before = shop.everything()
    before_rows = rows(shop, "shop")
    restored(shop)
    after = shop.everything()
    assert shop.content() == shop.then
    assert b"/* kept */" in shop.then
    assert b"-- also kept" in shop.then
    assert rows(shop, "shop__undo", "--ignore-table=shop__undo.remedy__kept") == before_rows
    gone = {"shop", "shop__undo", "schemas"}
    assert {k: v for k, v in after.items() if k not in gone} == {k: v for k, v in before.items() if k not in gone}
    assert {path.name for path in shop.place.joinpath("far").iterdir()} >= {f"shop-after-{RUN}.sql.zst"}
    assert {path.name for path in shop.place.joinpath("copy").iterdir()} >= {f"shop-before-{RUN}.sql.zst", BACKUP}


def test_the_rights_to_call_a_routine_survive(shop: Shop) -> None:
    """Who may call a restored routine still may, though no dump says so and the old routine was dropped."""
    shop.live.sql("CREATE USER IF NOT EXISTS app@localhost; CREATE PROCEDURE shop.count_all() SELECT 1")
    shop.live.sql("GRANT EXECUTE ON PROCEDURE shop.count_all TO app@localhost")
    restored(shop)
    assert shop.everything()["grants"] == ["app\tshop\tcount_all"]
    shop.live.sql("DROP USER app@localhost")


def test_undo_returns_to_the_start(shop: Shop) -> None:
    """After an undo all is as it was before, but for the backups that were taken and the restored data, kept aside."""
    before = shop.everything()
    restored(shop)
    outcome = shop.undo()
    assert outcome.status == "verified", outcome.doubts
    after = shop.everything()
    assert after["shop__in"] != b""
    assert {**after, "shop__in": b"", "schemas": before["schemas"]} == before
    assert shop.act(shop.discard(), "D1").status == "verified"
    assert shop.everything() == before


def test_undo_loses_nothing_that_was_written_since(shop: Shop) -> None:
    """What was written into the restored data is kept by the undo, and only a discard of its own drops it."""
    restored(shop)
    shop.live.sql("INSERT INTO shop.`日志` VALUES ('/since the restore', 9); CREATE TABLE shop.made_since (i INT)")
    assert shop.undo().status == "verified"
    assert shop.content() == shop.now
    assert shop.live.sql("SELECT n FROM shop__in.`日志` WHERE path = '/since the restore'") == ["9"]
    assert shop.live.sql("SHOW TABLES FROM shop__in LIKE 'made_since'") == ["made_since"]
    with pytest.raises(Refused, match=f"still keeps the data that was live until the undo of run {RUN}") as caught:
        shop.plan(shop.restore(), RUN2)
    assert "remedy release shop" in caught.value.hint


def test_a_table_and_rows_made_meanwhile_move_along(shop: Shop) -> None:
    """What an application writes and makes between plan and cut-over is kept with the data before, and given back."""
    action = shop.restore()
    plan, engine = shop.plan(action), shop.engine()
    told: list[str] = []

    def meanwhile(event: Event) -> None:
        if event.kind == "step" and event.text.startswith("cut over"):
            told.append(event.text)
            shop.live.sql("CREATE TABLE shop.meanwhile (i INT); INSERT INTO shop.meanwhile VALUES (7)")

    engine.observe = meanwhile
    engine.apply(shop.job(action, RUN), plan, engine.approve(plan, "ops"))
    assert len(told) == 1
    assert shop.content() == shop.then
    assert shop.live.sql("SELECT i FROM shop__undo.meanwhile") == ["7"]
    assert shop.undo().status == "verified"
    assert shop.live.sql("SELECT i FROM shop.meanwhile") == ["7"]


def test_a_view_made_meanwhile_stops_it(shop: Shop) -> None:
    """A definition made after the plan would be lost: nothing is moved, everything is taken back, and it is said."""
    before = shop.everything()
    action = shop.restore()
    plan, engine = shop.plan(action), shop.engine()

    def meanwhile(event: Event) -> None:
        if event.kind == "step" and event.text.startswith("cut over"):
            shop.live.sql("CREATE VIEW shop.meanwhile AS SELECT 1")

    engine.observe = meanwhile
    outcome = engine.apply(shop.job(action, RUN), plan, engine.approve(plan, "ops"))
    assert outcome.status == "failed"
    assert any("have changed since the plan" in doubt for doubt in outcome.doubts)
    shop.live.sql("DROP VIEW shop.meanwhile")
    assert shop.everything() == before


#: What is done to a restored schema, and how it is taken back.
BREAKAGES = {
    "a table too many": ("CREATE TABLE shop.extra (i INT)", "DROP TABLE shop.extra"),
    "a view too many": ("CREATE VIEW shop.extra AS SELECT 1", "DROP VIEW shop.extra"),
    "no event": ("DROP EVENT shop.nightly", "CREATE EVENT shop.nightly ON SCHEDULE EVERY 1 DAY DO SELECT 1"),
    "writes held": ("SET GLOBAL read_only=1", "SET GLOBAL read_only=0"),
    "a row too few": ("DELETE FROM shop.orders WHERE id=90", "INSERT INTO shop.orders (id) VALUES (90)"),
}


def test_every_expectation_fails_when_the_world_is_broken(shop: Shop) -> None:
    """No expectation is a formality: each fails under at least one breakage, and each breakage breaks one."""
    database = replace(shop.database, questions=(Question("SELECT COUNT(*) FROM orders", 90),))
    action = shop.restore(database=database)
    plan = shop.plan(action)
    assert shop.carry(plan, action).status == "verified"
    failed: dict[str, set[str]] = {}
    for breakage, (spoil, repair) in BREAKAGES.items():
        shop.live.sql(spoil)
        failed[breakage] = {v.expect.why for v in shop.engine().verify(plan) if not v.held}
        shop.live.sql(repair)
    assert [v for v in shop.engine().verify(plan) if not v.held] == []
    assert all(failed.values()), failed
    assert set().union(*failed.values()) == {expect.why for expect in plan.expects}, failed


def test_a_question_that_changes_something_is_refused(shop: Shop) -> None:
    """A question of the inventory is asked where nothing can be written: a DELETE in its place harms nothing."""
    database = replace(shop.database, questions=(Question("DELETE FROM orders", 0),))
    outcome = shop.act(shop.restore(database=database))
    assert outcome.status == "unverified"
    assert shop.content() == shop.then


def test_only_what_the_plan_saw_is_discarded(shop: Shop) -> None:
    """A schema whose mark has changed since the plan is not dropped, one that is no finished restore's is refused."""
    restored(shop)
    action = shop.discard()
    plan, engine = shop.plan(action, RUN2), shop.engine()

    def meanwhile(event: Event) -> None:
        if event.kind == "step":
            shop.live.sql(f"ALTER TABLE shop__undo.remedy__kept COMMENT='{RUN} moving'")

    engine.observe = meanwhile
    assert engine.apply(shop.job(action, RUN2), plan, engine.approve(plan, "ops")).status == "unverified"
    assert shop.content("__undo") != b""
    with pytest.raises(Refused, match="shop__undo is not what a finished restore keeps"):
        shop.plan(action, RUN2)


def test_what_was_kept_lately_is_left_alone(shop: Shop) -> None:
    """With an age, what was kept more recently stays and is said to; what is older goes."""
    restored(shop)
    action = replace(shop.discard(), older_than_days=7)
    plan = shop.plan(action, RUN2)
    assert plan.is_noop
    assert plan.notes == ("shop__undo was kept less than 7 days ago: left alone",)
    shop.live.sql("UPDATE shop__undo.remedy__kept SET kept_at = NOW() - INTERVAL 8 DAY")
    assert shop.act(action, RUN2).status == "verified"
    assert shop.content("__undo") == b""


def whole(shop: Shop) -> None:
    """Fail unless production is all of the old or all of the new data, or cannot be written."""
    now = shop.content()
    if now not in (shop.then, shop.now):
        assert shop.live.sql("SELECT @@GLOBAL.read_only") == ["1"], "half of it, and it can be written"


#: The deeds just before and just after each of the eight changes and streams: the lease, the plan and its approval come
#: first, and to each step belong its intent, the change and its reply.
BEFORE = [4 + 3 * step for step in range(8)]
AFTER = [moment + 1 for moment in BEFORE]


def test_there_are_moments_enough(shop: Shop) -> None:
    """The moments below are those around each change of a restore."""
    action = shop.restore()
    assert shop.dying(shop.plan(action), action, None).changes == AFTER


@pytest.mark.parametrize("moment", [BEFORE[0], BEFORE[5], *AFTER[::2], AFTER[5]])
def test_killed_then_resumed(shop: Shop, moment: int) -> None:
    """Killed around any step production is whole, and `resume` ends the run as if nothing had happened."""
    action = shop.restore()
    shop.dying(shop.plan(action), action, moment)
    whole(shop)
    [outcome] = shop.resume()
    assert outcome.status == "verified", outcome.doubts
    assert shop.content() == shop.then
    assert shop.everything()["logins"] == []
    assert shop.resume() == []


@pytest.mark.parametrize("moment", [AFTER[1], AFTER[2], AFTER[5], AFTER[6]])
def test_killed_then_undone(shop: Shop, moment: int) -> None:
    """Killed around any step, `undo` brings the live data and all around it back to the start."""
    action, before = shop.restore(), shop.everything()
    shop.dying(shop.plan(action), action, moment)
    whole(shop)
    outcome = shop.undo()
    assert outcome.exit_code == 0, outcome.doubts
    after = shop.everything()
    if after["shop__in"]:
        assert shop.mark("__in") == f"{RUN} undone", "only what was live is kept"
        after |= {"shop__in": b"", "schemas": before["schemas"]}
    assert after == before
    assert shop.resume() == [], "what was undone is not resumed"
