"""Trials -> the text of the jobs script: readable, one line a trial, every one with its values."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from typing import Literal

from resweep.index import Entry
from resweep.launcher import places
from resweep.sweep.slurm_table import Resources

Way = Literal["auto", "here", "slurm"]

LINE_WIDTH = 24  # of "id/trial" and the number, before the values


def script(
    name: str,
    entries: Iterable[Entry],
    asked: Resources,
    needs: Iterable[str],
    way: Way,
    python: str | None,
    search: bool = False,
) -> str:
    """The whole script. `way` fixes where it runs.

    What it does without resweep needs `python`, the interpreter, and what trials ask of Slurm; `needs` says what of
    that a job for each trial cannot have. The trials of a `search` are not known: its workers ask for them.
    """
    if search:
        words = {"NAME": name, "WAY": way, "DEFAULT": _DEFAULT[way], "WORDS": _WORDS}
        return re.sub("@([A-Z]+)@", lambda match: words[match[1]], _SEARCH)
    fields = {
        "NAME": name,
        "GENERATED": "/".join(places.CONFIG_ROOT),
        "MODELS": "/".join(places.MODEL_ROOT),
        "WAY": way,
        "DEFAULT": _DEFAULT[way],
        "PYTHON": shlex.quote(python or ""),
        "OPTIONS": " ".join(map(shlex.quote, asked.arguments())),
        "SITE": shlex.quote(asked.script),
        "NEEDS": shlex.quote(", ".join(needs)),
        "PARALLEL": str(asked.parallel or ""),
        "TRIALS": "\n".join(_line(entry) for entry in entries),
        "WORDS": _WORDS,
    }
    return re.sub("@([A-Z]+)@", lambda match: fields[match[1]], _SCRIPT)


_DEFAULT: dict[Way, str] = {
    "auto": "through Slurm where sbatch is on PATH, else here",
    "slurm": "through Slurm",
    "here": "here",
}


def _line(entry: Entry) -> str:
    line = f"{f'{entry.name}':<{LINE_WIDTH - 8}} #{entry.number:<6} {entry.described()}".rstrip()
    return re.sub(r"[\x00-\x1f\x7f]", lambda match: repr(match[0])[1:-1], line)


# A value stands in a quoted here-document, on one line: bash never looks at it.
_SCRIPT = r"""#!/usr/bin/env bash
# Runs the trials of the sweep @NAME@, whatever directory it is called from. Finished trials are not run again.
#
#   bash @NAME@-jobs.sh                 @DEFAULT@
#   bash @NAME@-jobs.sh --here          here, whether or not there is a Slurm
#   bash @NAME@-jobs.sh --slurm         through Slurm, as one array; start it again at any time
#
#   --dry-run                     print what would be submitted
#   --canary                      the first trial alone; the others when it has succeeded
#   --profile PROFILE             with the options of [slurm.profiles.PROFILE]
#   --workers N                   N tasks that drain the sweep together
#   --one-job-per-trial           no array, an sbatch for each trial: the only way where resweep is not on PATH
#   --qos=QOS, ...                any option of sbatch
#
# With --here, all other arguments go to `resweep run`. To leave a trial out, put a # before its line below.
# `generate` writes this file again when the sweep changes.


