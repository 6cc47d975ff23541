"""The vocabulary: values, ports, canonical JSON and the one error tree. Imports nothing else of remedy."""
