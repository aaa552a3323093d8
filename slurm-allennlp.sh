#!/usr/bin/env bash
# One trial as a Slurm job:  sbatch [OPTIONS] slurm-allennlp.sh CONF_DIR CONF_PATH
# NAME-jobs.sh calls it so, with the options of [slurm]. It is yours to adapt: modules, conda, a scratch disk.
#
# Slurm runs a copy of this file from its spool, so everything is found through the arguments: CONF_DIR is the trial's
# directory, and the launcher of its sweep lies two levels above. The launcher writes the log and the record of the
# attempt beside the model's directory; what this script itself says goes to Slurm's own output file.

#SBATCH --open-mode=append

# module load cuda
# source activate qb

python=${RESWEEP_PYTHON:-$(command -v python || command -v python3)}
command -v "$python" >/dev/null || { echo "found no ${python:-python}; RESWEEP_PYTHON names a Python" >&2; exit 2; }
export RESWEEP_PYTHON=$python
exec "$python" -ISB "$1/../../attempt.py" run "$1"
