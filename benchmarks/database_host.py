"""A database host of our own: mariadbd and sshd in namespaces of this process, an inventory that leads remedy there.

Decides what everybody restores into, and what counts as restored: every table holds as many rows as the one that was
backed up. The process has to be root in a network and a mount namespace of its own (`restore` sees to that): /run and
/etc/mysql are covered, sshd listens on the loopback of this namespace, and nothing of the machine is changed.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from benchmarks.estate import BrokenRun

PYTHON: Final = sys.executable
#: What a server for a database of some gigabytes has; all else is MariaDB's default. The binary log is on.
OPTIONS: Final = (
    *("--skip-networking", "--innodb-buffer-pool-size=2G", "--innodb-log-file-size=1G", "--max-allowed-packet=64M"),
    *("--character-set-server=utf8mb4", "--event-scheduler=ON", "--server-id=1", "--log-bin=binlog"),
)
NAME: Final = "db01"
SCHEMA: Final = "site"
_SCHEMAS: Final = (SCHEMA, f"{SCHEMA}__in", f"{SCHEMA}__undo")
_PATIENCE: Final = 60.0
_CHARSET: Final = "--default-character-set=utf8mb4"


@dataclass(slots=True)
class DatabaseHost:
    """The host. `folder` is on a disk with room for some five times the database."""

    folder: Path
    server: subprocess.Popen[bytes] | None = None
    rows: dict[str, int] = field(default_factory=dict)
    records: int = 0

    @property
    def login(self) -> tuple[str, ...]:
        """Options of the native clients."""
        return ("--no-defaults", f"--socket={self.folder}/s", "--user=root")

    @property
    def inventory(self) -> Path:
        """Where remedy finds the host: databases `site-plain`, `site-gz`, `site-zst`, each with the copy of that name.

        All are the schema `site`.
        """
        return self.folder / "inventory.yml"

    def copy(self, name: str) -> Path:
        """The folder of a copy."""
        return self.folder / "copies" / name

    def new_record(self) -> str:
        """A record in which no backup was judged yet."""
        self.records += 1
        return str(self.folder / f"record-{self.records}" / "record.db")

    def sql(self, statements: str) -> list[list[str]]:
        """What the server answers to root. Raises BrokenRun with what it says."""
        argv = ["mariadb", *self.login, "--batch", "--skip-column-names", _CHARSET]
        done = subprocess.run(argv, input=statements.encode(), capture_output=True, check=False, timeout=300)
        if done.returncode:
            raise BrokenRun(done.stderr.decode("utf-8", "replace")[-500:])
        return [line.split("\t") for line in done.stdout.decode("utf-8", "replace").splitlines()]

    def count(self, schema: str = SCHEMA) -> dict[str, int]:
        """The rows of every table."""
        tables = [row[0] for row in self.sql(f"SHOW FULL TABLES FROM `{schema}` WHERE table_type='BASE TABLE'")]
        counts = self.sql("".join(f"SELECT COUNT(*) FROM `{schema}`.`{name}`;\n" for name in tables))  # noqa: S608 -- ours
        return {name: int(row[0]) for name, row in zip(tables, counts, strict=True)}

    def require_restored(self, schema: str = SCHEMA) -> None:
        """Raise BrokenRun unless all rows are there."""
        if (found := self.count(schema)) != self.rows:
            wrong = sorted(name for name, rows in self.rows.items() if found.get(name) != rows)
            raise BrokenRun(f"{schema} is not what was backed up: {wrong[:5]}, {sorted(found.keys() - self.rows)[:5]}")

    def empty(self, *, make: bool = True) -> None:
        """Drop what was restored, and the binary log of it; `make` an empty schema."""
        self.sql("".join(f"DROP DATABASE IF EXISTS `{name}`;\n" for name in _SCHEMAS) + "RESET MASTER;\n")
        if make:
            self.sql(f"CREATE DATABASE {SCHEMA} CHARACTER SET utf8mb4")
        self.settle()

    def settle(self) -> None:
        """Wait until the server has written what it owes, so that nobody pays for who was before."""
        until = time.monotonic() + _PATIENCE
        self.sql(
            "SET GLOBAL innodb_io_capacity_max=20000; SET GLOBAL innodb_io_capacity=20000;"
            "SET GLOBAL innodb_max_dirty_pages_pct=0"
        )
        asked = "SELECT variable_value FROM information_schema.global_status WHERE variable_name="
        while int(self.sql(f"{asked}'Innodb_buffer_pool_pages_dirty'")[0][0]) > 100:  # noqa: PLR2004 -- a few always are
            if time.monotonic() > until:
                raise BrokenRun("the server has not written its pages within a minute")
            time.sleep(0.1)
        self.sql(
            "SET GLOBAL innodb_max_dirty_pages_pct=90; SET GLOBAL innodb_io_capacity=200;"
            "SET GLOBAL innodb_io_capacity_max=2000"
        )

    def cpu(self) -> float:
        """Seconds of processor time that the server has taken so far (proc(5))."""
        if self.server is None:
            return 0.0
        words = Path(f"/proc/{self.server.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / 100

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        argv = ["mariadbd", "--no-defaults", "--user=root", f"--datadir={self.folder}/data"]
        argv += [f"--socket={self.folder}/s", f"--pid-file={self.folder}/pid", *OPTIONS]
        with (self.folder / "server.log").open("ab") as log:
            self.server = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(["mariadb-admin", *self.login, "ping"], self.server)

    def stop(self) -> None:
        """End it, and wait."""
        if self.server is not None:
            self.server.terminate()
            self.server.wait(120)
            self.server = None

    def install(self) -> None:
        """A data directory and what remedy needs to know."""
        argv = ["mariadb-install-db", "--no-defaults", f"--datadir={self.folder}/data", "--user=root"]
        argv += ["--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run(argv, check=True, capture_output=True)
        option_file = self.folder / "client.cnf"
        option_file.write_text(f"[client]\nsocket={self.folder}/s\nuser=root\n", encoding="utf-8")
        option_file.chmod(0o600)
        databases: dict[str, Any] = {}
        for name in ("plain", "gz", "zst", "mydumper"):
            self.copy(name).mkdir(parents=True)
            copies = [{"name": name, "path": str(self.copy(name))}]
            database = {"schema": SCHEMA, "timezone": "UTC", "defaults_file": str(option_file), "copies": copies}
            databases[f"{SCHEMA}-{name}"] = database
        host = {"ansible_host": "127.0.0.1", "ansible_user": "root", "remedy_databases": databases}
        host["ansible_ssh_private_key_file"] = str(self.folder / "key")
        host["remedy_known_hosts"] = str(self.folder / "known_hosts")
        tree = {"all": {"hosts": {NAME: host}}}
        self.inventory.write_text(yaml.safe_dump(tree), encoding="utf-8")


def wait_for(argv: Sequence[str], process: subprocess.Popen[bytes]) -> None:
    """Until a command succeeds. Raises BrokenRun when the process it asks has ended, or after a minute."""
    until = time.monotonic() + _PATIENCE
    while subprocess.run(argv, capture_output=True, check=False).returncode:
        if process.poll() is not None or time.monotonic() > until:
            raise BrokenRun(f"{argv[0]} finds nobody")
        time.sleep(0.05)


@contextlib.contextmanager
def _sshd(folder: Path) -> Iterator[None]:
    """An sshd as Debian configures it, on port 22 of this namespace's loopback."""
    for name in ("key", "host_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", folder / name], check=True)
    shutil.copy(folder / "key.pub", folder / "authorized_keys")
    public = " ".join((folder / "host_key.pub").read_text(encoding="ascii").split()[:2])
    (folder / "known_hosts").write_text(f"127.0.0.1 {public}\n", encoding="ascii")
    lines = ["ListenAddress 127.0.0.1:22", f"HostKey {folder}/host_key", f"AuthorizedKeysFile {folder}/authorized_keys"]
    lines += ["PidFile none", "UsePAM no", "StrictModes no", "UseDNS no", "PermitRootLogin yes"]
    (folder / "sshd_config").write_text("\n".join(lines) + "\n", encoding="ascii")
    Path("/run/sshd").mkdir(mode=0o755)
    with (folder / "sshd.log").open("wb") as log:
        process = subprocess.Popen(
            ["/usr/sbin/sshd", "-D", "-e", "-f", str(folder / "sshd_config")], stdin=subprocess.DEVNULL, stderr=log
        )
    try:
        wait_for(["ssh-keyscan", "-T", "2", "-t", "ed25519", "127.0.0.1"], process)
        yield
    finally:
        process.terminate()
        process.wait(20)


@contextlib.contextmanager
def database_host(folder: Path) -> Iterator[DatabaseHost]:
    """The host, running; ended at the end. `folder` has to be empty."""
    options = folder / "etc-mysql"
    (options / "conf.d").mkdir(parents=True)
    (options / "my.cnf").write_text("!includedir /etc/mysql/conf.d\n", encoding="ascii")
    # Whoever works on this machine may have a start-up file that takes its time, and every login would pay for it.
    quick, own = folder / "bashrc", Path.home() / ".bashrc"
    quick.touch()
    for argv in (
        ["ip", "link", "set", "lo", "up"],
        ["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run"],
        ["mount", "--bind", str(options), "/etc/mysql"],
        *([["mount", "--bind", str(quick), str(own)]] if own.exists() else []),
    ):
        subprocess.run(argv, check=True, capture_output=True)
    host = DatabaseHost(folder)
    host.install()
    with _sshd(folder):
        host.start()
        try:
            yield host
        except BaseException:
            if host.server is not None and host.server.poll() is not None:
                print((folder / "server.log").read_text(errors="replace")[-3000:], file=sys.stderr)
            raise
        finally:
            host.stop()
