"""The parts of what remedy does on network devices: the groups it blocks with, the gates they stand at, the timer."""
