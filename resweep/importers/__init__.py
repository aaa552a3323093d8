"""Sweeps of other tools, as this one's TOML files."""
