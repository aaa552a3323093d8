#!/usr/bin/env python3
"""The project's entry point: `python hyper.py CONFIG BASE NAME`, and every other command of resweep."""

from resweep.cli import main

if __name__ == "__main__":
    main()
