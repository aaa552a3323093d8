"""What notebooks and scripts call: resweep.open and resweep.generate."""
