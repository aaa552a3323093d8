"""What the site allows: how long an array may be, how many jobs a user may have, what would wait for ever."""

from __future__ import annotations

import getpass
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from resweep.errors import SlurmError
from resweep.slurm import commands

DEFAULT_ARRAY = 1001  # Slurm's own MaxArraySize
DEFAULT_JOBS = 10_000  # and MaxJobCount
UNLIMITED = ("", "UNLIMITED", "infinite", "INFINITE", "Partition_Limit")


@dataclass(frozen=True)
class Limits:
    """What the site allows this user, as far as it says. Times are in minutes; None is no limit."""

    array: int = DEFAULT_ARRAY - 1  # the highest number of a task
    jobs: int = DEFAULT_JOBS  # of everybody's that the controller holds, those that have just ended too
    enforces_qos: bool = True
    kill_wait: float | None = None  # seconds between TERM and KILL when Slurm ends a job
    partitions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    qos: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    accounts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # the user's; "" is the default one

    def partition(self, name: str) -> Mapping[str, str]:
        """What `scontrol show partition` says of a partition, by default of the default one."""
        if name:
            return self.partitions.get(name.partition(",")[0], {})
        return next((each for each in self.partitions.values() if each.get("Default") == "YES"), {})


def read() -> Limits:
    """Ask the site; what does not answer limits nothing."""
    user = getpass.getuser()
    config, partitions, qos, associations = commands.call_all(
        ("scontrol", "show", "config"),
        ("scontrol", "-o", "show", "partition"),
        ("sacctmgr", "-nP", "show", "qos", f"format={','.join(_QOS)}"),
        ("sacctmgr", "-nP", "show", "user", user, "withassoc", f"format={','.join(_ACCOUNT)}"),
    )
    if isinstance(config, SlurmError):
        raise config
    settings = dict(re.findall(r"^(\w+)\s*= *(.*?)\s*$", config, re.MULTILINE))
    return Limits(
        array=max(1, int(settings.get("MaxArraySize", DEFAULT_ARRAY)) - 1),
        jobs=int(settings.get("MaxJobCount", DEFAULT_JOBS)),
        enforces_qos="qos" in settings.get("AccountingStorageEnforce", ""),
        kill_wait=_seconds(settings.get("KillWait", "")),
        partitions={} if isinstance(partitions, SlurmError) else _partitions(partitions),
        qos={} if isinstance(qos, SlurmError) else _table(qos, _QOS),
        accounts={} if isinstance(associations, SlurmError) else _accounts(associations),
    )


_QOS = ("Name", "MaxWall", "MaxSubmitPU", "MaxSubmitPA", "GrpSubmit")
_ACCOUNT = ("Account", "DefaultAccount", "Partition", "MaxSubmit", "DefaultQOS")


def _accounts(text: str) -> dict[str, dict[str, str]]:
    found = _table(text, _ACCOUNT)
    default = next((row for row in found.values() if row.get("Account") == row.get("DefaultAccount")), None)
    return {**found, "": default} if default else found


def _seconds(text: str) -> float | None:
    """A time as `scontrol show` prints it, such as `30 sec` or `30`."""
    word = text.partition(" ")[0]
    return float(word) if word.isdigit() else None


def _table(text: str, columns: tuple[str, ...]) -> dict[str, dict[str, str]]:
    rows = [dict(zip(columns, line.split("|"), strict=False)) for line in text.splitlines()]
    return {row[columns[0]]: row for row in rows}


def _partitions(text: str) -> dict[str, dict[str, str]]:
    rows = [dict(re.findall(r"(\w+)=(\S*)", line)) for line in text.splitlines()]
    return {row["PartitionName"]: row for row in rows if "PartitionName" in row}


def grace_time(limits: Limits, partition: str) -> float:
    """Seconds between the notice of a preemption and its TERM, in a partition (`GraceTime`)."""
    return _seconds(limits.partition(partition).get("GraceTime", "")) or 0.0


def space(limits: Limits, tasks: int) -> int | None:
    """How many more jobs the controller can hold; None when so many tasks cannot be too many."""
    if tasks < limits.jobs / 10:  # counting everybody's jobs is not free
        return None
    try:
        jobs = commands.call("squeue", "-h", "-r", "--states=all", "-o", "%A").splitlines()
    except SlurmError:
        return None
    return max(0, limits.jobs - 1 - len(jobs))  # an array takes one for itself


def room(limits: Limits, qos: str, account: str) -> int | None:
    """How many more jobs the user may submit with a QOS and an account now; None when the site names no limit."""
    association = limits.accounts.get(account, {})
    name = qos or association.get("DefaultQOS", "")
    row = limits.qos.get(name, {}) if limits.enforces_qos else {}
    of_qos = [int(row[key]) for key in ("MaxSubmitPU", "MaxSubmitPA", "GrpSubmit") if row.get(key, "").isdigit()]
    of_account = [int(association["MaxSubmit"])] if association.get("MaxSubmit", "").isdigit() else []
    if not of_qos and not of_account:
        return None
    try:
        text = commands.call("squeue", "-h", "-r", f"--user={getpass.getuser()}", "-o", "%q|%a")
    except SlurmError:
        return None
    jobs = [tuple(line.split("|")) for line in text.splitlines()]
    rooms = [limit - sum(each[0] == name for each in jobs) for limit in of_qos]
    rooms += [limit - sum(each[1] == association["Account"] for each in jobs) for limit in of_account]
    return max(0, min(rooms))


def doubts(limits: Limits, options: Mapping[str, Any]) -> list[str]:
    """What Slurm would accept, and never start or not heed, of these options: a line each."""
    partition_name, qos, time = (str(options.get(key, "")) for key in ("partition", "qos", "time"))
    partition = limits.partition(partition_name)
    notes = []
    if qos and not limits.enforces_qos:
        notes.append(f"qos={qos} has no effect: this cluster does not enforce any")
    asked = (
        minutes(time) if time else minutes(partition.get("DefaultTime", "")) or minutes(partition.get("MaxTime", ""))
    )
    shown = f"time={time}" if time else f"the partition's default time, {partition.get('DefaultTime')}"
    longest = minutes(partition.get("MaxTime", ""))
    if time and asked and longest and asked > longest:
        where = partition["PartitionName"]
        notes.append(
            f"{shown} is more than the partition {where} allows ({partition['MaxTime']}): it would never start"
        )
    qos = qos or limits.accounts.get(str(options.get("account", "")), {}).get("DefaultQOS", "")
    row = limits.qos.get(qos, {}) if limits.enforces_qos else {}
    longest = minutes(row.get("MaxWall", ""))
    if asked and longest and asked > longest:
        notes.append(f"{shown} is more than the QOS {row['Name']} allows ({row['MaxWall']}): it would never start")
    return notes


def minutes(text: str) -> float | None:
    """A time as sbatch takes it, in minutes: M, M:S, H:M:S, D-H, D-H:M, D-H:M:S; None for none, or no limit."""
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text.strip())
    if text in UNLIMITED or not match:
        return None
    days, *rest = match.groups()
    numbers = [int(part) for part in rest if part is not None]
    if days is not None:
        hours, minute, second = (*numbers, 0, 0)[:3]
        return int(days) * 1440 + hours * 60 + minute + second / 60
    if len(numbers) == 3:
        return numbers[0] * 60 + numbers[1] + numbers[2] / 60
    return numbers[0] + (numbers[1] / 60 if len(numbers) == 2 else 0)
