#!/usr/bin/env bash
# Says, before the tests, which of them cannot run on this machine; pytest repeats it at the end.
missing=()
for program in munged slurmctld slurmd sbatch; do
    command -v "$program" >/dev/null || [ -x "/usr/sbin/$program" ] || missing+=("$program")
done
if [ ${#missing[@]} -gt 0 ]; then
    echo "!!! Slurm is not installed here (missing: ${missing[*]}): the tests of tests/slurm will be SKIPPED."
    echo "!!! On Debian: apt-get install --no-install-recommends slurmctld slurmd slurm-client munge slurm-wlm-basic-plugins"
elif [ "$(id -u)" != 0 ]; then
    echo "!!! A test Slurm can be started by root alone: the tests of tests/slurm will be SKIPPED."
fi
for program in /usr/bin/chromium /usr/bin/chromedriver; do
    [ -x "$program" ] || echo "!!! $program is not installed here: the tests of tests/report that open a page will be SKIPPED."
done
[ "$(id -u)" = 0 ] || echo "!!! Not root: the tests that mount a small disk to fill it will be SKIPPED."
exit 0
