"""When signatures go off site: at the end of commands, never in their way, and nothing is lost when it fails."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.worlds import children
from tests.worlds.s3 import client, free_port, service

from .conftest import Console

PLACES = """\
    remedy_offsite:
      - {name: city-b, endpoint: "URL", bucket: records, prefix: remedy/, days: 30,
         access_key: {env: OFFSITE_KEY}, secret_key: {env: OFFSITE_SECRET}}
"""
INVENTORY = f"all:\n  vars:\n{PLACES}  hosts: {{web01: {{ansible_host: 127.0.0.77, ansible_user: root}}}}\n"
REMEDY = "from remedy.cli.main import run; run()"


@pytest.fixture
def port() -> int:
    """Where the service listens, once it does."""
    return free_port()


@pytest.fixture
def desk(bare: Console, port: int, monkeypatch: pytest.MonkeyPatch) -> Console:
    """A console with a place off site that nobody answers for yet."""
    monkeypatch.setenv("OFFSITE_KEY", "AKIAEXAMPLE")
    monkeypatch.setenv("OFFSITE_SECRET", "offsite-secret")
    bare.inventory.write_text(INVENTORY.replace("URL", f"http://127.0.0.1:{port}"))
    return bare


@pytest.fixture
def serve(port: int) -> Iterator[Callable[[], Any]]:
    """Starts the service and gives a client of somebody else."""
    stack: list[Any] = []

    def started() -> Any:  # noqa: ANN401 -- boto3
        running = service(port)
        url = running.__enter__()
        s3 = client(url)
        stack.extend((s3, running))
        s3.create_bucket(Bucket="records", ObjectLockEnabledForBucket=True)
        return s3

    yield started
    if stack:
        stack[0].close()
        stack[1].__exit__(None, None, None)


@pytest.fixture
def hole(port: int) -> Iterator[None]:
    """Takes connections and never answers."""
    with socket.create_server(("127.0.0.1", port), backlog=64):
        yield


def stored(s3: Any) -> list[str]:  # noqa: ANN401 -- boto3
    """The names of all objects, every version, without the record's id."""
    found = s3.list_object_versions(Bucket="records").get("Versions", [])
    return sorted(entry["Key"].split("/")[2][:8] for entry in found)


def off_site(desk: Console) -> dict[str, Any]:
    """What `incident list` says of the one place."""
    [found] = desk("incident", "list", "--json").document["off_site"]
    assert isinstance(found, dict)
    return found


def test_sent_at_the_end_of_a_command(desk: Console, serve: Callable[[], Any]) -> None:
    """A command that signs sends what it signed, once; what cannot be sent waits and is shown, with exit code 0."""
    name = desk("incident", "open", "defaced").out.strip()
    said = desk("incident", "close", name)
    assert said.code == 0
    assert "1 checkpoint is not there yet" in said.err
    assert "incident checkpoint --send" in said.err
    found = off_site(desk)
    assert (found["missing"], found["newest"], found["kept"]) == (1, 0, None)
    assert "cannot be reached" in found["error"]
    assert "1 of 1 are not" in desk("incident", "verify").out
    s3 = serve()
    said = desk("incident", "checkpoint", "--send")
    assert (said.code, stored(s3)) == (0, ["00000001"])
    found = off_site(desk)
    assert (found["missing"], found["newest"], found["error"], found["lock_seen"]) == (0, 1, None, True)
    name = desk("incident", "open", "again").out.strip()
    said = desk("incident", "close", name)
    assert said.err.count("off site") == 0
    assert stored(s3) == ["00000001", "00000002"]
    desk("incident", "checkpoint", "--send")
    assert stored(s3) == ["00000001", "00000002"]


