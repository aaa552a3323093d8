"""The command line of the launcher."""

from __future__ import annotations

import signal
import sys

from .storage import AttemptError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable


def main(arguments: list[str]) -> int:
    """The command line; the exit status."""
    word, words = (arguments or [""])[0], arguments[1:]
    if word == "task" and len(words) in (2, 3):
        from . import slurm_task

        return guarded(lambda: slurm_task.run(*words))
    from . import attempt

    if word == "run" and len(words) == 1:
        return guarded(lambda: attempt.run(words[0]))
    if word == "run" and len(words) == 3 and words[1] == "--with":
        return guarded(lambda: attempt.run(words[0], words[2]))
    if word == "rerun" and len(words) == 2 and words[1].startswith("-"):
        print("usage: bash rerun.sh [DIR]    DIR is new or empty (./%s for this one)" % words[1], file=sys.stderr)
        return 2
    if word == "rerun" and len(words) in (1, 2):
        return guarded(lambda: attempt.rerun(*words))
    print(
        "usage: attempt.py run CAPSULE [--with SCRIPT] | rerun CAPSULE [DIR] | task SUBMISSION LIST [LINE]",
        file=sys.stderr,
    )
    return 2


def guarded(launch: Callable[[], int]) -> int:
    """Launch, and turn what a person or a disk did wrong into a line and an exit status."""
    try:
        return launch()
    except AttemptError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:  # the disk is full, read-only, gone, or says no
        print("%s: %s" % (error.filename2 or error.filename or "the disk", error.strerror), file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # before the training started or after its end; the next run puts right what is left
        return 128 + signal.SIGINT
