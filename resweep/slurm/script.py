"""The site's script, as sbatch reads it, and the text of what each task runs."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from resweep.errors import SlurmError

LAUNCHER = "attempt.py"

_SHORT = {
    "A": "account",
    "a": "array",
    "b": "begin",
    "C": "constraint",
    "c": "cpus-per-task",
    "D": "chdir",
    "d": "dependency",
    "e": "error",
    "G": "gpus",
    "H": "hold",
    "J": "job-name",
    "L": "licenses",
    "M": "clusters",
    "N": "nodes",
    "n": "ntasks",
    "o": "output",
    "p": "partition",
    "q": "qos",
    "t": "time",
    "W": "wait",
    "w": "nodelist",
    "x": "exclude",
}


_NOT_OURS = ("array", "wait", "parsable", "test-only")  # in the site's script: they would make submitting fail
# options by the variables of sbatch's that are not named after them, and "" for those that say nothing of a job
_VARIABLES = {
    "TIMELIMIT": "time",
    "MEM_PER_NODE": "mem",
    "CPU_FREQ_REQ": "cpu-freq",
    "REQ_SWITCH": "switches",
    "THREAD_SPEC": "thread-spec",
    "CORE_SPEC": "core-spec",
    **dict.fromkeys(("ARRAY_INX", "WAIT", "CLUSTERS", "DEBUG", "IGNORE_PBS", "WAIT4SWITCH", "TEST_ONLY"), ""),
    **{f"MEM_BIND_{part}": "" for part in ("LIST", "PREFER", "SORT", "TYPE", "VERBOSE")},
}


def from_environment() -> dict[str, str]:
    """The options in SBATCH_ variables, which go before the script's lines and after its command line."""
    named = {
        key.removeprefix("SBATCH_"): value for key, value in sorted(os.environ.items()) if key.startswith("SBATCH_")
    }
    options = {_VARIABLES.get(key, key.lower().replace("_", "-")): value for key, value in named.items()}
    return {key: value for key, value in options.items() if key}


@dataclass(frozen=True)
class SiteScript:
    """The script that a site adapts: its bytes, and its #SBATCH lines."""

    path: Path
    data: bytes
    lines: tuple[str, ...]

    @property
    def calls_the_launcher(self) -> bool:
        """Whether it starts attempt.py itself; one of 2020 trains directly, and is started by it."""
        return LAUNCHER.encode() in self.data

    @property
    def declared(self) -> dict[str, str]:
        """The options in its #SBATCH lines, by their long names."""
        return declared(word for line in self.lines for word in _words(line))


def read(root: Path, name: str, where: str) -> SiteScript:
    """The site's script `name` of the project at `root`; a SlurmError when there is none."""
    path = root / name
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SlurmError(
            f"{where}: {path} cannot be read ({error.strerror}), expected the script that Slurm runs for each trial, "
            "called with CONF_DIR CONF_PATH; or run the trials on this machine with --here"
        ) from None
    lines = []
    for line in data.decode(errors="surrogateescape").splitlines():
        if line.startswith("#SBATCH"):
            lines += _without(line, _NOT_OURS)
        elif line.strip() and not line.lstrip().startswith("#"):
            break  # sbatch looks no further, either
    return SiteScript(path, data, tuple(lines))


def _without(line: str, options: Sequence[str]) -> list[str]:
    """An #SBATCH line without some options; no line where nothing is left of it."""
    words = _words(line)
    if not any(option in declared(words) for option in options):
        return [line]
    kept = [f"--{key}" + (f"={value}" if value else "") for key, value in declared(words).items() if key not in options]
    return [f"#SBATCH {shlex.join(kept)}"] if kept else []


def declared(words: Iterable[str]) -> dict[str, str]:
    """Options of sbatch by their long names, each with its value ("" for none)."""
    found: dict[str, str] = {}
    last = ""
    for word in words:
        if word.startswith("--"):
            key, equals, value = word[2:].partition("=")
            found[key] = value
            last = "" if equals else key
        elif re.match(r"-[A-Za-z]", word):
            last = _SHORT.get(word[1], word[1])
            found[last] = word[2:].removeprefix("=")
            last = "" if found[last] else last
        elif last:
            found[last] = word
            last = ""
    return found


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line.removeprefix("#SBATCH"), comments=True)
    except ValueError:  # a quote without its end: sbatch will say so
        return line.split()[1:]