def test_place_that_never_answers(desk: Console, hole: None) -> None:  # noqa: ARG001 -- its effect counts
    """A place that hangs costs one command a few seconds and the next ones nothing; all of them end as they would."""
    name = desk("incident", "open", "defaced").out.strip()
    began = time.monotonic()
    assert desk("incident", "close", name).code == 0
    assert time.monotonic() - began < 40
    found = off_site(desk)
    assert (found["missing"], found["error"]) == (1, "it was not done within 5 s")
    name = desk("incident", "open", "again").out.strip()
    said = desk("incident", "close", name)
    assert said.code == 0
    assert "2 checkpoints are not there yet" in said.err
    assert off_site(desk)["tried"] == found["tried"], "it was left alone"


def test_any_command_sends_what_is_left(desk: Console, serve: Callable[[], Any]) -> None:
    """A minute after a place did not answer, whatever command comes next sends what is left, and says nothing of it."""
    name = desk("incident", "open", "defaced").out.strip()
    desk("incident", "close", name)
    assert off_site(desk)["missing"] == 1
    s3 = serve()
    assert desk("incident", "note", name, "too soon").err.count("off site") == 0
    assert stored(s3) == []
    memory = desk.record.with_name("record.db.offsite") / "city-b.json"
    memory.write_text(memory.read_text().replace(off_site(desk)["tried"], "2026-01-01T00:00:00.000000Z"))
    assert desk("incident", "note", name, "a minute later").err.count("off site") == 0
    assert stored(s3) == ["00000001"]
    assert off_site(desk)["missing"] == 0


def test_newest_first_then_what_was_left_out(desk: Console, serve: Callable[[], Any]) -> None:
    """After a time without the place, everything that was signed meanwhile gets there, each once."""
    for number in range(5):
        desk("incident", "close", desk("incident", "open", f"incident {number}").out.strip())
    s3 = serve()
    assert desk("incident", "checkpoint", "--send").code == 0
    assert stored(s3) == [f"0000000{number}" for number in range(1, 6)]
    arrived = {
        entry["Key"].split("/")[2][:8]: entry["LastModified"]
        for entry in s3.list_objects_v2(Bucket="records")["Contents"]
    }
    assert arrived["00000005"] <= arrived["00000001"]


def test_killed_while_sending(desk: Console, serve: Callable[[], Any]) -> None:
    """Killed at any moment of sending, nothing is lost and nothing is there twice; the next command goes on."""
    for number in range(12):
        desk("incident", "close", desk("incident", "open", f"incident {number}").out.strip())
    s3 = serve()
    argv = [sys.executable, "-c", REMEDY, "-i", str(desk.inventory), "--record", str(desk.record)]
    for step in range(1, 7):
        with children.child([*argv, "incident", "checkpoint", "--send"], stdout=subprocess.DEVNULL) as process:
            until = time.monotonic() + 30
            while len(stored(s3)) < 2 * step and process.poll() is None and time.monotonic() < until:
                time.sleep(0.002)
            process.send_signal(signal.SIGKILL)
        assert len(stored(s3)) == len(set(stored(s3)))
    assert desk("incident", "checkpoint", "--send").code == 0
    assert stored(s3) == [f"{number:08d}" for number in range(1, 13)]
    assert desk("incident", "verify", "--against", "city-b").code == 0


def test_what_is_known_to_be_sent_is_lost(desk: Console, serve: Callable[[], Any]) -> None:
    """Without the memory of what was sent all of it is sent again, and nothing is overwritten."""
    s3 = serve()
    for number in range(3):
        desk("incident", "close", desk("incident", "open", f"incident {number}").out.strip())
    assert stored(s3) == ["00000001", "00000002", "00000003"]
    memory = desk.record.with_name("record.db.offsite") / "city-b.json"
    for damage in (memory.unlink, lambda: memory.write_text('{"through": "x"'), lambda: memory.write_text("[]")):
        damage()
        assert off_site(desk)["missing"] == 3
        assert desk("incident", "checkpoint", "--send").code == 0
        assert stored(s3) == ["00000001", "00000002", "00000003"]
        assert off_site(desk)["missing"] == 0


