#!/bin/bash
#SBATCH --partition=gpu --comment="two words"   # a comment
#SBATCH -c 4 -t2:00:00
#SBATCH -J name
# What each task of a submission runs: [slurm] setup, then the site's script:  task.sh SUBMISSION LIST [LINE]
# Slurm runs a copy of this file, so it finds everything through its arguments.
submission=$1
try() {
    eval "$1" || { echo "golden: [slurm] setup: '$1' failed with status $?" >&2 && exit 2; }
}
# since Slurm 22.05, srun no longer takes this from the job
[ -z "${SLURM_CPUS_PER_TASK-}" ] || export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK
export RESWEEP_DATA='/data/of mine'
export RESWEEP_PYTHON=/envs/qb/bin/python
for file in /etc/profile.d/{modules,lmod,z00_lmod}.sh; do
    type module >/dev/null 2>&1 || ! [ -r "$file" ] || . "$file"
done
[ "$(type -t conda)" = function ] || eval "$("${CONDA_EXE:-conda}" shell.bash hook)"
try 'module load cuda'
try 'conda activate qb'
try 'export X="it'"'"'s $HOME"'
for python in "${RESWEEP_PYTHON-}" python python3 /tools/python; do
    [ -n "$python" ] && "$python" -ISc 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null \
        && exec "$python" -ISB "$submission/attempt.py" task "$@"
done
echo "golden: found no Python 3.8 or newer on $(hostname); RESWEEP_PYTHON, or python in [run], names one" >&2
exit 2
