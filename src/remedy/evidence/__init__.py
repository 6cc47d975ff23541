"""Evidence as values: what is asked of a host, what became of each question, what a bag consists of. No I/O."""
