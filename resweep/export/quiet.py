"""Other people's packages, kept from the network and from a person's settings while we write files with them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def surroundings(prefix: str, **settings: str) -> Iterator[None]:
    """While it is open, the environment has of the variables that begin with `prefix` only these `settings`.

    A person's settings name servers, projects and runs to go on with: none of that is meant for what is exported. Nor
    does anybody want to read of every table that a package makes: only its errors are logged.
    """
    before = dict(os.environ)
    silenced = logging.root.manager.disable
    logging.disable(logging.WARNING)  # what a package says of its own loggers' levels does not count then
    for name in [name for name in before if name.startswith(prefix)]:
        del os.environ[name]
    os.environ.update(settings)
    try:
        yield
    finally:
        logging.disable(silenced)
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)
