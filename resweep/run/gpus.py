"""The cards of this machine: which are idle, which are others', and who of us uses which.

Cards are asked for from `nvidia-smi`. What we use is noted in one small file per card in a directory of this machine,
so that two sweeps, of one person or of two, do not take the same card; a note counts as long as its process lives.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resweep.errors import ConfigError
from resweep.launcher import processes

IDLE_MEMORY = 0.05  # of a card's memory that may be in use when nobody uses it: displays, daemons, other contexts
IDLE_UTILISATION = 10  # percent
VISIBLE = "CUDA_VISIBLE_DEVICES"
_QUERY = ("index", "uuid", "name", "memory.used", "memory.total", "utilization.gpu")
_ROUNDING = 1e-6  # three thirds of a card are a card


@dataclass(frozen=True)
class Card:
    """One GPU. `token` is what names it in CUDA_VISIBLE_DEVICES; memory in MiB, utilisation in percent."""

    token: str
    index: int
    uuid: str
    name: str
    memory_used: float
    memory_total: float
    utilisation: float

    @property
    def idle(self) -> bool:
        """Whether nobody seems to use it."""
        return self.memory_used < IDLE_MEMORY * self.memory_total and self.utilisation < IDLE_UTILISATION

    @property
    def called(self) -> str:
        """What people see: the number, or what CUDA_VISIBLE_DEVICES called it."""
        return f"GPU {self.index}" if self.index >= 0 else self.token

    def described(self) -> str:
        """What a person needs to know of a card that is left alone."""
        used = f"{self.memory_used:.0f} of {self.memory_total:.0f} MiB in use"
        return f"{self.called} ({used}, {self.utilisation:.0f} % busy)"


def cards() -> list[Card]:
    """The cards that this process may use: all of nvidia-smi's, or those that CUDA_VISIBLE_DEVICES names.

    Empty where there is no nvidia-smi, no driver, or where CUDA_VISIBLE_DEVICES is empty. Raises ConfigError when it
    has a word that can name no card. What nvidia-smi does not list is taken as it is given, as idle.
    """
    found = _query()
    visible = os.environ.get(VISIBLE)
    if visible is None or not found:
        return found
    chosen: list[Card] = []
    for token in filter(None, (part.strip() for part in visible.split(","))):
        if token == "-1":  # CUDA's own way to say: no more
            break
        card = next((c for c in found if token == str(c.index) or c.uuid.startswith(token)), None) or _given(token)
        if card is None:
            names = ", ".join(str(c.index) for c in found)
            raise ConfigError(f"{VISIBLE}: found {token!r}, expected numbers or UUIDs of cards, as here {names}")
        if card.uuid not in {each.uuid for each in chosen}:
            chosen.append(Card(**{**vars(card), "token": token}))
    return chosen


def _given(token: str) -> Card | None:
    """A card, or a part of one, that nvidia-smi does not list: an instance of MIG, or a number of a container's own."""
    if not (token.isdigit() or token.startswith(("MIG-", "GPU-"))):
        return None
    return Card(token, int(token) if token.isdigit() else -1, token, token, 0.0, 1.0, 0.0)


