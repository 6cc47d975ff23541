"""Which backup is taken, and why the others are not: across copies, by what is known of each, told and recorded."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.lab.contain import Console
from tests.lab.recover import CHANGES, COPIES, DONE, NO_BACKUP, PARTIAL, UNSAVED, USAGE, Site, operator, put_back

from remedy.lab import Lab, offsite, spoiling

pytestmark = pytest.mark.lab

_DAY = 24 * 60
#: What a client may send that only looks: mariadb-dump's snapshot and session settings included.
_ASKING = re.compile(
    r"(/\*.*?\*/ *;? *)?(select|show|use|start transaction|rollback|commit|(release )?savepoint|unlock tables|"
    r"set (session|sql_|names|@|option)|$)",
    re.IGNORECASE,
)


@pytest.fixture(scope="module")
def stored(lab: Lab) -> Iterator[Lab]:
    """The lab with its store off site, put back at the end of the module."""
    yield from put_back(lab, store=True)


@pytest.fixture
def site(stored: Lab, tmp_path: Path) -> Site:
    """The site as it was when the lab came up, and an operator with the copies on db01 and backup01."""
    made = Site(stored, operator(stored, tmp_path))
    made.reset()
    return made


@pytest.fixture
def far_site(stored: Lab, tmp_path: Path) -> Site:
    """The same, and an operator with all three copies."""
    made = Site(stored, operator(stored, tmp_path, tuple(COPIES)))
    made.reset()
    return made


def spoil_all(site: Site) -> None:
    """Turn bits in every backup of every copy."""
    for host in ("db01", "backup01"):
        script = (
            'cd "$1" && for f in *.zst; do printf "\\0\\377\\0\\377" | '
            'dd of="$f" bs=1 seek=$(($(stat -c %s "$f") / 2)) conv=notrunc status=none; done'
        )
        Console(site.lab, host).sh(script, spoiling.FOLDERS[host])
    s3 = offsite.client()
    for name in [name for name in site.files("off-site") if name.endswith(".zst")]:
        key = offsite.PREFIX + name
        body = s3.get_object(Bucket=offsite.BUCKET, Key=key)["Body"].read()
        for version in s3.list_object_versions(Bucket=offsite.BUCKET, Prefix=key)["Versions"]:
            s3.delete_object(Bucket=offsite.BUCKET, Key=version["Key"], VersionId=version["VersionId"])
        s3.put_object(Bucket=offsite.BUCKET, Key=key, Body=body[: len(body) // 2])


def test_a_newest_that_is_bad_here_is_taken_from_elsewhere(far_site: Site) -> None:
    """Corrupt in one copy the next copy gives it, in two the one off site, in all the next older one, its cost told."""
    newest = far_site.newest()
    older = sorted(name for name in far_site.files("local") if name.endswith(".zst"))[-2].removesuffix(".zst")
    before = {copy: far_site.files(copy) for copy in COPIES}
    live = far_site.dump()

    far_site.lab.fault("backup-flip", "db01")
    choice = far_site.dry()
    assert (choice["chosen"]["backup"], choice["chosen"]["copy"]) == (newest, "building-b")
    assert far_site.rejected(choice) == {("local", newest): "corrupt"}
    assert choice["rejected"][0]["minutes_lost"] == 0

    far_site.lab.fault("backup-cut", "backup01")
    choice = far_site.dry()
    assert (choice["chosen"]["backup"], choice["chosen"]["copy"]) == (newest, "off-site")
    assert far_site.rejected(choice) == {("local", newest): "corrupt", ("building-b", newest): "corrupt"}

    far_site.lab.fault("backup-replace", "offsite")
    choice = far_site.dry()
    assert (choice["chosen"]["backup"], choice["chosen"]["copy"]) == (newest, "off-site"), "an older version of it"

    far_site.lab.clear("offsite")
    s3 = offsite.client()
    key = f"{offsite.PREFIX}{newest}.zst"
    for version in s3.list_object_versions(Bucket=offsite.BUCKET, Prefix=key)["Versions"]:
        s3.delete_object(Bucket=offsite.BUCKET, Key=version["Key"], VersionId=version["VersionId"])
    choice = far_site.dry()
    assert (choice["chosen"]["backup"], choice["chosen"]["copy"]) == (older, "local")
    assert min(one["minutes_lost"] for one in choice["rejected"]) >= _DAY, "what cannot be read does not tell its time"
    said = far_site.restore("--dry-run")
    assert said.code == CHANGES
    assert re.search(
        rf"passed over {newest} in local: corrupt, .* \(up to 1 d [0-9]+ h of data more are lost\)", said.out
    )

    far_site.lab.clear()
    far_site.lab.reset_database()
    assert {copy: far_site.files(copy) for copy in COPIES} == before
    assert far_site.dump() == live


def test_every_backup_of_every_copy_is_bad(far_site: Site) -> None:
    """Nothing is touched, with an exit code of its own, and the operator is sent to the vendor's support."""
    far_site.lab.ruin("db01", "rows")
    spoil_all(far_site)
    before, copies = far_site.dump(), {copy: far_site.files(copy) for copy in COPIES}
    said = far_site.restore("--yes", "--json")
    assert (said.code, said.target["error"]["kind"]) == (NO_BACKUP, "NoValidBackup"), said.err
    assert "vendor" in said.target["error"]["hint"]
    assert "--accept" not in said.target["error"]["hint"], "nothing would do"
    choice = said.document["choice"]
    assert choice["chosen"] is None
    assert set(far_site.rejected(choice).values()) == {"corrupt"}
    assert len(choice["rejected"]) == 9
    assert all(one["reason"] for one in choice["rejected"])
    assert far_site.dump() == before
    assert {copy: far_site.files(copy) for copy in COPIES} == copies
    assert far_site.left() == []
    assert len(far_site.remedy.entries("backup-rejected")) == 9
    assert far_site.remedy.entries("refusal")[-1]["body"]["exit_code"] == NO_BACKUP


