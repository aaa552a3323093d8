"""The points of a sweep: a grid, random draws, or a space that Optuna searches."""