def task_script(
    sweep: str, site: SiteScript, setup: Sequence[str], python: str | None, own_python: str, root: Path | None = None
) -> str:
    """The script that every task of a submission runs: the site's #SBATCH lines, `[slurm] setup`, and the launcher.

    `python` trains, where the person names one; `own_python` may run the launcher where there is no other. With
    the `root` of the project each task is a runner in its place: `resweep run` with `own_python`.
    """
    text = " ".join(setup)
    data = os.environ.get("RESWEEP_DATA")
    fields = {
        "SBATCH": "".join(line + "\n" for line in site.lines),
        "SWEEP": sweep,
        "MODULE": _MODULE if re.search(r"\b(module|ml)\b", text) else "",
        "CONDA": _CONDA if re.search(r"\bconda\s+activate\b", text) else "",
        "SETUP": "".join(f"try {shlex.quote(line)}\n" for line in setup),
        "TRAINS": f"export RESWEEP_PYTHON={shlex.quote(os.path.expanduser(python))}\n" if python else "",
        "DATA": f"export RESWEEP_DATA={shlex.quote(os.path.abspath(data))}\n" if data else "",
        "OWN": shlex.quote(own_python),
        "ROOT": shlex.quote(str(root)),
    }
    text = _HEAD + (_RUNNER if root else _TASK)
    return re.sub(r"@([A-Z]+)@(\n?)", lambda match: fields[match[1]] + match[2] * (match[1] in _INLINE), text)


_INLINE = ("SWEEP", "OWN", "ROOT")
# Without a `module` of its own a shell that is no login shell cannot load any; conda needs its hook.
_MODULE = """\
for file in /etc/profile.d/{modules,lmod,z00_lmod}.sh; do
    type module >/dev/null 2>&1 || ! [ -r "$file" ] || . "$file"
done
"""
_CONDA = """\
[ "$(type -t conda)" = function ] || eval "$("${CONDA_EXE:-conda}" shell.bash hook)"
"""
_HEAD = """\
#!/bin/bash
@SBATCH@
# What each task of a submission runs: [slurm] setup, then the site's script:  task.sh SUBMISSION LIST [LINE]
# Slurm runs a copy of this file, so it finds everything through its arguments.
submission=$1
try() {
    eval "$1" || { echo "@SWEEP@: [slurm] setup: '$1' failed with status $?" >&2 && exit 2; }
}
# since Slurm 22.05, srun no longer takes this from the job
[ -z "${SLURM_CPUS_PER_TASK-}" ] || export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK
@DATA@
@TRAINS@
@MODULE@
@CONDA@
@SETUP@
"""
_TASK = """\
for python in "${RESWEEP_PYTHON-}" python python3 @OWN@; do
    [ -n "$python" ] && "$python" -ISc 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null \\
        && exec "$python" -ISB "$submission/attempt.py" task "$@"
done
echo "@SWEEP@: found no Python 3.8 or newer on $(hostname); RESWEEP_PYTHON, or python in [run], names one" >&2
exit 2
"""
_RUNNER = """\
# what trains: as where a job has one trial
for python in "${RESWEEP_PYTHON-}" python python3 @OWN@; do
    [ -n "$python" ] && "$python" -ISc 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null && break
done
export RESWEEP_PYTHON=$python
# what runs and follows the trials: the tool, which nothing in the project, and no PYTHONPATH of a module's, may hide
tool=@OWN@
cd @ROOT@ || exit 2
for safely in -P -PE; do
    said=$("$tool" $safely -c 'import optuna, resweep.cli' 2>&1) \\
        && exec "$tool" $safely -m resweep run @SWEEP@ --jobs 1 --task "$submission/$2"
done
echo "@SWEEP@: $tool cannot run resweep on $(hostname) (${said##*$'\\n'}), and each worker of a search needs it;" \\
    "install it where every node sees it, with pip install 'resweep[search]', and submit again from there" >&2
exit 2
"""
