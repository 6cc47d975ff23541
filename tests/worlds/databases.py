"""A database host that is this machine, to be restored: a small shop with everything a schema can hold, and backups.

Decides nothing about the product. Commands, streams and the server are real; the copies are folders. What can be seen
of the whole server is one value, so that "nothing has changed" and "exactly as before" are comparisons.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from tests.worlds.memory import Killed, Life
from tests.worlds.staging import World

from remedy.actions import Action
from remedy.actions.discard import Discard
from remedy.actions.restore import Restore
from remedy.actions.undo import Undo
from remedy.backups.values import Copy, Database
from remedy.core.ports import Session
from remedy.core.values import Plan
from remedy.engine import replay
from remedy.engine.outcome import Outcome
from remedy.transports.guard import CONTROLLER

__all__ = ["BACKUP", "DAMAGE", "RUN", "RUN2", "SHOP", "Shop"]

#: Views are made in an order in which they cannot be dumped by name; keys are circular; names are Chinese.
SHOP: Final = """
CREATE TABLE customer (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(80) NOT NULL, best INT, UNIQUE (name));
CREATE TABLE orders (id INT PRIMARY KEY, customer INT, twice INT AS (id * 2) VIRTUAL, body BLOB,
  CONSTRAINT of FOREIGN KEY (customer) REFERENCES customer (id));
ALTER TABLE customer ADD CONSTRAINT best FOREIGN KEY (best) REFERENCES orders (id);
CREATE TABLE `日志` (path VARCHAR(60), n INT);
CREATE SEQUENCE ticket START WITH 100;
INSERT INTO customer (name) SELECT CONCAT('王小明😀', seq) FROM seq_1_to_40;
INSERT INTO orders (id, customer, body) SELECT seq, 1 + seq % 40, REPEAT(CHAR(seq), seq) FROM seq_1_to_90;
UPDATE customer SET best = id;
INSERT INTO `日志` SELECT '/same', seq FROM seq_1_to_20;
CREATE VIEW zz AS SELECT customer, COUNT(*) AS n FROM orders GROUP BY customer;
CREATE VIEW mm AS SELECT * FROM zz WHERE n > 1;
CREATE VIEW aa AS SELECT * FROM mm;
CREATE FUNCTION tax(x INT) RETURNS INT RETURN x * 2;
CREATE VIEW taxed AS SELECT tax(id) AS t FROM orders;
CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY DO DELETE FROM `日志`;
DELIMITER ;;
CREATE TRIGGER stamp BEFORE INSERT ON `日志` FOR EACH ROW BEGIN /* kept */ SET NEW.n = COALESCE(NEW.n, 1); END;;
CREATE PROCEDURE count_all() BEGIN -- also kept
  SELECT COUNT(*) FROM orders; END;;
