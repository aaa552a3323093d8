"""Where data files lie."""

import os
from pathlib import Path

from qb.errors import QuizError

PACKAGE_PREFIX = "package:"
DATA_VARIABLE = "RESWEEP_DATA"


def find_data(path: str) -> Path:
    """The file that a data path in a configuration means.

    `package:quiz.json` lies in the data folder of the qb that is running, so a frozen copy of qb brings its own data.
    Other relative paths start at the directory that the environment variable RESWEEP_DATA names, or else at the current
    directory. Absolute paths stay as they are. Raises `QuizError` if there is no such file.
    """
    if path.startswith(PACKAGE_PREFIX):
        base, origin = Path(__file__).resolve().parent / "data", "the data folder of the package qb"
        name = path.removeprefix(PACKAGE_PREFIX)
    elif os.environ.get(DATA_VARIABLE):
        base, origin = Path(os.environ[DATA_VARIABLE]), f"the directory that {DATA_VARIABLE} names"
        name = path
    else:
        base, origin = Path.cwd(), f"the current directory ({DATA_VARIABLE} is not set)"
        name = path
    found = base / name  # an absolute name replaces the base
    if not found.is_file():
        where = "" if os.path.isabs(name) else f" in {origin}"
        raise QuizError(f"no data file {path!r}{where}: looked for {found}")
    return found