def _query() -> list[Card]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    command = [program, f"--query-gpu={','.join(_QUERY)}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return []
    if done.returncode:  # installed, but no driver or no card
        return []
    found = []
    for line in done.stdout.splitlines():
        fields = [field.strip() for field in line.split(",")]
        if len(fields) == len(_QUERY) and fields[0].isdigit():
            index, uuid, name, used, total, busy = fields
            found.append(Card(index, int(index), uuid, name, _number(used), _number(total) or 1.0, _number(busy)))
    return found


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:  # "[N/A]": some cards do not tell
        return 0.0


class Pool:
    """The cards of this machine as places for trials that use `each` cards (a fraction shares one)."""

    def __init__(self, each: float) -> None:
        self.each = each
        self.left_alone: dict[str, Card] = {}
        self._home = _home()

    def take(self) -> list[Card] | None:
        """Note `each` cards as used by this process, and return them; None when so many are not free.

        A card that others use is left alone, and remembered in `left_alone`.
        """
        with _locked(self._home):
            free = []
            self.left_alone = {}
            for card in cards():
                holders = _holders(self._home, card)
                if not holders and not card.idle:
                    self.left_alone[card.uuid] = card
                elif sum(h["share"] for h in holders) + min(self.each, 1.0) <= 1 + _ROUNDING:
                    free.append((card, holders))
            # a card that is shared already first, so that whole cards stay whole
            free.sort(key=lambda pair: -len(pair[1]))
            wanted = max(1, round(self.each))
            if len(free) < wanted:
                return None
            for card, holders in free[:wanted]:
                _note(self._home, card, [*holders, _holder(os.getpid(), min(self.each, 1.0))])
            return [card for card, _ in free[:wanted]]

    def hand_over(self, taken: Sequence[Card], pid: int) -> None:
        """Note the cards that this process has taken as used by process `pid`, its child.

        When the child dies they are ours again: what it has started may still use them, and only we can tell.
        """
        self._replace(taken, {**_holder(pid, min(self.each, 1.0)), "else": _holder(os.getpid(), 0.0)}, os.getpid())

    def leave(self, taken: Sequence[Card], pid: int, group: int) -> None:
        """Note the cards of process `pid`, which has died, as used by the process group that it has left running."""
        self._replace(taken, _holder(group, min(self.each, 1.0)), pid)

    def give_back(self, taken: Sequence[Card], pid: int) -> None:
        """Forget that process `pid` uses the cards."""
        self._replace(taken, None, pid)

    def _replace(self, taken: Sequence[Card], by: dict[str, Any] | None, pid: int) -> None:
        with _locked(self._home):
            for card in taken:
                holders = _holders(self._home, card)
                gone = next((h for h in holders if h["pid"] == pid), None)
                if gone is not None:
                    holders.remove(gone)
                _note(self._home, card, holders + ([by] if by else []))

    def places(self) -> int:
        """How many trials could run at once on the cards that are idle or ours now."""
        usable = [card for card in cards() if card.idle or _holders(self._home, card)]
        if self.each < 1:
            return len(usable) * int(1 / self.each + _ROUNDING)
        return len(usable) // round(self.each)


def environment(taken: Sequence[Card]) -> dict[str, str]:
    """What pins a process to the cards: their names, counted as nvidia-smi counts."""
    return {VISIBLE: ",".join(card.token for card in taken), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}


def described(taken: Sequence[Card]) -> list[dict[str, Any]]:
    """The cards as a record holds them."""
    return [{"index": card.index if card.index >= 0 else None, "uuid": card.uuid, "name": card.name} for card in taken]


def _home() -> Path:
    """The directory of this machine's notes, for everyone to write in."""
    home = Path(tempfile.gettempdir(), "resweep-gpus")
    with contextlib.suppress(FileExistsError):
        home.mkdir()
        home.chmod(0o1777)
    return home


@contextlib.contextmanager
def _locked(home: Path) -> Iterator[None]:
    """For the moment of reading and writing the notes."""
    path = home / "lock"
    try:
        descriptor = os.open(path, os.O_RDWR)  # without O_CREAT: the kernel guards others' files in such directories
    except FileNotFoundError:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        with contextlib.suppress(PermissionError):
            os.fchmod(descriptor, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _holder(pid: int, share: float) -> dict[str, Any]:
    return {"pid": pid, "start": processes.start_time(pid), "share": share}


def _noted(home: Path, card: Card) -> Path:
    return home / card.uuid.replace("/", "_")  # MIG-GPU-UUID/1/0, as older drivers have it


def _holders(home: Path, card: Card) -> list[dict[str, Any]]:
    """Who of us uses the card; whoever has died does not."""
    try:
        noted = json.loads(_noted(home, card).read_text("utf-8"))
    except (OSError, ValueError):
        return []
    return [holder for holder in noted if _lives(holder) or ("else" in holder and _lives(holder["else"]))]


def _lives(holder: dict[str, Any]) -> bool:
    return processes.same_process(holder["pid"], holder["start"])


def _note(home: Path, card: Card, holders: list[dict[str, Any]]) -> None:
    path = _noted(home, card)
    with open(path, "r+" if path.exists() else "w", encoding="utf-8") as file:
        with contextlib.suppress(PermissionError):
            os.fchmod(file.fileno(), 0o666)
        file.truncate()
        json.dump(holders, file)
