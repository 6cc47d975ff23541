"""The incident record: append, chain, checkpoints, verify, export.

`journal.Record` writes, `verify.verify` checks, `export.export` hands over, `incidents` opens and closes.
Nothing is imported here, so that starting up costs only what is used.
"""