def test_end_of_a_key_is_sent(desk: Console, serve: Callable[[], Any]) -> None:
    """The end of a key goes off site with the next checkpoint, as an object of its own."""
    s3 = serve()
    desk("incident", "close", desk("incident", "open", "broken into").out.strip())
    assert desk("incident", "key", "--stolen", "adm1 was broken into").code == 0
    assert stored(s3) == ["00000001", "00000002", "key-0000"]


def test_several_places(desk: Console, serve: Callable[[], Any]) -> None:
    """Each place is sent to by itself: one that is gone does not keep another from being complete."""
    s3 = serve()
    s3.create_bucket(Bucket="second", ObjectLockEnabledForBucket=True)
    text = desk.inventory.read_text()
    entry = text[text.index("      - {name") : text.index("  hosts")]
    second = entry.replace("city-b", "city-c").replace("bucket: records", "bucket: second")
    gone = entry.replace("city-b", "gone").replace('endpoint: "http://127.0.0.1:', 'endpoint: "http://127.0.0.77:')
    desk.inventory.write_text(text.replace(entry, entry + second + gone))
    desk("incident", "close", desk("incident", "open", "defaced").out.strip())
    said = desk("incident", "checkpoint", "--send", "--json")
    assert {one["place"]: one["missing"] for one in said.document["off_site"]} == {"city-b": 0, "city-c": 0, "gone": 1}
    assert said.code == 20
    assert desk("incident", "verify", "--against", "city-c", "--against", "city-b").code == 0


def test_bucket_without_locks(desk: Console, serve: Callable[[], Any]) -> None:
    """A bucket that locks nothing never counts as a copy, and the message says what to do."""
    s3 = serve()
    s3.create_bucket(Bucket="plain-one")
    desk.inventory.write_text(desk.inventory.read_text().replace("bucket: records", "bucket: plain-one"))
    desk("incident", "close", desk("incident", "open", "defaced").out.strip())
    found = off_site(desk)
    assert found["missing"] == 1
    assert "make the bucket with Object Lock" in found["error"]


def test_secrets_stay_secret(desk: Console, serve: Callable[[], Any]) -> None:
    """Neither the keys nor their values are in anything that is said or remembered."""
    serve()
    desk("incident", "close", desk("incident", "open", "defaced").out.strip())
    said = desk("incident", "checkpoint", "--send", "--json")
    memory = b"".join(path.read_bytes() for path in desk.record.parent.rglob("*") if path.is_file())
    assert "offsite-secret" not in said.out + said.err
    assert b"offsite-secret" not in memory


def test_broken_inventory_is_in_nobodys_way(desk: Console) -> None:
    """With a broken inventory incidents are opened, closed and listed, and verified by whoever names the key."""
    desk.inventory.write_text(": [")
    name = desk("incident", "open", "defaced").out.strip()
    assert name.startswith("INC-")
    said = desk("incident", "close", name)
    assert said.code == 0
    assert "not valid YAML" in said.err
    assert desk("incident", "list").code == 0
    assert desk("incident", "verify", "--key", desk("incident", "key", "--json").document["key"]).code == 0
    assert desk("incident", "verify").code == 2


def test_isolation_is_not_held_up(console: Console, monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """With a place that cannot be reached, a host is isolated as without one, and the warning names the way on."""
    monkeypatch.setenv("OFFSITE_KEY", "AKIAEXAMPLE")
    monkeypatch.setenv("OFFSITE_SECRET", "offsite-secret")
    plain = console("isolate", "web01", "--yes", "--json")
    assert console("release", "web01", "--yes", "-q").code in {0, 22}
    own = console.folder / "with-a-place.yml"
    text = console.inventory.read_text().replace("  vars:\n", f"  vars:\n{PLACES}", 1)
    own.write_text(text.replace("URL", f"http://127.0.0.1:{port}"))
    before, console.inventory = console.inventory, own
    said = console("isolate", "web01", "--yes", "--json")
    assert said.code == plain.code
    assert said.target["status"] == plain.target["status"]
    assert "not there yet" in said.err
    assert "is not there yet" not in plain.err
    console.inventory = before
