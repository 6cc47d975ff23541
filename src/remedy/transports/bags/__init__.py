"""Bags of evidence on this machine's disk: written, read, verified, packed (the format is `remedy.evidence.bag`)."""
