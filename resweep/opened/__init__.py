"""What `resweep.open` gives a notebook: sweeps, their trials and their points, to look at and never to change."""
