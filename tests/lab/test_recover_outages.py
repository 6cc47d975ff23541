"""Hosts, servers and links fail in the middle of a restore: it goes on, or ends with the truth and the way on."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.lab.contain import Console, eventually
from tests.lab.recover import COPIES, DONE, PARTIAL, UNREACHABLE, UNSAVED, Ruined, operator, put_back

from remedy.lab import Lab

pytestmark = pytest.mark.lab

#: A client of the server that waits before it sends the text of the cut-over that /var/stop-at names.
_WAITING = r"""#!/bin/sh
case "$(readlink /proc/$$/fd/0)" in
*/"$(cat /var/stop-at)") : >/run/now; while [ ! -e /run/go ]; do sleep 0.05; done ;;
esac
exec /usr/bin/mariadb "$@"
"""
#: A dd that gives some of what it reads, and then nothing for a long time.
_HALTING = r"""#!/bin/sh
/usr/bin/dd "$@" | { head -c 200000; : >/run/now; sleep 60; cat; }
"""


@pytest.fixture(scope="module")
def calm(lab: Lab) -> Iterator[Lab]:
    """The lab, put back at the end of the module."""
    yield from put_back(lab)


@pytest.fixture
def site(calm: Lab, tmp_path: Path) -> Iterator[Ruined]:
    """The ruined site, and an operator who has the copies on db01 and backup01."""
    made = Ruined(calm, operator(calm, tmp_path))
    yield made
    calm.clear()
    made.db.sh("rm -f /usr/local/bin/mariadb /var/stop-at")
    made.reset()


def wait_before(site: Ruined, text: str) -> None:
    """From now on a cut-over on db01 waits before it sends that text."""
    site.db.sh(
        'echo "$1" >/var/stop-at; rm -f /run/now /run/go; cat >/usr/local/bin/mariadb; chmod 755 /usr/local/bin/mariadb',  # noqa: E501
        text,
        stdin=_WAITING.encode(),
    )


def waits(site: Ruined) -> bool:
    """Whether it waits, within 30 s."""
    return eventually((site.lab.root("db01") / "run/now").exists, 30)


def test_power_is_lost_within_the_cut_over(site: Ruined) -> None:
    """Wherever db01 loses its power in it, writes stay held after the boot, and resume brings it to its end."""
    process = site.paused("intent 5", *UNSAVED)
    wait_before(site, "freeze")
    process.send_signal(signal.SIGCONT)
    assert waits(site)
    site.lab.fault("power-cycle", "db01")
    said = site.remedy.finish(process)
    run = site.run()
    assert said.code == UNREACHABLE, said.err
    assert f"remedy resume {run}" in said.err
    for text in ("move.sql", "new", "thaw"):
        assert site.sql("SELECT @@GLOBAL.read_only") == ["1"], "the server that came back is held"
        wait_before(site, text)
        process = site.remedy.start("resume")
        assert waits(site), text
        process.kill()
        process.communicate()
        site.lab.fault("power-cycle", "db01")
    site.db.sh("rm /usr/local/bin/mariadb")
    resumed = site.remedy("resume", "--json")
    assert (resumed.code, resumed.target["status"]) == (DONE, "verified"), resumed.err
    assert site.state() == "new"
    assert site.left() == ["schema site__undo"]
    site.undone(run)


def test_the_session_breaks_within_the_cut_over(site: Ruined) -> None:
    """It runs to its end on the host; who resumes meanwhile waits for it, and finds it done."""
    process = site.paused("intent 5", *UNSAVED)
    wait_before(site, "new")
    process.send_signal(signal.SIGCONT)
    assert waits(site)
    site.db.sh("pkill -f '[s]shd: root'")
    said = site.remedy.finish(process)
    assert said.code == UNREACHABLE, said.err
    assert f"remedy resume {site.run()}" in said.err
    resuming = site.remedy.start("resume", "--json")
    site.db.sh("rm /usr/local/bin/mariadb")
    site.db.sh("sleep 1; touch /run/go")
    resumed = site.remedy.finish(resuming)
    assert (resumed.code, resumed.target["status"]) == (DONE, "verified"), resumed.err
    assert site.state() == "new"
    assert site.left() == ["schema site__undo"]
    site.undone(site.run())


@pytest.mark.parametrize("moment", ["put 20", "dump 5"])
def test_power_is_lost_while_it_loads_and_compares(site: Ruined, moment: str) -> None:
    """The backup is not blamed for it, nothing of production was touched, and the same backup is restored next."""
    backup = site.newest()
    process = site.paused(moment, *UNSAVED)
    site.lab.fault("power-cycle", "db01")
    said = site.go_on(process)
    assert said.code in {PARTIAL, UNREACHABLE}, said.err
    assert site.state() == "old"
    if said.code == UNREACHABLE:
        assert site.remedy("undo", site.run(), "--yes").code == DONE
    assert site.left() == []
    assert not [one for one in site.remedy.entries("backup-verdict") if one["body"]["judgement"]["findings"]]
    again = site.restore("--yes", "--json", *UNSAVED)
    assert again.code == DONE, again.err
    assert again.document["choice"]["chosen"]["backup"] == backup
    assert site.state() == "new"


def test_the_server_is_restarted_while_it_loads(site: Ruined) -> None:
    """It ends as partial with the server to blame, leaves nothing behind, and no older backup is taken for it."""
    backup = site.newest()
    process = site.paused("put 20", *UNSAVED)
    site.db.sh("service mariadb restart >/dev/null 2>&1")
    said = site.go_on(process)
    assert said.code == PARTIAL, said.err
    assert "ERROR 20" in said.err
    assert len(site.remedy.entries("plan")) == 1, "nothing else was tried"
    assert site.state() == "old"
    assert site.left() == []
    again = site.restore("--yes", "--json", *UNSAVED)
    assert again.code == DONE, again.err
    assert again.document["choice"]["chosen"]["backup"] == backup


def test_the_link_is_cut_for_moments(site: Ruined) -> None:
    """A cable that is out for two seconds while it loads, and again at the cut-over, does not matter."""
    process = site.paused("put 20", *UNSAVED)
    site.lab.fault("link-cut", "db01")
    process.send_signal(signal.SIGCONT)
    site.db.sh("sleep 2")
    site.lab.clear("db01")
    said = site.remedy.finish(process)
    assert said.code == DONE, said.err
    assert site.state() == "new"
    site.undone(site.run())


def test_the_copy_is_lost_while_it_loads(calm: Lab, tmp_path: Path) -> None:
    """A copy whose host loses its power half-way is passed over for another copy of the same backup."""
    site = Ruined(calm, operator(calm, tmp_path, tuple(COPIES)))
    backup, second = site.newest(), Console(site.lab, "backup01")
    site.lab.fault("backup-flip", "db01")
    process = site.paused("intent 2", "--json", *UNSAVED)
    second.sh("cat >/usr/local/bin/dd; chmod 755 /usr/local/bin/dd", stdin=_HALTING.encode())
    process.send_signal(signal.SIGCONT)
    assert eventually((site.lab.root("backup01") / "run/now").exists, 30)
    site.lab.fault("power-cycle", "backup01")
    second.sh("rm /usr/local/bin/dd")
    said = site.remedy.finish(process)
    site.reset()
    assert said.code == DONE, said.err
    assert [one["status"] for one in said.document["targets"]] == ["failed", "verified"]
    choice = said.document["choice"]
    assert (choice["chosen"]["backup"], choice["chosen"]["copy"]) == (backup, "off-site")
    assert site.rejected(choice) == {("local", backup): "corrupt", ("building-b", backup): "unreachable"}