def test_absent_corrupt_and_unreachable_are_told_apart(far_site: Site) -> None:
    """A copy that is off, one without the backup and one with a damaged one are three things; the older one is taken."""  # noqa: E501 -- one sentence
    newest = far_site.newest()
    far_site.lab.fault("backup-delete", "db01")
    far_site.lab.fault("backup-cut", "backup01")
    far_site.lab.fault("power-off", "offsite")
    choice = far_site.dry()
    assert far_site.rejected(choice) == {
        ("local", newest): "absent",
        ("building-b", newest): "corrupt",
        ("off-site", ""): "unreachable",
    }
    assert choice["chosen"]["copy"] == "local"


def later(site: Site, text: str) -> bytes:
    """A dump that says of itself that it was completed a minute ago."""
    moment = site.db.sh("date -u -d '1 minute ago' '+%Y-%m-%d %k:%M:%S'").strip()
    head, _, _ = text.rpartition("-- Dump completed on ")
    return f"{head}-- Dump completed on {moment}\n".encode("utf-8", "surrogateescape")


def test_a_backup_that_does_not_load_gives_way_to_the_next(site: Site) -> None:
    """Valid to the eye, refused by the server: told, remembered, and the next one restored by the same command."""
    newest = site.newest()
    text = site.content(newest)
    row = next(line for line in text.split("\n") if line.startswith("('SP-"))
    twice = text.replace(row, f"{row.rstrip(',;')},\n{row}", 1)
    made = later(site, twice)
    bad = site.put("site-2026-11-20-noon.sql", made)
    site.put(bad, made, "building-b")
    site.lab.ruin("db01", "rows")
    said = site.restore("--yes", "--json", *UNSAVED)
    assert said.code == DONE, said.err
    first, second = said.document["targets"]
    assert (first["status"], second["status"]) == ("failed", "verified")
    assert "Duplicate entry" in first["doubts"][0]
    choice = said.document["choice"]
    assert choice["chosen"]["backup"] == newest
    assert "Duplicate entry" in next(one["reason"] for one in choice["rejected"] if one["copy"] == "local")
    assert site.rejected(choice)["building-b", bad] == "unfit", "the same bytes are not tried from another copy"
    assert site.left() == ["schema site__undo"]
    verdicts = [one["body"] for one in site.remedy.entries("backup-verdict") if one["body"]["backup"] == bad]
    (proof,) = [one["judgement"] for one in verdicts if one["proof"]]
    assert [finding["code"] for finding in proof["findings"]] == ["restore-failed"]
    assert site.remedy("release", "site", "--yes").code == DONE
    moment = made.decode("utf-8", "replace").rpartition("Dump completed on ")[2]
    assert site.rejected(site.dry("--at", moment))["local", bad] == "unfit", "it is not tried again"


