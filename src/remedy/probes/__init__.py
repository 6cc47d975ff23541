"""Read-only questions: an argument vector and a pure parser, one file per subject."""
