"""What the recovery tests share: an operator with an inventory of db01's database, and what is really so on db01.

Decides how the database and its copies are read from the hosts' consoles and compared. Leaves to others: the lab
itself, and every claim.
"""

from __future__ import annotations

import hashlib
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from tests.lab.contain import Console, Remedy, Said, common_vars, eventually, inventory

from remedy.lab import Lab, offsite, spoiling

DYING = str(Path(__file__).parent / "dying.py")
#: All copies, nearest first, and the host that keeps each.
COPIES = {"local": "db01", "building-b": "backup01", "off-site": "offsite"}
#: The exit codes these tests meet.
DONE, USAGE, CHANGES, PARTIAL, UNREACHABLE, UNVERIFIED, REFUSED, NO_BACKUP = 0, 2, 10, 20, 21, 22, 25, 27

#: The command as it is typed.
RESTORE = ("restore", "site", "--latest-valid", "--yes")
#: Without a safety backup it is a second quicker; its steps are 1 the empty schema, 2 the load, 3 the comparison, 4 the
#: mark, 5 the cut-over.
UNSAVED = ("--no-safety-backup", "what is live is ransom")

_DUMP = (
    *("mariadb-dump", "--single-transaction", "--routines", "--events", "--triggers", "--skip-comments"),
    *("--default-character-set=utf8mb4", "--order-by-primary"),
)
#: Everything of the server that a restore could leave behind, besides the schemas beside the live one.
_LEFT = """\
SELECT CONCAT('schema ', schema_name) FROM information_schema.schemata WHERE schema_name LIKE 'site\\_\\_%';
SELECT CONCAT('account ', user) FROM mysql.user WHERE user LIKE 'remedy%';
SELECT 'read-only' FROM DUAL WHERE @@GLOBAL.read_only;
SELECT 'no events' FROM DUAL WHERE @@GLOBAL.event_scheduler <> 'ON';
SELECT 'trust' FROM DUAL WHERE @@GLOBAL.log_bin_trust_function_creators;
SELECT 'privileges' FROM DUAL WHERE NOT @@GLOBAL.automatic_sp_privileges;
"""
_FILES_LEFT = "ls -d /run/remedy/* /run/remedy-swap.R* /etc/mysql/*/zz-remedy* /root/remedy* 2>/dev/null; :"
_PROGRAMS_LEFT = "pgrep -fa '/run/[r]emedy' | cut -c1-200; :"


