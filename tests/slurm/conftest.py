"""A real Slurm on this machine: four virtual nodes, started for the session and ended after it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

CLUSTER = Path(__file__).parent / "cluster"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
PORTS = 20  # that the cluster uses, from the first


@pytest.fixture(scope="session")
def slurm_conf() -> Iterator[str]:
    """The path of the running cluster's slurm.conf."""
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    missing = [program for program in PROGRAMS if not shutil.which(program, path=path)]
    if missing or os.geteuid():
        pytest.skip(f"needs root and an installed Slurm (missing: {', '.join(missing) or 'root'})")
    state = tempfile.mkdtemp(prefix="slurm-", dir="/tmp")  # short: Slurm's sockets lie below it
    environment = {
        **os.environ,
        "TEST_SLURM_STATE": state,
        "TEST_SLURM_PORT": str(_free_ports()),
        "TEST_SLURM_DBD": "0",
        "TEST_SLURM_QUIET": "1",
    }
    try:
        subprocess.run([CLUSTER, "start"], env=environment, check=True, timeout=120)
        yield f"{state}/etc/slurm.conf"
    finally:
        subprocess.run([CLUSTER, "clean"], env=environment, check=True, timeout=120)


@pytest.fixture
def slurm(slurm_conf: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands of Slurm find the test's cluster."""
    monkeypatch.setenv("SLURM_CONF", slurm_conf)


def _free_ports() -> int:
    """The first of some neighbouring ports that nobody uses."""
    for first in range(27000, 60000, 97):
        with_listeners = False
        for port in range(first, first + PORTS):
            with socket.socket() as probe:
                with_listeners |= probe.connect_ex(("127.0.0.1", port)) == 0
        if not with_listeners:
            return first
    raise RuntimeError("no free ports")
