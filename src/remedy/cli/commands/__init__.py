"""The commands, one file each: options, help with an example, and a call."""
