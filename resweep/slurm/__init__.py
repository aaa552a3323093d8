"""Many attempts, on a cluster: Slurm schedules them, and what it did with them is read back."""
