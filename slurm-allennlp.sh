#!/usr/bin/env bash
# One trial as a Slurm job, called with CONF_DIR CONF_PATH: by the tasks that `bash NAME-jobs.sh` submits, or by hand,
#
#   sbatch [OPTIONS] slurm-allennlp.sh CONF_DIR CONF_PATH
#
# It is yours to adapt: modules, conda, a scratch disk, #SBATCH lines (an option of [slurm] goes before them).
#
# Slurm runs a copy of this file from its spool, so everything is found through the arguments: CONF_DIR is the trial's
# directory, and the launcher of its sweep lies two levels above. The launcher runs the trial's train.sh, and writes the
# log and the record of the attempt beside the model's directory.

#SBATCH --open-mode=append

# module load cuda
# source activate qb

python=${RESWEEP_PYTHON:-$(command -v python || command -v python3)}
command -v "$python" >/dev/null || { echo "found no ${python:-python}; RESWEEP_PYTHON names a Python" >&2; exit 2; }
export RESWEEP_PYTHON=$python
# since Slurm 22.05, srun no longer takes this from the job
[ -z "${SLURM_CPUS_PER_TASK-}" ] || export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK
exec "$python" -ISB "$1/../../attempt.py" run "$1"
