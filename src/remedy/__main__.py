"""`python -m remedy` is `remedy`."""

from remedy.cli.main import run

run()
