"""Actions: one function each that reads and returns a plan."""
