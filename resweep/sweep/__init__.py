"""A sweep's TOML file: read, checked, every mistake named; and as the last generation stored it."""