DELIMITER ;
"""
#: What happens after the backup: rows lost and added, a table gone and one new, definitions changed.
DAMAGE: Final = """
SET FOREIGN_KEY_CHECKS=0; DELETE FROM orders WHERE id > 10; INSERT INTO `日志` VALUES ('/since', 5);
CREATE TABLE ransom (note TEXT); INSERT INTO ransom VALUES ('付款'); DROP VIEW taxed; DROP PROCEDURE count_all;
CREATE TRIGGER spy AFTER INSERT ON customer FOR EACH ROW INSERT INTO ransom VALUES (NEW.name);
CREATE VIEW gone AS SELECT * FROM ransom; CREATE EVENT late ON SCHEDULE EVERY 2 DAY DO SELECT 1;
"""
BACKUP: Final = "shop-1.sql"
#: The run that tests speak of. What a run leaves on a host has its name: it must be nobody else's on this machine.
_MINE: Final = f"Shop{secrets.token_hex(3)}"
RUN: Final = f"{_MINE}-1"
RUN2: Final = f"{_MINE}-2"
_NOISE: Final = re.compile(
    rb"^-- (?:Dump completed|Host:|Server version|MariaDB dump).*\n|^DO SETVAL.*\n| AUTO_INCREMENT=\d+", re.MULTILINE
)
_SETTINGS: Final = ("read_only", "event_scheduler", "log_bin_trust_function_creators", "automatic_sp_privileges")


@dataclass
class Shop(World):
    """The world with a schema `shop`, in damage, and a backup of it from before."""

    schema: str = "shop"
    #: The content of the backup and of what is live, as `content` shows it.
    then: bytes = b""
    now: bytes = b""

    @classmethod
    @contextlib.contextmanager
    def open(cls, *options: str, schema: str = "shop") -> Iterator[Shop]:
        """A world of one's own; everything is gone at the end."""
        with cls.made("--log-bin", "--server-id=1", *options) as world:
            assert isinstance(world, Shop)
            world.schema = schema
            world.begin()
            yield world

    def begin(self, content: str = SHOP, damage: str = DAMAGE, *options: str) -> None:
        """Everything as it is at the start, whatever was there; an empty record."""
        self.pages.entries.clear()
        self.pages.leases.clear()
        for folder in (self.place / "copy", self.place / "far"):
            folder.mkdir(exist_ok=True)
            for file in folder.iterdir():
                file.unlink()
        for left in (*Path("/run/remedy").glob(f"{_MINE}*.cnf"), *Path("/run").glob(f"remedy-swap.{_MINE}*")):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        sql = self.live.sql
        for user in sql("SELECT CONCAT(QUOTE(user), '@', QUOTE(host)) FROM mysql.user WHERE user LIKE 'remedy%'"):
            sql(f"DROP USER {user}")
        sql(f"SET GLOBAL read_only=0; {''.join(f'DROP DATABASE IF EXISTS {self.named(end)};' for end in self.ends)}")
        sql(f"CREATE DATABASE {self.named()} CHARACTER SET utf8mb4")
        sql("SET GLOBAL log_bin_trust_function_creators=1")
        sql(f"SET sql_mode=''; {content}", "--comments", f"--database={self.schema}")
        sql("SET GLOBAL log_bin_trust_function_creators=0")
        options = options or ("--hex-blob",)
        Path(self.copy.path, BACKUP).write_bytes(self.live.dump(self.schema, *options))
        self.then = self.content()
        sql(f"SET sql_mode=''; {damage}", f"--database={self.schema}")
        self.now = self.content()

    ends = ("", "__in", "__undo")

    def named(self, end: str = "") -> str:
        """A schema's name, quoted."""
        return "`" + f"{self.schema}{end}".replace("`", "``") + "`"

    @property
    def far(self) -> Copy:
        """Another copy."""
        return Copy("far", host=CONTROLLER, path=str(self.place / "far"))

    @property
    def database(self) -> Database:
        """The shop."""
        base = super().database
        return replace(base, name="shop", schema=self.schema, copies=(self.copy, self.far))

    def content(self, end: str = "") -> bytes:
        """Rows and definitions of a schema, as the dump program writes them; b"" when it is not there."""
        if not self.live.sql(f"SHOW DATABASES WHERE `Database` = 0x{(self.schema + end).encode().hex()}"):
            return b""
        # Of views that cannot be opened the dump program says so, and goes on.
        return _NOISE.sub(
            b"", self.live.dump(self.schema + end, "--hex-blob", "--skip-dump-date", "--force", ends=(0, 2))
        )

    def everything(self) -> dict[str, Any]:
        """All that a run could have touched: the three schemas, accounts, grants, settings, files."""
        sql = self.live.sql
        return {
            **{f"shop{end}": self.content(end) for end in self.ends},
            "schemas": sql("SHOW DATABASES"),
            "accounts": sql("SELECT user, host FROM mysql.user ORDER BY 1, 2"),
            "grants": sql("SELECT user, db, routine_name FROM mysql.procs_priv ORDER BY 1, 2, 3"),
            "settings": sql(f"SELECT {', '.join(f'@@GLOBAL.{name}' for name in _SETTINGS)}"),
            "held": sorted(path.name for path in self.live.conf.iterdir()),
            "logins": [path.name for path in Path("/run/remedy").glob(f"{_MINE}*.cnf")],
            "scratch": sorted(path.name for path in Path("/run").glob(f"remedy-swap.{_MINE}*")),
        }

    def mark(self, end: str) -> str:
        """What the mark in a schema says, "" when there is none."""
        where = f"table_schema=0x{(self.schema + end).encode().hex()} AND table_name='remedy__kept'"
        found = self.live.sql(f"SELECT table_comment FROM information_schema.tables WHERE {where}")
        return found[0] if found else ""

    def restore(self, name: str = BACKUP, **options: Any) -> Restore:  # noqa: ANN401 -- any option of the action
        """The action that restores a backup of the near copy."""
        backup = self.backups()[name]
        judged = self.judged(backup)
        action = Restore(database=self.database, backup=backup, sha256=judged.sha256, contents=judged.contents)
        return replace(action, **options)

    def discard(self) -> Discard:
        """The action that drops what was kept."""
        return Discard(self.database)

    def plan(self, action: Action, run: str = RUN) -> Plan:
        """What it would do now."""
        return super().plan(action, run)

    def act(self, action: Action, run: str = RUN, ends_after: int | None = None) -> Outcome:
        """Plan, approve and apply."""
        return super().act(action, run, ends_after)

    def carry(self, plan: Plan, action: Action, ends_after: int | None = None) -> Outcome:
        """Apply a plan that was made before."""
        engine = self.engine(ends_after)
        return engine.apply(self.job(action, plan.run), plan, engine.approve(plan, "ops"))

    def dying(self, plan: Plan, action: Action, moment: int | None) -> Life:
        """Apply a plan and be killed after so many deeds; the life that this was."""
        with contextlib.suppress(Killed):
            self.carry(plan, action, moment)
        return self.lives[-1]

    def undo(self, run: str = RUN, name: str = "U1", *, force: bool = False) -> Outcome:
        """What `remedy undo` does."""
        plan = replay.read(self.engine().journal, run).plan
        return self.act(Undo(plan, force=force), name)

    def through(self, session: Session) -> None:
        """Ask and send through this session from now on."""
        self.session = session
