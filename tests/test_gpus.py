"""Trials on cards, with an nvidia-smi that says what the test wants: pinned, shared, left to others, never twice.

Code: run/gpus
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from launched import until
from running import WAIT, Runners, attempts, lines, log, record, repeated, states, until_it_says
from small_project import Project, Result

from resweep.run import gpus

SEEN = 'echo "$n ${CUDA_VISIBLE_DEVICES-unset} ${CUDA_DEVICE_ORDER-unset}" >> "$root/cards"\n'
# until so many trainings have begun; those that run together do so on any machine
TOGETHER = 'while [ "$(wc -l < "$root/cards")" -lt {} ]; do sleep 0.02; done\n'
# which cards are in use, and by how many, at any moment of any training
EXCLUSIVE = """\
for card in ${CUDA_VISIBLE_DEVICES//,/ }; do
    mkdir "$root/card-$card" || echo "$trial $card" >> "$root/collisions"
done
sleep 0.1
: hold
for card in ${CUDA_VISIBLE_DEVICES//,/ }; do rmdir "$root/card-$card"; done
"""


class Smi:
    """An nvidia-smi on PATH that prints the lines of a file."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.table = folder / "table"
        program = folder / "nvidia-smi"
        program.write_text(f'#!/bin/sh\necho "$@" >> "{folder}/calls"\ncat "{self.table}"\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        self.show(4)

    def show(self, count: int, **used: str) -> None:
        """So many cards; `c1="9000, 80"` says what memory and percentage is in use of card 1."""
        idle = [f"{n}, GPU-{n}0aa-bb, NVIDIA T{n}, {used.get(f'c{n}', '3, 80000, 0')}\n" for n in range(count)]
        part = self.table.with_suffix(".part")
        part.write_text("".join(idle))
        part.replace(self.table)


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Smi:
    """Four idle cards, and a directory for this machine's notes that nobody else uses."""
    notes = tmp_path / "notes"
    notes.mkdir()
    monkeypatch.setenv("TMPDIR", str(notes))
    monkeypatch.setattr("tempfile.tempdir", None)
    folder = tmp_path / "smi"
    folder.mkdir()
    return Smi(folder, monkeypatch)


@pytest.fixture
def runners(project: Project, smi: Smi) -> Iterator[Runners]:
    """Starts runners, none of which outlives the test."""
    runners = Runners(project)
    yield runners
    runners.end()


def cards(project: Project) -> list[str]:
    """CUDA_VISIBLE_DEVICES of the trials, in the order of their numbers."""
    return [line.split()[1] for line in sorted(lines(project, "cards"))]


def run(project: Project, *arguments: str) -> Result:
    """Run the sweep; the environment of this process, which is its, is put back."""
    return project.resweep("run", "rnn", *arguments)


def holders(smi: Smi) -> dict[str, int]:
    """How many processes note each card as theirs."""
    home = Path(os.environ["TMPDIR"], "resweep-gpus")
    found = {path.name: len(json.loads(path.read_text())) for path in home.glob("GPU-*")}
    return {name: count for name, count in found.items() if count}


@pytest.mark.slow
def test_trial_is_pinned_to_one_idle_card(project: Project, smi: Smi) -> None:
    """By default a trial gets one card, four run on four cards, and the record says which: index, uuid and name."""
    repeated(project, 4, SEEN + TOGETHER.format(4))
    assert "4 at a time, 1 GPU each" in run(project).ok().out
    assert sorted(cards(project)) == ["0", "1", "2", "3"]
    assert all(line.endswith(" PCI_BUS_ID") for line in lines(project, "cards"))
    number = int(cards(project)[0])
    assert record(project, 1)["gpus"] == [{"index": number, "uuid": f"GPU-{number}0aa-bb", "name": f"NVIDIA T{number}"}]
    assert holders(smi) == {}


def test_running_trial_shows_its_card(runners: Runners) -> None:
    """While a trial runs, its record and `status` say on which card."""
    project = runners.project
    repeated(project, 1, WAIT)
    process = runners.start("run", "rnn", "--gpus", "2")
    until((project.root / "started-0").exists)
    assert [card["index"] for card in record(project, 1)["gpus"]] == [0, 1]
    assert "GPU 0,1" in project.resweep("status", "rnn").out
    (project.root / "go").touch()
    process.communicate(timeout=300)


@pytest.mark.slow
def test_two_cards_each(project: Project, smi: Smi) -> None:
    """[run] gpus = 2 gives each trial two cards of its own, so that two trials run on four cards."""
    repeated(project, 4, SEEN + EXCLUSIVE, "[run]\ngpus = 2")
    assert "2 at a time, 2 GPU each" in run(project).ok().out
    assert {len(card.split(",")) for card in cards(project)} == {2}
    assert lines(project, "collisions") == []


@pytest.mark.slow
def test_half_a_card_each(project: Project, smi: Smi) -> None:
    """[run] gpus = 0.5 lets two trials share a card, and no three."""
    smi.show(2)
    train = 'touch "$root/on-$CUDA_VISIBLE_DEVICES-$n"\n' + SEEN + TOGETHER.format(4)
    train += 'ls "$root" | grep -c "on-$CUDA_VISIBLE_DEVICES-" >> "$root/counts"; sleep 0.1\n'
    train += 'rm "$root/on-$CUDA_VISIBLE_DEVICES-$n"\n'
    repeated(project, 8, train, "[run]\ngpus = 0.5")
    assert "4 at a time, 0.5 GPU each" in run(project).ok().out
    assert max(map(int, lines(project, "counts"))) == 2
    assert sorted(set(cards(project))) == ["0", "1"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("visible", "pinned"),
    [
        ("2", {"2"}),
        ("3,1", {"3", "1"}),
        ("GPU-20aa", {"GPU-20aa"}),
        ("1,-1,2", {"1"}),
        ("1,1", {"1"}),
        ("MIG-12ab,7", {"MIG-12ab", "7"}),
    ],
)
def test_existing_choice_is_respected(
    project: Project, smi: Smi, monkeypatch: pytest.MonkeyPatch, visible: str, pinned: set[str]
) -> None:
    """CUDA_VISIBLE_DEVICES of the runner, by numbers or names, bounds the cards that its trials are pinned to.

    What nvidia-smi does not list, such as an instance of MIG, is taken as it is given.
    """
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    repeated(project, 3, SEEN + EXCLUSIVE.replace(": hold\n", TOGETHER.format(len(pinned))))
    run(project).ok()
    assert set(cards(project)) == pinned
    assert lines(project, "collisions") == []


@pytest.mark.parametrize("visible", ["", "-1"])
def test_hidden_cards_stay_hidden(project: Project, smi: Smi, monkeypatch: pytest.MonkeyPatch, visible: str) -> None:
    """Where CUDA_VISIBLE_DEVICES hides all cards, trials run without, and see what they would have seen."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    repeated(project, 1, 'echo "<${CUDA_VISIBLE_DEVICES-unset}>"')
    assert "GPU" not in run(project).ok().out
    assert log(project, 1) == f"<{visible}>\n"


def test_unknown_card_is_one_line(project: Project, smi: Smi, monkeypatch: pytest.MonkeyPatch) -> None:
    """A CUDA_VISIBLE_DEVICES that names no card of this machine is one line, and nothing runs."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,seven")
    repeated(project, 1, SEEN)
    result = run(project)
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert "'seven'" in result.err
    assert cards(project) == []


def test_no_gpus_hides_them(project: Project, smi: Smi) -> None:
    """[run] gpus = 0 lets the trials see no card, and as many run as there are cores."""
    repeated(project, 1, 'echo "<$CUDA_VISIBLE_DEVICES>"', "[run]\ngpus = 0")
    assert "GPU" not in run(project).ok().out
    assert log(project, 1) == "<>\n"
    assert record(project, 1)["gpus"] == []


@pytest.mark.slow
def test_busy_cards_are_left_alone_and_named(project: Project, smi: Smi) -> None:
    """Cards whose memory or time others use are not taken, and are named with what is in use."""
    smi.show(4, c0="9000, 80000, 0", c2="3, 80000, 70")
    repeated(project, 4, SEEN + EXCLUSIVE.replace(": hold\n", TOGETHER.format(2)))
    result = run(project).ok()
    assert "2 at a time" in result.out
    assert set(cards(project)) == {"1", "3"}
    assert "left to others: GPU 0 (9000 of 80000 MiB in use, 0 % busy), GPU 2 (3 of 80000 MiB in use, 70 % busy)" in (
        result.err
    )
    assert result.err.count("left to others") == 1
    assert lines(project, "collisions") == []


@pytest.mark.slow
def test_all_cards_busy_waits_until_one_is_free(runners: Runners, smi: Smi) -> None:
    """Where others use all cards nothing starts; when one comes free, it is taken."""
    project = runners.project
    smi.show(1, c0="9000, 80000, 99")
    repeated(project, 1, SEEN)
    process = runners.start()
    until_it_says(process.stdout, "left to others: GPU 0")
    time.sleep(0.8)
    assert states(project) == ["queued"]
    smi.show(1)
    process.communicate(timeout=300)
    assert process.returncode == 0
    assert cards(project) == ["0"]


@pytest.mark.slow
def test_two_runners_never_take_the_same_card(runners: Runners) -> None:
    """Two runners of two sweeps on one machine share its cards, and none has two trials at a time."""
    project = runners.project
    repeated(project, 12, SEEN + EXCLUSIVE)
    project.generate("--no-slurm-job", name="other").ok()
    both = [runners.start("run", name, "--jobs", "4") for name in ("rnn", "other")]
    said = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert lines(project, "collisions") == []
    assert len(cards(project)) == 24


@pytest.mark.slow
def test_card_of_our_trial_is_not_anothers(runners: Runners, smi: Smi) -> None:
    """What our own trial uses of a card does not make it look as if others used it, and is shared where it may be."""
    project = runners.project
    smi.show(1)
    repeated(project, 2, SEEN + WAIT, "[run]\ngpus = 0.5")
    process = runners.start("run", "rnn", "--jobs", "1")
    until((project.root / "started-0").exists)
    smi.show(1, c0="30000, 80000, 99")
    second = runners.start("run", "rnn", "--jobs", "1")
    until((project.root / "started-1").exists)
    (project.root / "go").touch()
    said = [each.communicate(timeout=300)[0] for each in (process, second)]
    assert "left to others" not in "".join(said)
    assert cards(project) == ["0", "0"]


@pytest.mark.slow
def test_killed_runner_holds_its_card_until_its_trial_ends(runners: Runners, smi: Smi) -> None:
    """The card of a killed runner stays its trial's until that ends, and then is free for the next."""
    project = runners.project
    smi.show(1)
    repeated(project, 2, SEEN + WAIT)
    first = runners.start()
    until((project.root / "started-0").exists)
    first.kill()
    first.communicate()
    second = runners.start()
    time.sleep(1)
    assert states(project) == ["running", "queued"]
    (project.root / "go").touch()
    second.communicate(timeout=300)
    assert second.returncode == 0
    assert (states(project), attempts(project)) == (["finished"] * 2, [1, 1])


@pytest.mark.slow
def test_training_without_launcher_holds_its_card(runners: Runners, smi: Smi) -> None:
    """A card is its training's also when the launcher was killed: no other trial gets it before the end."""
    project = runners.project
    smi.show(1)
    repeated(project, 2, SEEN + WAIT)
    process = runners.start("run", "rnn", "--jobs", "2")
    until((project.root / "started-0").exists)
    os.kill(record(project, 1)["pid"], signal.SIGKILL)
    time.sleep(1.5)
    assert states(project) == ["running", "queued"]
    (project.root / "go").touch()
    process.communicate(timeout=300)
    assert states(project) == ["finished"] * 2


@pytest.mark.parametrize(("asked", "there"), [("5", 4), ("1", 0), ("1.5", 4)])
def test_cards_that_cannot_be_had_are_one_line(project: Project, smi: Smi, asked: str, there: int) -> None:
    """More cards than there are, or one and a half, are one line that says what was found, and nothing runs."""
    smi.show(there)
    repeated(project, 1, SEEN)
    result = run(project, "--gpus", asked)
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert f"found {asked}" in result.err
    assert cards(project) == []


@pytest.mark.parametrize("says", ["exit 9", "echo No devices were found; exit 6", "echo garbage", "kill -9 $$"])
def test_nvidia_smi_that_fails_means_no_cards(project: Project, smi: Smi, says: str) -> None:
    """An nvidia-smi without a driver, or one that prints something else, means a machine without cards."""
    (smi.table.parent / "nvidia-smi").write_text(f"#!/bin/sh\n{says}\n")
    repeated(project, 1, SEEN)
    assert "GPU" not in run(project).ok().out
    assert cards(project) == ["unset"]


def test_what_a_card_does_not_tell_counts_as_idle(project: Project, smi: Smi) -> None:
    """Cards that answer [N/A] for memory or utilisation can be used."""
    smi.show(1, c0="[N/A], [N/A], [N/A]")
    repeated(project, 1, SEEN)
    run(project).ok()
    assert cards(project) == ["0"]


def test_note_of_a_process_that_died_before_it_was_noted_holds_nothing(smi: Smi) -> None:
    """A card handed over to a process that was dead by then is free."""
    pool = gpus.Pool(1)
    taken = pool.take()
    assert taken
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    pool.hand_over(taken, child)
    assert len([pool.take() for _ in range(4)]) == 4
    assert pool.take() is None
