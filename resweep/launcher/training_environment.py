"""What a training is given: its variables, its interpreter, its TOML."""

from __future__ import annotations

import os
import shlex
import shutil
import sys

from . import storage
from .storage import AttemptError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .storage import Record

OUTPUT_VARIABLE = "RESWEEP_OUTPUT"  # where an attempt's training writes
# The numerical libraries read the thread count when they are loaded, and another count gives other weights.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def environment(capsule: str, manifest: Record, directory: str, number: int, data: str) -> dict[str, str]:
    """The environment of train.sh: what was frozen comes first, and nothing is written into the capsule."""
    env = dict(os.environ)
    python = interpreter()
    _put_first(env, python, os.path.join(directory, "bin"))
    source = [capsule]
    if os.path.isdir(os.path.join(capsule, "src")):  # [snapshot] from = "git" keeps a src/ layout
        source.append(os.path.join(capsule, "src"))
    if env.get("PYTHONPATH"):
        source.append(env["PYTHONPATH"])
    env["PYTHONPATH"] = os.pathsep.join(source)
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    env["PYTHONHASHSEED"] = "0"  # the order of sets of strings must not differ between two runs
    env.pop("PYTHONSAFEPATH", None)
    env.pop(OUTPUT_VARIABLE, None)  # of an attempt that this one is started by
    for name in THREAD_VARIABLES:
        env[name] = str(manifest["threads"])
    env["RESWEEP_PYTHON"] = python
    env["RESWEEP_DATA"] = os.path.abspath(data)
    env["RESWEEP_ATTEMPT"] = str(number)
    return env


def interpreter() -> str:
    """The path of the interpreter that trains."""
    name = os.environ.get("RESWEEP_PYTHON") or sys.executable
    found = shutil.which(name)
    if found is None:
        raise AttemptError("RESWEEP_PYTHON: found %r, expected a Python interpreter on PATH or its path" % name)
    return os.path.abspath(found)


def _put_first(env: dict[str, str], python: str, shims: str) -> None:
    """Let `python`, which a train.sh of 2020 says, be the interpreter that the sweep names."""
    folder = os.path.dirname(python)
    if os.path.dirname(shutil.which("python") or "") != folder:
        env["PATH"] = folder + os.pathsep + env.get("PATH", os.defpath)
    same = os.path.join(folder, "python")
    if not os.path.exists(same) or not os.path.samefile(same, python):
        # A script, not a link: an interpreter finds its virtual environment by its own path.
        os.makedirs(shims, exist_ok=True)
        storage.write(os.path.join(shims, "python"), '#!/bin/sh\nexec %s "$@"\n' % shlex.quote(python))
        os.chmod(os.path.join(shims, "python"), 0o755)
        env["PATH"] = shims + os.pathsep + env["PATH"]


def attempt_toml(capsule: str, trial_id: str, conf_path: str, serialization_dir: str) -> str:
    """The capsule's TOML with the four paths of its header made absolute for this attempt."""
    paths = {
        "conf_dir": capsule,
        "conf_path": conf_path,
        "allennlp_conf": os.path.join(capsule, trial_id + ".json"),
        "serialization_dir": serialization_dir,
    }
    with open(os.path.join(capsule, trial_id + ".toml"), encoding="utf-8") as file:
        text = file.read()
    # The header ends at the first blank line; below it a person's own strings may look like these keys.
    header, blank, body = text.partition("\n\n")
    lines = header.split("\n")
    for key, value in paths.items():
        places = [number for number, line in enumerate(lines) if line.startswith(key + " = ")]
        if len(places) != 1:
            raise AttemptError("%s: %s.toml has no %s in its header" % (capsule, trial_id, key))
        lines[places[0]] = "%s = %s" % (key, storage.toml_string(value))
    return "\n".join(lines) + blank + body