def test_which_backup_can_be_said(site: Site) -> None:
    """A time, a copy and an accepted finding narrow the search; what was never read is not known without reading."""
    newest = site.newest()
    said = site.restore("--dry-run", "--no-check", "--json")
    assert said.code == NO_BACKUP
    assert "6 were not read" in said.target["error"]["message"]
    assert len(said.document["choice"]["unread"]) == 6
    chosen = site.dry("--from", "building-b")["chosen"]
    assert (chosen["backup"], chosen["copy"]) == (newest, "building-b")
    choice = site.dry("--no-check")
    assert (choice["chosen"]["backup"], choice["chosen"]["copy"]) == (newest, "building-b"), "what is known is enough"
    night = newest.removeprefix("site-").removesuffix(".sql")
    assert site.dry("--at", f"{night} 01:59")["chosen"]["backup"] < newest
    assert site.dry("--at", f"{night} 03:00 +0100")["chosen"]["backup"] == newest

    text = site.content(newest)
    begin = text.index("INSERT INTO `orders`")
    name = site.put("site-2026-11-20-noon.sql", later(site, text[:begin] + text[text.index(";\n", begin) + 2 :]))
    choice = site.dry()
    assert choice["chosen"]["backup"] == newest
    (reason,) = [one["reason"] for one in choice["rejected"] if one["kind"] == "unfit"]
    assert "orders" in reason
    assert site.dry("--accept", "shrunken")["chosen"]["backup"] == name
    none = site.restore("--dry-run", "--from", "local", "--at", "2020-01-01 00:00", "--json")
    assert none.code == NO_BACKUP
    assert "none is of the time" in none.target["error"]["message"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("nosite", "--latest-valid"), "nosite"),
        (("site",), "--latest-valid"),
        (("site", "--latest-valid", "--from", "moon"), "local, building-b"),
        (("site", "--latest-valid", "--safety-copy", "moon"), "local, building-b"),
        (("site", "--latest-valid", "--at", "yesterday"), "2026-11-19 18:00"),
        (("site", "--latest-valid", "--no-check", "--yes"), "--dry-run"),
        (("site", "--latest-valid", "--clients", "0"), "--clients"),
    ],
)
def test_what_cannot_be_understood(site: Site, words: tuple[str, ...], told: str) -> None:
    """An unknown database, copy or time is a usage error that says what there is; nobody is asked anything."""
    said = site.remedy("restore", *words)
    assert said.code == USAGE, said.err
    assert told in said.err
    document = json.loads(site.remedy("restore", *words, "--json").out)
    assert document["exit_code"] == USAGE
    assert not site.remedy.record.exists() or not site.remedy.entries("incident-open", "backup-verdict")


def test_a_dry_run_touches_nothing(site: Site) -> None:
    """The server is only asked, no file of any copy or host changes, and the plan names the account, steps and space."""  # noqa: E501 -- one sentence
    site.lab.ruin("db01", "rows")
    site.sql("SET GLOBAL general_log_file='/tmp/general.log'; SET GLOBAL general_log=ON;")
    listing = "find / -xdev -newer /run/mark -type f ! -path '/proc/*' ! -path '/tmp/*' ! -path '/var/l*/my*' ! -path '/var/log/*'; :"  # noqa: E501
    hosts = [Console(site.lab, name) for name in ("db01", "backup01", "web01")]
    for host in hosts:
        host.sh(": >/run/mark")
    before, copies = site.dump(), {copy: site.files(copy) for copy in COPIES}
    from_here = int(site.db.sh("wc -l </tmp/general.log"))
    said = site.restore("--dry-run", "--hold-writes", "--json")
    log = site.db.sh('tail -n "+$1" /tmp/general.log', str(from_here + 1))
    site.sql("SET GLOBAL general_log=OFF")
    assert said.code == CHANGES, said.err
    statements = re.findall(r"\t *\d+ (?:Query|Execute|Prepare)\t(.*)", log)
    assert len(statements) > 10
    assert [line for line in statements if not _ASKING.match(line.strip())] == []
    assert [host.sh(listing) for host in hosts] == ["", "", ""]
    assert site.left() == []
    assert site.dump() == before
    assert {copy: site.files(copy) for copy in COPIES} == copies
    steps = [step["why"] for step in said.target["steps"]]
    assert [step for step in steps if "stop site on web01" in step]
    assert {entry["kind"] for entry in site.remedy.entries() if entry["run"]} == {"backup-chosen", "dry-run"}


def test_writers_are_held_and_let_go(site: Site) -> None:
    """With --hold-writes running units stop before the cut-over and start again, also when the cut-over is refused."""
    web = Console(site.lab, "web01")
    site.lab.ruin("db01", "rows")

    def running(unit: str) -> bool:
        return site.lab.exec("web01", ["service", unit, "status"])[0] == 0

    process = site.paused("sent 6", "--hold-writes", "--json")
    assert not running("site")
    site.sql("CREATE VIEW site.meanwhile AS SELECT 1")
    before = site.dump()
    said = site.go_on(process)
    assert said.code == PARTIAL, said.err
    assert "changed since the plan" in said.target["doubts"][0]
    assert running("site")
    assert not running("till"), "it was at rest before"
    assert site.left() == []
    assert site.dump() == before
    assert web.page().startswith("HTTP/1.0 200")

    said = site.restore("--hold-writes", "--yes", "--jsonl")
    assert said.code == DONE, said.err
    assert running("site")
    assert "应急演练" in site.page()
    lines = [json.loads(line) for line in said.out.splitlines()]
    assert {line["event"] for line in lines[:-1]} >= {"phase", "step", "reply", "verdict", "outcome"}
    assert [line["text"] for line in lines if line.get("event") == "step" and "stop site" in line["text"]]
    assert (lines[-1]["command"], lines[-1]["exit_code"]) == ("restore", DONE)
    assert site.remedy("undo", site.run(), "--yes").code == DONE
    assert running("site")
    assert site.dump() == before
