"""Sweeps packed into one file, to the byte the same wherever it is made, and unpacked without trusting it."""
