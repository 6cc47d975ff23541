"""A real mariadbd of our own, programs started on this machine, and copies that are folders."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from remedy.backups.values import Backup, Copy, Database, Judgement, Keys
from remedy.core.values import Secret, Target
from remedy.transports.bulk import Bulk
from remedy.transports.folders import FolderShelf
from remedy.transports.guard import CONTROLLER
from remedy.transports.transfers.pipeline import read_backup

SCHEMA = "web"


@dataclass
class Server:
    """A mariadbd on a socket."""

    folder: Path
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    names: Iterator[int] = field(default_factory=lambda: iter(range(1000)))

    @property
    def socket(self) -> str:
        """Where it listens."""
        return str(self.folder / "s")

    @property
    def option_file(self) -> str:
        """Logs in as root."""
        return str(self.folder / "root.cnf")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        data = self.folder / "data"
        argv = [
            "mariadbd",
            "--no-defaults",
            f"--user={pwd.getpwuid(os.getuid()).pw_name}",
            f"--datadir={data}",
            f"--socket={self.socket}",
            f"--pid-file={self.folder / 'p'}",
            f"--tmpdir={self.folder / 'tmp'}",
            "--skip-networking",
            "--innodb-flush-log-at-trx-commit=2",
            "--innodb-buffer-pool-size=256M",
            *self.options,
        ]
        (self.folder / "tmp").mkdir(exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        for _ in range(400):
            assert self.process.poll() is None, (self.folder / "log").read_text()
            ping = ["mariadb-admin", "--no-defaults", "-uroot", "-S", self.socket, "ping"]
            if not subprocess.run(ping, capture_output=True, check=False).returncode:
                return
            time.sleep(0.05)
        pytest.fail("mariadbd does not answer: " + (self.folder / "log").read_text())

    def stop(self, how: int = signal.SIGTERM) -> None:
        """End it and wait."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(60)
            self.process = None

    def sql(self, text: str, schema: str = "") -> list[list[str]]:
        """Run statements as root; the rows they answer."""
        argv = ["mariadb", f"--defaults-file={self.option_file}", "--batch", "--skip-column-names", "-c"]
        argv += ["--default-character-set=utf8mb4"]
        argv += [f"--database={schema}"] if schema else []
        done = subprocess.run(argv, input=text.encode(), capture_output=True, check=False, timeout=120)
        assert not done.returncode, done.stderr.decode()
        return [line.split("\t") for line in done.stdout.decode().splitlines()]

    def schema(self, content: str = "") -> str:
        """A new schema with this content."""
        name = f"s{next(self.names)}"
        self.sql(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        if content:
            self.sql(content, name)
        return name

    def login(self, schema: str) -> str:
        """The option file of an account that may touch nothing but `schema`."""
        name = f"only_{schema}"
        self.sql(f"CREATE USER {name}@localhost IDENTIFIED BY 'pw'; GRANT ALL ON {schema}.* TO {name}@localhost")
        return self._write(f"{name}.cnf", f"user={name}\npassword=pw\n")

    def dump(self, schema: str, *options: str) -> bytes:
        """What mariadb-dump writes."""
        argv = ["mariadb-dump", f"--defaults-file={self.option_file}", "--single-transaction", *options, schema]
        return subprocess.run(argv, check=True, capture_output=True, timeout=120).stdout

    def clients(self, patience: float = 0.0) -> list[list[str]]:
        """Who is still connected beside the asking one; a server takes a moment to see that a client has gone."""
        until = time.monotonic() + patience
        while True:
            found = self.sql(
                "SELECT user, db FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND user <> ''"
            )
            if not found or time.monotonic() > until:
                return found
            time.sleep(0.05)

    def _write(self, name: str, text: str) -> str:
        file = self.folder / name
        file.write_text(f"[client]\nsocket={self.socket}\n{text}")
        return str(file)

    def install(self) -> None:
        """Make its data directory. A starting server empties its tmpdir of temporary tables: none may share one."""
        (self.folder / "tmp").mkdir(exist_ok=True)
        subprocess.run(
            [
                "mariadb-install-db",
                "--no-defaults",
                f"--datadir={self.folder / 'data'}",
                f"--tmpdir={self.folder / 'tmp'}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                f"--user={pwd.getpwuid(os.getuid()).pw_name}",
            ],
            check=True,
            capture_output=True,
        )
        self._write("root.cnf", "user=root\n")


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory that others are copied from."""
    server = Server(tmp_path_factory.mktemp("installed"))
    server.install()
    return server.folder / "data"


def _copied(installed: Path, folder: Path, *options: str) -> Server:
    server = Server(folder, options)
    shutil.copytree(installed, folder / "data")
    server._write("root.cnf", "user=root\n")
    server.start()
    return server


@pytest.fixture(scope="session")
def server(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that tests share; with a binary log."""
    made = _copied(installed, tmp_path_factory.mktemp("server"), "--log-bin=bin", "--server-id=1")
    yield made
    made.stop()


@pytest.fixture
def own_server(installed: Path, tmp_path: Path) -> Iterator[Server]:
    """A server that a test may kill."""
    folder = tmp_path / "own"
    folder.mkdir()
    made = _copied(installed, folder)
    yield made
    made.stop()


def reveal(secret: Secret) -> str:
    """A secret by its value."""
    return secret.value


def nobody(name: str) -> Target:
    """No host is known."""
    raise AssertionError(name)


@pytest.fixture
def bulk() -> Iterator[Bulk]:
    """Programs on this machine."""
    user = pwd.getpwuid(os.getuid()).pw_name
    with Bulk(nobody, reveal, local=Target(CONTROLLER, "127.0.0.1", user=user), user=user) as made:
        yield made


def folder(bulk: Bulk, path: Path) -> FolderShelf:
    """A copy that is a new folder on this machine, named as that."""
    path.mkdir()
    return FolderShelf(Copy(path.name, host=CONTROLLER, path=str(path)), bulk)


@pytest.fixture
def shelf(bulk: Bulk, tmp_path: Path) -> FolderShelf:
    """An empty copy."""
    return folder(bulk, tmp_path / "near")


def quiet(_: str, __: int, ___: int) -> None:
    """Nobody is told."""


def database(server: Server, schema: str, *copies: Copy) -> Database:
    """The database of a schema."""
    return Database("site", schema, CONTROLLER, copies, defaults_file=server.option_file)


#: One of everything that makes loading and comparing hard.
SITE = """
CREATE SEQUENCE ticket START WITH 5;
CREATE TABLE customer (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(80) NOT NULL, born DATE, UNIQUE (name))
  AUTO_INCREMENT=90000;
CREATE TABLE orders (id INT PRIMARY KEY, customer INT, total DECIMAL(10,2), at TIMESTAMP(3) NULL, parent INT,
  twice INT AS (id * 2) STORED, more INT AS (id + 1) VIRTUAL,
  CONSTRAINT o FOREIGN KEY (customer) REFERENCES customer (id),
  CONSTRAINT p FOREIGN KEY (parent) REFERENCES orders (id));
CREATE TABLE visit (path VARCHAR(60), at DATETIME, n INT);
CREATE TABLE file (id INT PRIMARY KEY, body LONGBLOB, bits BIT(9), f FLOAT, d DOUBLE);
CREATE TABLE `we``ird 订单` (`a b` INT PRIMARY KEY, `select` TEXT) COMMENT='it''s; -- odd';
CREATE TABLE old (a INT PRIMARY KEY, t VARCHAR(20)) ENGINE=MyISAM;
CREATE TABLE counted (id INT PRIMARY KEY, t INT);
CREATE TABLE nothing (a INT);
SET foreign_key_checks = 0;
INSERT INTO customer SELECT seq, CONCAT('王小明😀 \\\\ '' \\n', seq), DATE('1970-01-01') + INTERVAL seq DAY
  FROM seq_1_to_2000;
INSERT INTO orders (id, customer, total, at, parent) SELECT seq, 1 + seq % 2000, seq / 7, FROM_UNIXTIME(1e9 + seq / 3),
  IF(seq > 1, 6001 - seq, NULL) FROM seq_1_to_6000;
INSERT INTO visit SELECT CONCAT('/', 97 * seq % 1000), '2026-01-01' + INTERVAL 997 * seq % 5000 SECOND, seq
  FROM seq_1_to_4000;
INSERT INTO visit SELECT '/same', NULL, 1 FROM seq_1_to_10;
INSERT INTO file SELECT seq, REPEAT(CONCAT(CHAR(seq % 256), UNHEX('00FF0A0D275C5C1A')), seq % 300), seq % 512,
  seq / 3, 1 / seq FROM seq_1_to_400;
INSERT INTO `we``ird 订单` VALUES (1, 'INSERT INTO `t` VALUES\\n(1);\\n-- Dump completed on'), (2, NULL), (3, '');
INSERT INTO old SELECT 5001 - seq, CONCAT('x', seq) FROM seq_1_to_3000;
INSERT INTO counted SELECT NEXTVAL(ticket), seq FROM seq_1_to_50;
"""
#: What goes with the tables at the cut-over, or into an isolated instance.
OBJECTS = """
CREATE VIEW totals AS SELECT customer, SUM(total) AS total FROM orders GROUP BY customer;
CREATE VIEW above AS SELECT * FROM totals WHERE total > 100;
DELIMITER ;;
CREATE TRIGGER stamp BEFORE INSERT ON orders FOR EACH ROW BEGIN SET NEW.at = COALESCE(NEW.at, NOW()); END;;
CREATE FUNCTION tax(x INT) RETURNS INT DETERMINISTIC BEGIN
  -- Table structure for table `evil`
  RETURN x * 2;
END;;
CREATE PROCEDURE clean() BEGIN DELETE FROM visit WHERE n < 0; SELECT '-- Dump completed on'; END;;
CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY DO CALL clean();;
DELIMITER ;
"""


def wait_for(condition: Callable[[], object]) -> None:
    """Until it holds, ten seconds at most."""
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("it never came to that")


def backup_of(shelf: FolderShelf, name: str, data: bytes) -> Backup:
    """A dump in a copy, as listed."""
    (Path(shelf.copy.path) / name).write_bytes(data)
    file = next(file for file in shelf.list() if file.name == name)
    return Backup(name.partition(".")[0], shelf.copy.name, "dump", (file,))


def unsealed(chunks: Iterable[bytes], _: Keys) -> tuple[str, bool, Iterator[bytes]]:
    """Nothing is encrypted."""
    return "", False, iter(chunks)


def judge(shelf: FolderShelf, site: Database, backup: Backup) -> Judgement:
    """What reading the backup says."""
    return read_backup(lambda _: shelf, site, backup, unsealed, lambda _: None, quiet)
