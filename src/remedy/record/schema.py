"""The tables of the record, as SQL.

Decides what is stored and what the database itself refuses: entries and checkpoints can only be added, at the end;
`UNIQUE(prev)` makes a fork impossible to store; a key is used once. Whoever owns the file can drop all of this, so
`verify` compares the schema with the one written here.
Leaves to others: opening (store), filling (appending).
"""

from __future__ import annotations

from typing import Final

#: `PRAGMA application_id`: "RMDY".
APPLICATION_ID: Final = 0x524D4459
#: `PRAGMA user_version`: the format of the tables.
SCHEMA_VERSION: Final = 1

#: The statements that make an empty database a record, in order.
STATEMENTS: Final[tuple[str, ...]] = (
    "CREATE TABLE identity (id TEXT NOT NULL) STRICT",
    """CREATE TABLE entry (
  seq INTEGER PRIMARY KEY CHECK (seq > 0),
  hash TEXT NOT NULL,
  prev TEXT NOT NULL UNIQUE,
  time TEXT NOT NULL,
  kind TEXT NOT NULL,
  incident TEXT NOT NULL,
  run TEXT NOT NULL,
  key TEXT NOT NULL,
  actor TEXT NOT NULL,
  body_sha256 TEXT NOT NULL,
  salt TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT""",
    "CREATE UNIQUE INDEX entry_key ON entry (key) WHERE key != ''",
    "CREATE INDEX entry_incident ON entry (incident) WHERE incident != ''",
    "CREATE INDEX entry_run ON entry (run) WHERE run != ''",
    "CREATE INDEX entry_kind ON entry (kind)",
    """CREATE TRIGGER entry_at_the_end BEFORE INSERT ON entry
WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM entry)
  OR NEW.prev IS NOT coalesce((SELECT hash FROM entry ORDER BY seq DESC LIMIT 1), '"""
    + "0" * 64
    + """')
  OR EXISTS (SELECT 1 FROM entry WHERE key = NEW.key AND key != '')
BEGIN SELECT RAISE(ABORT, 'entries are only appended'); END""",
    "CREATE TRIGGER entry_kept BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'entries are never deleted'); END",
    "CREATE TRIGGER entry_fixed BEFORE UPDATE ON entry BEGIN SELECT RAISE(ABORT, 'entries are never changed'); END",
    """CREATE TABLE checkpoint (
  number INTEGER PRIMARY KEY CHECK (number > 0),
  size INTEGER NOT NULL,
  body TEXT NOT NULL,
  signature TEXT NOT NULL
) STRICT""",
    """CREATE TRIGGER checkpoint_at_the_end BEFORE INSERT ON checkpoint
WHEN NEW.number IS NOT (SELECT coalesce(max(number), 0) + 1 FROM checkpoint)
BEGIN SELECT RAISE(ABORT, 'checkpoints are only appended'); END""",
    """CREATE TRIGGER checkpoint_kept BEFORE DELETE ON checkpoint
BEGIN SELECT RAISE(ABORT, 'checkpoints are never deleted'); END""",
    """CREATE TRIGGER checkpoint_fixed BEFORE UPDATE ON checkpoint
BEGIN SELECT RAISE(ABORT, 'checkpoints are never changed'); END""",
    # what follows is working state, not evidence: it changes and can be computed again
    "CREATE TABLE frontier (size INTEGER NOT NULL, nodes BLOB NOT NULL) STRICT",
    """CREATE TABLE lease (
  target TEXT PRIMARY KEY,
  run TEXT NOT NULL,
  holder TEXT NOT NULL,
  since TEXT NOT NULL,
  machine TEXT NOT NULL,
  boot TEXT NOT NULL,
  namespace TEXT NOT NULL,
  pid INTEGER NOT NULL,
  started INTEGER NOT NULL
) STRICT""",
)


def expected() -> dict[str, str]:
    """Name to SQL of every table, index and trigger, as `sqlite_master` shows them."""
    named = {}
    for statement in STATEMENTS:
        words = statement.replace("UNIQUE INDEX", "INDEX").split(maxsplit=3)
        named[words[2]] = statement
    return named
