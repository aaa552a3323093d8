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
for file in /etc/profile.d/{modules,lmod,z00_lmod}.sh; do
    type module >/dev/null 2>&1 || ! [ -r "$file" ] || . "$file"
done
try 'module load cuda'
# what trains: as where a job has one trial
for python in "${RESWEEP_PYTHON-}" python python3 '/tools/my python'; do
    [ -n "$python" ] && "$python" -ISc 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null && break
done
export RESWEEP_PYTHON=$python
# what runs and follows the trials: the tool, which nothing in the project, and no PYTHONPATH of a module's, may hide
tool='/tools/my python'
cd '/home/of mine/project' || exit 2
for safely in -P -PE; do
    said=$("$tool" $safely -c 'import optuna, resweep.cli' 2>&1) \
        && exec "$tool" $safely -m resweep run golden --jobs 1 --task "$submission/$2"
done
echo "golden: $tool cannot run resweep on $(hostname) (${said##*$'\n'}), and each worker of a search needs it;" \
    "install it where every node sees it, with pip install 'resweep[search]', and submit again from there" >&2
exit 2
