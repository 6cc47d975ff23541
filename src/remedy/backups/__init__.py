"""Backups: where they are kept, what is inside them, which of them can be trusted. Pure decisions, no I/O.

`values` says what a database, a copy, a backup and a judgement are; `containers` (one file per compression),
`seals` (one file per encryption) and `formats` (one file per kind of backup) say how bytes are read; `catalog` turns
listings into backups, `choose` puts candidates in order. Leaves to others: fetching and sending bytes (transports).
"""
