#!/usr/bin/env bash
# Trains one trial:  train.sh CONF_DIR CONF_PATH
# CONF_DIR holds the frozen copy of qb/; CONF_PATH is the TOML that says what to train and where the output goes.
# The trial's results must depend on these two alone. RESWEEP_PYTHON names the interpreter, by default `python`.
set -euo pipefail

cd "$1"
exec "${RESWEEP_PYTHON:-python}" qb/main.py train "$2"
