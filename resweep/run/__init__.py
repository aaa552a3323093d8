"""Trials run here: the runner and its workers, GPUs, and what every trial is doing."""