name=@NAME@
way=@WAY@
python=@PYTHON@
site=@SITE@
sbatch_options=(@OPTIONS@)
needs_resweep=@NEEDS@
parallel=@PARALLEL@
case $python in \~/*) python=$HOME/${python:2} ;; esac

trials() {
    LC_ALL=C grep -a -v -e '^[[:space:]]*#' -e '^[[:space:]]*$' <<'TRIALS'
@TRIALS@
TRIALS
}

@WORDS@
root=$PWD
sweep=$root/@GENERATED@/$name
if [ "$way" = auto ]; then
    if command -v sbatch >/dev/null; then way=slurm; else way=here; fi
fi

through_slurm() {
    command -v sbatch >/dev/null || { echo "$name: sbatch is not on PATH; --here runs the trials here" >&2 && exit 2; }
    if command -v resweep >/dev/null; then
        exec resweep submit "$name" --only - "$@" < <(trials)
    fi
    local argument alone='' options=()
    for argument; do
        case $argument in
            --one-job-per-trial) alone=yes ;;
            --dry-run | --canary | --profile* | --workers*) needs_resweep=$argument ;;
            *) options+=("$argument") ;;
        esac
    done
    [ -z "$needs_resweep" ] || { echo "$name: resweep is not on PATH, which $needs_resweep needs" >&2 && exit 2; }
    local throttled=${parallel:+", $parallel at a time"}
    [ -n "$alone" ] || {
        echo "$name: resweep is not on PATH, which submits the trials as one array$throttled;" \
            "--one-job-per-trial submits a job for each of them, --here runs them here" >&2
        exit 2
    }
    [ -f "$site" ] || { echo "$root: no $site, which sbatch starts" >&2 && exit 2; }
    local queued
    queued=$(squeue --me --noheader --format='%o') \
        || { echo "$name: squeue does not tell what waits already; nothing was submitted" >&2; exit 1; }
    echo "$name: submits trials to Slurm, one job each, since resweep is not on PATH" \
        "${sbatch_options[*]:+(${sbatch_options[*]})}"
    [ -z "$parallel" ] || echo "$name: note: parallel = $parallel has no effect with one job per trial" >&2
    # the interpreter of [run] python, for slurm-allennlp.sh
    [ -z "$python" ] || export RESWEEP_PYTHON="${RESWEEP_PYTHON:-$python}"
    local trial rest submitted=0 finished=0 waiting=0 failed=0
    while read -r trial rest; do
        if [ -e "$root/@MODELS@/$name/$trial.attempts/finished" ]; then
            finished=$((finished + 1))
        elif [[ $queued == *" $sweep/$trial "* ]]; then
            waiting=$((waiting + 1))
        elif sbatch --job-name="$name-${trial%/*}-${trial#*/}" "${sbatch_options[@]}" "${options[@]}" \
            "$site" "$sweep/$trial" "$sweep/$trial/${trial%/*}.toml" </dev/null; then
            submitted=$((submitted + 1))
        else
            failed=$((failed + 1)) && echo "$name: $trial was not submitted" >&2
        fi
    done < <(trials)
    echo "$name: $submitted submitted; $finished have finished, $waiting run or wait in Slurm"
    [ "$failed" = 0 ] || { echo "$name: $failed trials were not submitted; see above" >&2 && exit 1; }
}

with_resweep() {
    exec resweep run "$name" --only - "$@" < <(trials)
}

one_after_another() {
    [ $# = 0 ] || { echo "$name: found $*, which only resweep understands, and it is not on PATH" >&2; exit 2; }
    local candidate=${RESWEEP_PYTHON:-$python}
    candidate=${candidate:-$(command -v python || command -v python3)}
    command -v "$candidate" >/dev/null \
        || { echo "$name: found no ${candidate:-python}; RESWEEP_PYTHON names a Python" >&2; exit 2; }
    export RESWEEP_PYTHON=$candidate
    echo "$name: runs $(trials | wc -l) trials here, one after another with $candidate (resweep is not on PATH)"
    # in the background, and waited for: so a signal that reaches this script alone stops the trial, too
    local trial rest status launcher='' stopped='' failed=()
    trap 'stopped=yes; [ -z "$launcher" ] || kill "$launcher" 2>/dev/null' INT TERM HUP
    while [ -z "$stopped" ] && read -r trial rest; do
        "$candidate" -ISB "$sweep/attempt.py" run "$sweep/$trial" </dev/null &
        launcher=$!
        [ -z "$stopped" ] || kill "$launcher"
        wait "$launcher"
        status=$?
        while kill -0 "$launcher" 2>/dev/null; do wait "$launcher"; status=$?; done
        launcher=''
        [ "$status" = 0 ] || failed+=("$trial")
    done < <(trials)
    trap - INT TERM HUP
    [ -z "$stopped" ] || echo "$name: interrupted; run this again to go on" >&2
    if [ ${#failed[@]} -gt 0 ]; then
        echo "$name: ${#failed[@]} trials did not finish:" >&2
        for trial in "${failed[@]}"; do
            attempts=$root/model/generated/$name/$trial.attempts
            last=$(shopt -s nullglob; cd "$attempts" 2>/dev/null && printf '%s\n' [0-9]* | sort -n | tail -n 1)
            echo "  $trial  log: $attempts/${last:-1}/log.txt" >&2
        done
    fi
    [ -z "$stopped" ] || exit 130
    [ ${#failed[@]} = 0 ] || exit 1
    echo "$name: all trials have finished"
}

if [ "$way" = slurm ]; then
    through_slurm "$@"
elif command -v resweep >/dev/null; then
    with_resweep "$@"
else
    one_after_another "$@"
fi
"""

# what both scripts do with their arguments
_WORDS = r"""rest=()
for argument; do
    case $argument in
        --here | --slurm) way=${argument#--} ;;
        --help | -h) sed -n '2,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit ;;
        *) rest+=("$argument") ;;
    esac
done
set -- "${rest[@]}"
CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")" || exit"""
_SEARCH = r"""#!/usr/bin/env bash
# Runs workers of the search @NAME@, whatever directory it is called from. Each asks for a trial, writes it, runs it.
#
#   bash @NAME@-jobs.sh                 @DEFAULT@
#   bash @NAME@-jobs.sh --here          here; --jobs N runs N trials at a time
#   bash @NAME@-jobs.sh --slurm --workers N     through Slurm, as an array of N workers
#
#   --max-trials N                each worker ends after so many
#   --dry-run, --profile PROFILE, --qos=QOS, ...     with Slurm: as for any sweep; see resweep submit --help
#
# Start it again at any time, and on any machine that sees these files: the search goes on where it was.
# `generate` writes this file again when the sweep changes.


name=@NAME@
way=@WAY@
@WORDS@
command -v resweep >/dev/null || { echo "$name: resweep is not on PATH, and a search needs it" >&2 && exit 2; }
if [ "$way" = auto ]; then
    if command -v sbatch >/dev/null; then way=slurm; else way=here; fi
fi
if [ "$way" = slurm ]; then
    command -v sbatch >/dev/null || { echo "$name: sbatch is not on PATH; --here runs the trials here" >&2 && exit 2; }
    exec resweep submit "$name" "$@"
fi
exec resweep run "$name" "$@"
"""
