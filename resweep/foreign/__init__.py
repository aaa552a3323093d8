"""Search spaces of other tools -> our TOML. Nothing of theirs is run or imported."""
