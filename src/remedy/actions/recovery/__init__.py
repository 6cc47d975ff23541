"""The parts of a restore: staging schema and account, the isolated instance, the cut-over and its way back."""
