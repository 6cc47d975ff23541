"""The command line: composition root and the only place that styles text."""
