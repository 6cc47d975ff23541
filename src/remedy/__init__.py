"""remedy: contain, recover, block and prove, for the worst hour of a system administrator's year."""

__version__ = "0.1.0"
