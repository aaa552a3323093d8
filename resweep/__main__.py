"""`python -m resweep`."""

from resweep.cli import main

main()
