"""The incident record: append, chain, checkpoints, verify, export."""