@dataclass
class Site:
    """The site's database on db01, an operator who restores it, and the copies of its backups."""

    lab: Lab
    remedy: Remedy
    db: Console = field(init=False)
    started: list[subprocess.Popen[str]] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        """Nothing is asked yet."""
        self.db = Console(self.lab, "db01")

    def sql(self, statements: str, *options: str) -> list[str]:
        """What db01's server answers to root, one line a row."""
        argv = ["mariadb", "--batch", "--raw", "-N", "--default-character-set=utf8mb4", *options]
        status, out, err = self.lab.exec("db01", argv, statements.encode(), 60)
        assert status == 0, err.decode(errors="replace")
        return out.decode(errors="replace").splitlines()

    def dump(self, schema: str = "site", *options: str) -> str:
        """A schema as text: definitions and rows. What a dump cannot open fails the test."""
        status, out, err = self.lab.exec("db01", [*_DUMP, *options, schema], timeout=60)
        assert status == 0, err.decode(errors="replace")
        return out.decode("utf-8", "surrogateescape")

    def left(self) -> list[str]:
        """What is there besides an ordinary server with its database: schemas, accounts, settings, files, programs."""
        return [*self.sql(_LEFT), *self.db.sh(_FILES_LEFT).splitlines(), *self.db.sh(_PROGRAMS_LEFT).splitlines()]

    def files(self, copy: str) -> dict[str, str]:
        """The files of a copy, by name: the SHA-256 of each."""
        host = COPIES[copy]
        if host == "offsite":
            s3, found = offsite.client(), {}
            for entry in s3.list_objects_v2(Bucket=offsite.BUCKET, Prefix=offsite.PREFIX).get("Contents", ()):
                body = s3.get_object(Bucket=offsite.BUCKET, Key=entry["Key"])["Body"].read()
                found[entry["Key"].removeprefix(offsite.PREFIX)] = hashlib.sha256(body).hexdigest()
            return found
        folder = self.lab.root(host) / spoiling.FOLDERS[host].lstrip("/")
        files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
        return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    def newest(self, copy: str = "local") -> str:
        """The name of the newest nightly backup of a copy, as remedy calls it."""
        return max(name for name in self.files(copy) if name.endswith(".sql.zst")).removesuffix(".zst")

    def nights(self) -> list[str]:
        """The days of the nightly backups, as in their names."""
        names = (name for name in self.files("local") if name.endswith(".sql.zst"))
        return sorted(name.removeprefix("site-").removesuffix(".sql.zst") for name in names if name[5:7] == "20")

    def content(self, name: str, host: str = "db01") -> str:
        """A nightly backup's text."""
        stored = (self.lab.root(host) / spoiling.FOLDERS[host].lstrip("/") / f"{name}.zst").read_bytes()
        opened = subprocess.run(["zstd", "-dcq"], input=stored, check=True, capture_output=True).stdout
        return opened.decode("utf-8", "surrogateescape")

    def put(self, name: str, content: bytes, copy: str = "local", *, packed: bool = True, ago: int = 0) -> str:
        """Put a backup into a copy on a host, with its checksum; packed with zstd. Returns its name for remedy.

        `ago` lets its files look as if they had been written so many seconds ago, as an intruder can.
        """
        host = COPIES[copy]
        stored = subprocess.run(["zstd", "-qc"], input=content, check=True, capture_output=True).stdout
        folder, file = spoiling.FOLDERS[host], f"{name}.zst" if packed else name
        script = (
            'cat >"$1/$2.part" && mv "$1/$2.part" "$1/$2" && cd "$1" && sha256sum "$2" >"$2.sha256" && '
            'touch -d "@$3" "$2" "$2.sha256"'
        )
        Console(self.lab, host).sh(
            script, folder, file, str(int(time.time()) - ago), stdin=stored if packed else content
        )
        return name

    def page(self, path: str = "/") -> str:
        """What visitors of web01 see; the status when that is an error."""
        try:
            with urllib.request.urlopen(f"http://198.18.1.11{path}", timeout=5) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            return f"{error.code}"

    def restore(self, *words: str, timeout: float = 120) -> Said:
        """`remedy restore site --latest-valid`."""
        return self.remedy("restore", "site", "--latest-valid", *words, timeout=timeout)

    def dry(self, *words: str) -> dict[str, Any]:
        """What a dry-run with --json says of its choice; it has to be one that could be carried out."""
        said = self.restore("--dry-run", "--json", *words)
        assert said.code == CHANGES, (said.out[-2000:], said.err[-2000:])
        return dict(said.document["choice"])

    def rejected(self, choice: Mapping[str, Any]) -> dict[tuple[str, str], str]:
        """The kinds of rejection of a choice, by copy and backup."""
        return {(one["copy"], one["backup"]): one["kind"] for one in choice["rejected"]}

    def start(self, *words: str, wrapped: Sequence[str] = ()) -> subprocess.Popen[str]:
        """Begin `remedy restore site --latest-valid --yes` and do not wait."""
        self.started.append(self.remedy.start(*RESTORE, *words, wrapped=wrapped))
        return self.started[-1]

    def paused(self, entry: str, *words: str, when: str = "after") -> subprocess.Popen[str]:
        """A restore that has stopped itself at the entry "kind step" of its record; `go_on` lets it continue."""
        process = self.start(*words, wrapped=(DYING, entry, when, "SIGSTOP"))
        stat = Path(f"/proc/{process.pid}/stat")
        assert eventually(lambda: stat.read_text().rpartition(")")[2].split()[0] in {"T", "Z"}, 60)
        assert process.poll() is None, process.communicate()
        return process

    def go_on(self, process: subprocess.Popen[str], timeout: float = 120) -> Said:
        """Let a stopped restore go on to its end."""
        process.send_signal(signal.SIGCONT)
        return self.remedy.finish(process, timeout)

    def run(self) -> str:
        """The newest run that was approved."""
        return str(self.remedy.entries("approval")[-1]["run"])

    def sent(self, run: str) -> dict[str, dict[str, Any]]:
        """What the record says of each step that was sent in a run, by step."""
        return {e["body"]["step"]: e["body"] for e in self.remedy.entries("sent") if e["run"] == run}

    def reset(self) -> None:
        """The database and all copies as they were when the lab came up; no restore of ours is left, stopped or not."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.communicate()
        self.lab.writers_stop()
        self.lab.clear()
        self.lab.reset_database()


@dataclass
class Ruined(Site):
    """The site with its rows held to ransom, and what it looks like before and after a restore."""

    old: str = field(init=False)
    new: list[str] = field(init=False)

    def __post_init__(self) -> None:
        """Ruin it."""
        super().__post_init__()
        self.reset()
        self.new = rows(self.content(self.newest()))
        self.lab.ruin("db01", "rows")
        self.old = self.dump()

    def state(self) -> str:
        """Which data is live, "old" or "new"; anything else, or a server that does not take writes, is neither."""
        now = self.dump()
        writable = self.sql("SELECT @@GLOBAL.read_only") == ["0"]
        return (
            "neither" if not writable else "old" if now == self.old else "new" if rows(now) == self.new else "neither"
        )

    def is_whole(self) -> bool:
        """Whether it is the one or the other, within the moment that a cut-over takes to its end on its own."""
        return eventually(lambda: self.state() != "neither", 10)

    def killed(self, entry: str, when: str, *words: str, how: str = "SIGKILL") -> Said:
        """Run remedy until it is sent a signal at an entry of its record."""
        said = self.remedy(*words, wrapped=(DYING, entry, when, how))
        assert said.code == (-signal.SIGKILL if how == "SIGKILL" else 130), (entry, when, said.code, said.err)
        return said

    def undone(self, run: str) -> None:
        """Undo, drop what it keeps, and see that it is as it was before the restore."""
        said = self.remedy("undo", run, "--yes", "--json")
        assert (said.code, said.target["status"] in {"verified", "unchanged"}) == (DONE, True), said.err
        assert self.dump() == self.old
        assert self.left() in ([], ["schema site__in"])
        self.sql("DROP DATABASE IF EXISTS site__in")


def put_back(lab: Lab, *, store: bool = False) -> Iterator[Lab]:
    """Yield the lab, with `store` once the one off site answers; then put it back."""
    if store:
        assert eventually(lambda: lab.status()["hosts"]["offsite"]["services"]["s3"], 60)
    yield lab
    lab.writers_stop()
    lab.clear()
    lab.reset_database()


def database_inventory(lab: Lab, folder: Path, copies: Sequence[str] = ("local", "building-b"), **more: Any) -> Path:  # noqa: ANN401 -- any key
    """An inventory of db01's database with these copies of its backups; `more` are keys of the database itself."""
    text = (lab.inventory / "host_vars/db01.yml").read_text(encoding="utf-8")
    database = yaml.safe_load(text)["remedy_databases"]["site"]
    database["copies"] = [copy for copy in database["copies"] if copy["name"] in copies]
    database |= more
    status = lab.status()["hosts"]
    hosts: dict[str, dict[str, Any]] = {name: {"ansible_host": status[name]["v4"]} for name in ("web01", "backup01")}
    hosts["db01"] = {"ansible_host": status["db01"]["v4"], "remedy_databases": {"site": database}}
    return inventory(folder, hosts, common_vars(lab))


def operator(lab: Lab, folder: Path, copies: Sequence[str] = ("local", "building-b"), **more: Any) -> Remedy:  # noqa: ANN401 -- any key
    """An operator with an inventory and a record of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    return Remedy(database_inventory(lab, folder / "inventory", copies, **more), folder / "record.db")


def rows(dump: str) -> list[str]:
    """The lines of a dump that are rows, in any order."""
    return sorted(line.rstrip(",;") for line in dump.split("\n") if line.startswith("("))
