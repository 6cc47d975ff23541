"""Claims about carrying transfers: by their values, over SSH too, and what each end of a broken way means."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.transports.conftest import Sshd

from remedy.backups import transfers
from remedy.backups.ports import Store
from remedy.backups.transfers import Compare, Load, Take
from remedy.backups.values import Copy, Database
from remedy.core.errors import ConnectFailed, Interrupted, PlanFileError, Unreachable
from remedy.core.values import Target, Transfer
from remedy.transports.bulk import Bulk
from remedy.transports.folders import FolderShelf
from remedy.transports.guard import CONTROLLER, Sessions
from remedy.transports.transfers import Carrier

from .conftest import SITE, Server, backup_of, database, judge, nobody, quiet, reveal, unsealed, wait_for
from .test_load import Broken, slow


def carrier(bulk: Bulk, shelf: Store) -> Carrier:
    """Carries between this machine and one copy."""
    return Carrier(bulk, lambda _, __: shelf, unsealed, now=lambda: 1_795_154_400)


def loading(server: Server, shelf: FolderShelf) -> Load:
    """A dump of the site, to be loaded into an empty schema."""
    schema = server.schema(SITE)
    site = database(server, schema, shelf.copy)
    backup = backup_of(shelf, "dump.sql", server.dump(schema, "--net-buffer-length=8192"))
    judged = judge(shelf, site, backup)
    into = server.schema()
    return Load(site, shelf.copy, backup, judged.sha256, judged.contents, into, server.login(into))


def test_take_load_compare_by_their_values(bulk: Bulk, server: Server, shelf: FolderShelf) -> None:
    """All three go through a plan's text and a session, and answer canonical JSON with status 0."""

    def parse(_: str, __: object) -> None:
        return None

    def connect(target: Target) -> Any:  # noqa: ANN401 -- never called
        raise AssertionError(target)

    spec = loading(server, shelf)
    takes = Take(spec.database, (shelf.copy,), "taken")
    compares = Compare(spec.database, spec.contents, spec.into, spec.login)
    with Sessions(connect, nobody, parse, carry=carrier(bulk, shelf)) as session:
        answers = []
        for value in (takes, spec, compares):
            reply = session.carry(transfers.transfer(value), at=CONTROLLER, tell=quiet)
            assert (reply.status, reply.err) == (0, b"")
            answers.append(json.loads(reply.out))
    assert answers[0]["copies"] == {"near": "verified"}
    assert answers[0]["time"] == 1_795_154_400
    assert answers[1]["sha256"] == spec.sha256
    assert answers[1]["tables"] == answers[2]["equal"] == answers[2]["checked"] == 8


def test_a_refusal_is_a_status_with_one_sentence(bulk: Bulk, server: Server, shelf: FolderShelf) -> None:
    """What fails on the host or in the backup is status 1, one line of reason, and the result so far."""
    spec = replace(loading(server, shelf), sha256="0" * 64)
    reply = carrier(bulk, shelf)(transfers.transfer(spec), CONTROLLER, quiet)
    assert reply.status == 1
    assert b"is not the backup that was judged" in reply.err
    assert b"\n" not in reply.err
    assert json.loads(reply.out)["tables"] == 8
    wrong = replace(spec, into="no_such_schema")
    assert b"ERROR 104" in carrier(bulk, shelf)(transfers.transfer(wrong), CONTROLLER, quiet).err


def test_a_copy_out_of_reach_is_a_refusal_too(bulk: Bulk, server: Server, shelf: FolderShelf) -> None:
    """The way to the copy broke: the host's state is known, so it is no doubt."""
    spec = loading(server, shelf)
    reply = carrier(bulk, Broken(shelf.copy, bulk))(transfers.transfer(spec), CONTROLLER, quiet)
    assert (reply.status, reply.err) == (1, b"store02: the session broke")


def test_what_tell_raises_comes_out(bulk: Bulk, server: Server, shelf: FolderShelf) -> None:
    """Ctrl-C is no failure of the stream."""

    def interrupt(*_: object) -> None:
        raise Interrupted("Ctrl-C")

    with pytest.raises(Interrupted):
        carrier(bulk, shelf)(transfers.transfer(loading(server, shelf)), CONTROLLER, interrupt)


def test_what_is_no_transfer_is_refused(bulk: Bulk, shelf: FolderShelf) -> None:
    """A plan of another version, or an edited one."""
    with pytest.raises(PlanFileError):
        carrier(bulk, shelf)(Transfer("format", "{}"), CONTROLLER, quiet)
    with pytest.raises(PlanFileError):
        carrier(bulk, shelf)(Transfer("take", "{}"), CONTROLLER, quiet)


@pytest.fixture
def far(sshd: Sshd) -> Callable[[], Bulk]:
    """Programs on this machine, but by way of its sshd, as host db01."""
    server = sshd(bashrc="")
    target = replace(server.target, name="db01")
    return lambda: Bulk({"db01": target}.__getitem__, reveal)


def test_over_ssh(far: Callable[[], Bulk], server: Server, shelf: FolderShelf) -> None:
    """Taken, loaded and compared on a host that is reached by SSH."""
    spec = loading(server, shelf)
    with far() as bulk:
        for value in (
            Take(spec.database, (shelf.copy,), "taken"),
            spec,
            Compare(spec.database, spec.contents, spec.into, spec.login),
        ):
            reply = carrier(bulk, shelf)(transfers.transfer(value), "db01", quiet)
            assert reply.status == 0, reply.err


def test_a_cut_session_is_doubt_and_leaves_no_client(
    far: Callable[[], Bulk], bulk: Bulk, server: Server, shelf: FolderShelf
) -> None:
    """Ssh dies in the middle of a load: Unreachable names the host, and its clients end by themselves."""
    spec = loading(server, shelf)
    waiting = slow(shelf, bulk)

    def cut() -> None:
        wait_for(lambda: len(server.clients()) >= 2)
        for pid in _ssh_children():
            os.kill(pid, signal.SIGKILL)
        waiting.go_on.set()

    threading.Thread(target=cut, daemon=True).start()
    with far() as way, pytest.raises(Unreachable) as lost:
        carrier(way, waiting)(transfers.transfer(spec), "db01", quiet)
    assert lost.value.where == "db01"
    wait_for(lambda: not server.clients())


def test_a_host_that_was_never_reached_is_unreachable(server: Server, shelf: FolderShelf) -> None:
    """No way at all is Unreachable, not a refusal."""
    target = Target("db01", "127.0.0.1", 1)
    with Bulk(lambda _: target, reveal) as way, pytest.raises(ConnectFailed):
        carrier(way, shelf)(transfers.transfer(loading(server, shelf)), "db01", quiet)


def _ssh_children() -> list[int]:
    """The ssh programs that this process has started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name, _, rest = folder.joinpath("stat").read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue  # it has just ended
        if name == "ssh" and int(rest.split()[1]) == os.getpid():
            found.append(int(folder.name))
    return found


def test_stores_are_opened_by_database_and_copy(bulk: Bulk, server: Server, shelf: FolderShelf) -> None:
    """Which copy is read is that of the transfer."""
    asked: list[tuple[Database, Copy]] = []

    def opened(site: Database, copy: Copy) -> Store:
        asked.append((site, copy))
        return shelf

    spec = loading(server, shelf)
    assert Carrier(bulk, opened, unsealed)(transfers.transfer(spec), CONTROLLER, quiet).status == 0
    assert asked == [(spec.database, spec.copy)]
