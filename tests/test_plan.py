"""What a generation would do, and why: worked out from what is asked for and what is there.

Code: generation/plan, generation/changes
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from planned import TEXT, Sweep

from resweep import index, layout
from resweep.errors import ConfigError, ProjectError, SourceChangedError, TemplateError, TrialError
from resweep.generation import changes, fill
from resweep.sweep import definition

ONE_MORE = TEXT.replace("0.2]", "0.2, 0.7]")
SEARCH = '\n[search]\nmethod = "tpe"\nn = 3\n[results]\nmetric = "loss"\nmode = "min"\n'


@pytest.fixture
def rnn(tmp_path: Path) -> Sweep:
    """A sweep of four trials, not generated yet."""
    return Sweep(tmp_path)


def counts(planned: Any) -> tuple[int, int, int]:
    """How many trials are new, kept and orphaned."""
    return len(planned.new), len(planned.kept), len(planned.orphaned)


# --- the trials that are asked for -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_repeat_is_filled_with_its_own_seed_and_has_the_id_of_its_point(rnn: Sweep) -> None:
    """Trial t of every point gets seed + t; the seeds that the configuration itself gives belong to its id."""
    rnn.text = "seed = 5\nn_trials = 3\nthreads = 2\n" + TEXT
    wanted = rnn.frozen()[1]
    assert [each.entry.trial for each in wanted] == [0, 1, 2] * 4
    assert [each.seed for each in wanted] == [5, 6, 7] * 4
    assert [each.filled["seed"] for each in wanted] == [5, 6, 7] * 4
    assert [(each.filled["lr"], each.filled["dropout"]) for each in wanted[::3]] == [
        (each.config["params"]["lr"], each.config["params"]["dropout"]) for each in wanted[::3]
    ]
    assert {each.threads for each in wanted} == {2}
    rnn.text = "seed = 5\nthreads = 2\n" + TEXT
    assert [each.entry for each in rnn.frozen()[1]] == [each.entry for each in wanted[::3]]
    rnn.text = TEXT
    assert {each.threads for each in rnn.frozen()[1]} == {1}
    assert {(each.entry.number, each.entry.generation) for each in rnn.frozen()[1]} == {(0, 0)}


def test_swept_seeds_and_threads_are_those_of_their_trials(rnn: Sweep) -> None:
    """A point may have its own seed, from 0, and threads, from 1; anything else is named."""
    rnn.text = "n_trials = 2\n[hyper]\nseed = [0, 3]\nthreads = [1, 4]\n[params]\nlr = 0.5\n"
    wanted = rnn.frozen()[1]
    assert [(each.seed, each.filled["seed"], each.threads) for each in wanted[:4]] == [
        (0, 0, 1), (1, 1, 1), (0, 0, 4), (1, 1, 4),
    ]  # fmt: skip
    assert {each.seed for each in wanted} == {0, 1, 3, 4}
    for key, values, least in (("seed", "[-1]", 0), ("threads", "[0]", 1), ("seed", "[true]", 0), ("seed", "[1.5]", 0)):
        rnn.text = f"[hyper]\n{key} = {values}\n[params]\nlr = 0.5\n"
        with pytest.raises(ConfigError, match=rf"hyper\.{key}: found .*, expected whole numbers, {least} or more"):
            rnn.frozen()


@pytest.mark.slow
def test_a_seed_that_a_person_gives_is_taken_out_of_those_that_trials_get(rnn: Sweep) -> None:
    """In [params] or swept it is theirs; repeats of it would repeat one run, and are refused."""
    for text in ("[params]\nlr = 1\nrandom_seed = 9\n", '[params]\nlr = 1\n[hyper]\n"params.random_seed" = [9]\n'):
        rnn.text = text
        (each,) = rnn.frozen()[1]
        assert (each.filled["seed"], each.seed) == (9, 0)
        rnn.text = "n_trials = 2\n" + text
        with pytest.raises(ConfigError, match=r"n_trials: found 2, expected 1: params\.random_seed is given"):
            rnn.frozen()
    (rnn.root / "base.jsonnet").write_text("function(lr) lr")
    rnn.text = "[params]\nlr = 1\n"
    assert [each.filled for each in rnn.frozen()[1]] == [1]
    rnn.text = "n_trials = 2\nseed_params = []\n[params]\nlr = 1\n"
    with pytest.raises(ConfigError, match=r"no seed can reach .*, which takes none of the parameters none"):
        rnn.frozen()


@pytest.mark.slow
def test_a_template_that_fails_is_told_with_the_trial_that_it_fails_for(rnn: Sweep) -> None:
    """Its swept values, however many repeats each point has; the only point of a sweep has none to say."""
    (rnn.root / "base.jsonnet").write_text("function(lr, random_seed) if lr > 0.15 then error 'too high' else lr")
    rnn.text = 'n_trials = 3\n[hyper]\n"params.lr" = [0.1, 0.15, 0.2]\n'
    with pytest.raises(TemplateError, match=r"\(in the trial params\.lr=0\.2\); jsonnet says:"):
        rnn.frozen()
    rnn.text = "[params]\nlr = 1\n"
    with pytest.raises(TemplateError, match=r"too high \(in the trial the only point\); jsonnet says:$") as caught:
        rnn.frozen()
    assert "base.jsonnet:1:" in caught.value.detail
    (rnn.root / "base.jsonnet").write_text("{}")
    rnn.text = "[params]\nrate = 1\n"
    with pytest.raises(TemplateError) as caught:
        rnn.frozen()
    assert "jsonnet says" not in str(caught.value)


@pytest.mark.slow
def test_slurm_is_no_part_of_a_trial(rnn: Sweep) -> None:
    """Two points that differ in what Slurm is asked for alone are a mistake; one reached twice is one."""
    rnn.text = '[hyper]\n"slurm.mem" = ["1g"]\n"params.lr" = [0.1, 0.2]\n'
    wanted = rnn.frozen()[1]
    assert [each.entry.swept for each in wanted] == [
        {"slurm.mem": "1g", "params.lr": 0.1},
        {"slurm.mem": "1g", "params.lr": 0.2},
    ]
    assert all("slurm" not in each.config for each in wanted)
    rnn.text = '[hyper]\n"slurm.mem" = ["1g", "2g"]\n"slurm.time" = [5]\n"params.lr" = [0.1]\n'
    with pytest.raises(
        ConfigError, match=r'hyper\.slurm\.mem: found points .* differ only in slurm\.mem \("1g" and "2g"\)'
    ):
        rnn.frozen()
    one, other = '[[hyper]]\n"params.lr" = [0.1]\n', '[[hyper]]\n"params.lr" = [0.1]\n"slurm.mem" = ["1g"]\n'
    for rnn.text in (one + other, other + one):  # one way asks for nothing, and the other's word counts
        assert [each.entry.swept for each in rnn.frozen()[1]] == [{"params.lr": 0.1, "slurm.mem": "1g"}]


def test_point_and_source_are_known_apart(rnn: Sweep) -> None:
    """An entry's `point` does not change with the source, its `source` not with the values; its id with both."""
    first = [each.entry for each in rnn.frozen()[1]]
    rnn.train = b"other"
    second = [each.entry for each in rnn.frozen()[1]]
    assert [each.point for each in first] == [each.point for each in second]
    assert len({each.point for each in first}) == 4
    assert len({each.source for each in first}) == 1 == len({each.source for each in second})
    assert not {each.source for each in first} & {each.source for each in second}
    assert not {each.id for each in first} & {each.id for each in second}


def test_two_points_whose_ids_begin_alike_are_refused(rnn: Sweep) -> None:
    """Twelve letters of two digests that differ: nothing is mixed."""
    first = rnn.frozen()[1][0].entry
    asked = definition.parse(rnn.text, "rnn.toml")
    fill._check_same(asked, first, first.digest, first.swept)
    with pytest.raises(ConfigError, match=f"two points share the id {first.id} and differ"):
        fill._check_same(asked, first, "0" * 64, first.swept)


@pytest.mark.slow
def test_what_looks_like_a_mistake_is_doubted(rnn: Sweep) -> None:
    """A swept key that the template never sees, and a key that resembles one of the tool's: a line each, no more."""
    assert fill.doubts(rnn.frozen()[0]) == []
    rnn.text = '[hyper]\n"model.dim" = [1, 2]\n"params.lr" = [1]\n"slurm.mem" = ["1g"]\nseed = [1]\nthreads = [1]\n'
    rnn.text += "[model]\ndim = 1\n[sbatch]\nx = 1\n"
    notes = fill.doubts(rnn.frozen()[0])
    assert [note.split(" ")[0] for note in notes] == ["model.dim"]
    rnn.text = "n_trails = 3\n[params]\nlr = 1\n"
    (note,) = fill.doubts(rnn.frozen()[0])
    assert "n_trails: taken for your own; did you mean n_trials?" in note


# --- what is frozen --------------------------------------------------------------------------------------------------


def test_a_generations_record_says_what_was_asked_for(rnn: Sweep) -> None:
    """Everything that makes it this generation, by value or by digest; the same again is the same, and nothing else."""
    rnn.text = "n_trials = 2\n" + TEXT
    frozen = rnn.frozen()[0]
    record = frozen.record
    assert record["settings"] == {"params": {"lr": 0.5}, "n_trials": 2}
    assert (record["config"], record["base"], record["sweep"]) == ("rnn.toml", "base/base.jsonnet", "rnn")
    assert (record["data"], frozen.fingerprints, "search" in record) == (None, None, False)
    assert frozen.same_as(json.loads(json.dumps({**record, "generation": 1, "plan": {}})))
    assert not frozen.same_as(None)
    for key in record:
        assert not frozen.same_as({**record, key: "other"}), key
        assert not frozen.same_as({name: value for name, value in record.items() if name != key and record[key]}) or (
            record[key] is None
        ), key
    rnn.listing = {"format": 1, "files": {"a": {"size": 1, "sha256": "0" * 64}}}
    with_data = rnn.frozen()[0]
    assert with_data.fingerprints == (layout.pretty(rnn.listing) + "\n").encode()
    assert with_data.record["data"] == hashlib.sha256(with_data.fingerprints).hexdigest()


def test_a_metric_belongs_to_a_search_that_learns_alone(rnn: Sweep) -> None:
    """There it decides which points are asked for; a random draw is the same whatever is measured."""
    rnn.text = TEXT + SEARCH
    assert {key: rnn.frozen()[0].record["search"][key] for key in ("metric", "mode")} == {
        "metric": "loss",
        "mode": "min",
    }
    rnn.text = TEXT + SEARCH.replace("tpe", "random")
    assert "metric" not in rnn.frozen()[0].record["search"]


def test_what_a_project_lacks_is_named(tmp_path: Path) -> None:
    """No train.sh, one that cannot be read, or data that is not there: the file, in one line."""
    with pytest.raises(ProjectError, match=r"train\.sh: no such file, expected the script that runs a trial"):
        fill.read_train(tmp_path)
    (tmp_path / "train.sh").mkdir()
    with pytest.raises(ProjectError, match=r"train\.sh: cannot be read \(Is a directory\)"):
        fill.read_train(tmp_path)


# --- new, kept, orphaned ---------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_plan_says_what_is_new_and_what_stays(rnn: Sweep) -> None:
    """Trials keep their numbers and generations; at first there is nothing to explain, and later the values are."""
    first = rnn.write()
    assert (counts(first), first.why, first.notes) == ((4, 0, 0), [], [])
    assert [each.entry.name for each in first.wanted] == [each.name for each in first.new]
    assert repr(first) == "<rnn: 4 new, 0 kept, 0 orphaned>"
    numbers = rnn.numbers()
    again = rnn.plan()
    assert (counts(again), again.files, again.bytes, again.wanted) == ((0, 4, 0), 0, 0, [])
    rnn.text = ONE_MORE
    more = rnn.write()
    assert (counts(more), more.why) == ((2, 4, 0), ["params.lr: 0.7 added"])
    assert [each.generation for each in more.kept] == [1] * 4
    assert numbers.items() <= rnn.numbers().items()
    assert sorted(rnn.numbers().values()) == [1, 2, 3, 4, 5, 6]
    rnn.text = TEXT
    less = rnn.write()
    assert (counts(less), less.why) == ((0, 4, 2), ["params.lr: 0.7 taken out"])
    assert rnn.numbers() == numbers
    assert counts(rnn.plan()) == (0, 4, 0)  # an orphan is one once


def test_a_capsule_that_is_gone_is_written_again_and_one_of_nobodys_list_is_looked_at(rnn: Sweep) -> None:
    """What stands on the disk without being listed is kept if it is that trial, and refused if not."""
    rnn.write()
    entries = index.read(rnn.paths).current()
    shutil.rmtree(rnn.paths.capsule(entries[1].name))
    assert [each.name for each in rnn.plan().new] == [entries[1].name]
    rnn.paths.index.unlink()
    assert counts(rnn.plan()) == (1, 3, 0)
    manifest = rnn.paths.capsule(entries[0].name) / "manifest.json"
    table = json.loads(manifest.read_text())
    manifest.unlink()
    manifest.write_text(json.dumps({**table, "digest": "0" * 64}))
    with pytest.raises(TrialError, match="two trials share an id"):
        rnn.plan()


@pytest.mark.slow
def test_orphans_that_run_are_told(rnn: Sweep) -> None:
    """Whoever takes a value out learns that its trials are at work."""
    rnn.text = ONE_MORE
    rnn.write()
    rnn.end(6, "running")
    rnn.end(1, "running")
    assert not any("running" in note for note in rnn.plan().notes)
    rnn.text = TEXT
    gone = rnn.plan().orphaned
    assert [note for note in rnn.plan().notes if "running" in note] == [
        f"no longer in the sweep, and running: #{number}; `resweep stop rnn` ends them"
        for number in (6, 1)
        if number in {each.number for each in gone}
    ]


# --- another source --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_files_that_changed_are_named_and_how(rnn: Sweep) -> None:
    """train.sh, changed, new and gone files, and a mode where nothing else differs."""
    rnn.write()
    rnn.train = b"other"
    rnn.source = {"qb/main.py": "changed", "qb/new.py": ""}
    notes = rnn.plan().notes
    assert notes == [
        "source changed: train.sh, qb/__init__.py (gone), qb/main.py, qb/new.py (new); "
        "the trials that it replaces had not finished"
    ]
    assert rnn.plan().why == ["source changed: train.sh, qb/__init__.py (gone), qb/main.py, qb/new.py (new)"]
    other = Sweep(rnn.root)
    other.executable = {"qb/main.py"}
    assert other.plan().why == ["source changed: the mode of a file"]
    assert counts(other.plan()) == (4, 0, 4)


@pytest.mark.parametrize(("state", "word"), [("finished", "finished trial"), ("pruned", "pruned trial")])
def test_trials_that_are_over_are_not_run_again_unasked(rnn: Sweep, state: str, word: str) -> None:
    """With another source a person chooses: the trials that ended stay in the sweep, or every point runs again."""
    rnn.write()
    rnn.end(2, state)
    rnn.end(3, "failed")
    rnn.train = b"other"
    with pytest.raises(SourceChangedError, match=r"the source changed \(train\.sh\).*\(1 of them") as caught:
        rnn.plan()
    assert ("1 stopped early" in str(caught.value)) is (state == "pruned")
    assert "runs them again" in str(caught.value)
    anew = rnn.plan("new-source")
    assert (counts(anew), anew.notes) == ((4, 0, 4), [f"1 {word} of an earlier source: left in place, and run again"])
    kept = rnn.write("keep-finished")
    assert (counts(kept), kept.notes) == ((3, 1, 3), [f"1 {word} of an earlier source: kept"])
    assert kept.kept[0].number == 2
    assert [each.swept for each in kept.entries] == [each.entry.swept for each in rnn.frozen()[1]]
    later = rnn.plan()  # the choice holds, and is not asked for again
    assert (counts(later), later.notes) == ((0, 4, 0), [f"1 {word} of an earlier source: kept"])


def test_finished_and_pruned_trials_are_counted_apart(rnn: Sweep) -> None:
    """In the message, and in the note of what is kept."""
    rnn.write()
    rnn.end(1)
    rnn.end(2)
    rnn.end(3, "pruned")
    rnn.train = b"other"
    with pytest.raises(SourceChangedError, match=r"\(3 of them, 1 stopped early\)"):
        rnn.plan()
    assert rnn.plan("keep-finished").notes == ["2 finished and 1 pruned trial of an earlier source: kept"]


def test_a_source_that_changed_under_nothing_is_no_word(rnn: Sweep) -> None:
    """Where no trial of the same point was there, the source replaces none, whether or not others had finished."""
    rnn.write()
    rnn.end(1)
    rnn.train = b"other"
    rnn.text = TEXT.replace("0.1, 0.2", "0.6").replace("0.3, 0.4", "0.7")
    planned = rnn.plan()
    assert (counts(planned), planned.notes) == ((1, 0, 4), [])


# --- a search --------------------------------------------------------------------------------------------------------


def searched(rnn: Sweep) -> Sweep:
    """A search whose workers have written four trials, two of each point, as generation 1."""
    rnn.text = "n_trials = 2\n" + TEXT.replace('"params.dropout" = [0.3, 0.4]\n', "")
    rnn.write()
    rnn.text += SEARCH
    (rnn.paths.generations / "1" / layout.GENERATION).write_text(json.dumps({**rnn.frozen()[0].record, "study": 1}))
    return rnn


def test_a_search_goes_on_with_what_it_has(rnn: Sweep) -> None:
    """The same question: its trials stay, in the study that they began, also with more points to ask for."""
    searched(rnn)
    planned = rnn.plan()
    assert (counts(planned), planned.study, planned.notes, planned.why) == ((0, 4, 0), 1, [], [])
    assert repr(planned) == "<rnn: a search of 3 points, 4 trials kept, 0 orphaned>"
    rnn.text = rnn.text.replace("n = 3", "n = 9")
    more = rnn.plan()
    assert (counts(more), more.study, more.why) == ((0, 4, 0), 1, ["search.n: 3 is now 9"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new"),
    [("0.2]", "0.3]"), ('"loss"', '"acc"'), ('"min"', '"max"'), ("lr = 0.5", "lr = 0.6"), ("template", "")],
)
def test_another_question_is_another_search(rnn: Sweep, old: str, new: str) -> None:
    """Space, metric, mode, settings or template: what was measured says nothing of it, and a note says how it could."""
    searched(rnn)
    if old == "template":
        (rnn.root / "base.jsonnet").write_text("function(lr, random_seed) { other: lr }")
    else:
        assert old in rnn.text
        rnn.text = rnn.text.replace(old, new)
    planned = rnn.plan()
    assert (counts(planned), planned.study) == ((0, 0, 4), 0)
    assert planned.notes[0].startswith("another search begins, without the last one's (4 trials)")
    for entry in index.read(rnn.paths).current():
        shutil.rmtree(rnn.paths.capsule(entry.name))
    assert rnn.plan().notes == []


def test_a_search_asks_before_another_source_takes_over(rnn: Sweep) -> None:
    """As a grid does: begin anew, or go on from what has ended; a point that was begun is measured by one source."""
    searched(rnn)
    rnn.train = b"other"
    unfinished = rnn.plan()
    assert (counts(unfinished), unfinished.study) == ((0, 0, 4), 0)
    assert unfinished.notes == ["source changed: train.sh; the trials that ran it had not finished"]
    rnn.end(1)
    with pytest.raises(SourceChangedError, match=r"\(1 of them\).*--new-source begins anew.*goes on from them"):
        rnn.plan()
    anew = rnn.plan("new-source")
    assert (counts(anew), anew.study) == ((0, 0, 4), 0)
    assert anew.notes == ["1 finished trial of an earlier source: left in place"]
    kept = rnn.plan("keep-finished")
    assert (counts(kept), kept.study) == ((0, 2, 2), 1)
    assert kept.notes == ["1 finished trial of an earlier source: kept, with 1 more of their points"]
    rnn.end(2)
    assert rnn.plan("keep-finished").notes == ["2 finished trials of an earlier source: kept"]
    rnn.end(3, "running")
    running = rnn.plan("keep-finished")
    assert counts(running) == (0, 4, 0)
    assert running.notes == ["2 finished trials of an earlier source: kept, with 2 more of their points"]
    rnn.write("keep-finished")
    later = rnn.plan()  # kept until the source changes again, or another is asked for
    assert (counts(later), later.study) == ((0, 4, 0), 1)
    assert later.notes == ["2 finished trials of an earlier source: kept"]
    assert (counts(rnn.plan("new-source")), rnn.plan("new-source").study) == ((0, 0, 4), 0)


STOP = '[search.stop]\nmethod = "median"\n[results]\nmetric = "loss"\n'


@pytest.mark.slow
def test_trials_that_another_rule_stopped_are_told(rnn: Sweep) -> None:
    """They stay as they are, and the note says what trains them to their end; no rule before, none now, no note."""
    rnn.text = TEXT + STOP
    rnn.write()
    rnn.end(1, "pruned")
    rnn.end(2)
    assert rnn.plan().notes == []
    rnn.text = TEXT + STOP.replace("median", "percentile").replace('"\n[res', '"\npercentile = 20\n[res')
    (note,) = rnn.plan().notes
    assert note.startswith("1 trial stopped early by [search.stop] as it was: left as they are; `resweep run rnn --st")
    rnn.text = TEXT
    assert len(rnn.plan().notes) == 1
    rnn.write()
    rnn.text = TEXT + STOP
    assert rnn.plan().notes == []


@pytest.mark.slow
def test_curves_are_compared_as_long_as_the_training_is_the_same(rnn: Sweep) -> None:
    """A grid's early stopping goes on with what earlier generations measured, with more values or repeats too."""
    rnn.text = TEXT + STOP
    assert rnn.plan().study == 0
    rnn.write()
    rnn.text = "n_trials = 2\n" + ONE_MORE + STOP
    assert rnn.plan().study == 1
    rnn.write()
    assert rnn.plan().study == 1
    for change in ("settings", "source", "template"):
        other = Sweep(rnn.root)
        other.text = rnn.text.replace("lr = 0.5", "lr = 0.6") if change == "settings" else rnn.text
        other.train = b"other" if change == "source" else other.train
        if change == "template":
            (rnn.root / "base.jsonnet").write_text("function(lr, dropout, random_seed) lr")
        assert other.plan().study == 0, change


# --- the data --------------------------------------------------------------------------------------------------------


def test_data_that_changed_is_told_though_ids_do_not_tell(rnn: Sweep) -> None:
    """By name, and how many trials finished with the data as it was."""
    rnn.listing = {"format": 1, "files": {"a.json": {"size": 1, "sha256": "0" * 64}}}
    rnn.write()
    assert rnn.plan().why == []
    rnn.listing = {"format": 1, "files": {"a.json": {"size": 2, "sha256": "1" * 64}}}
    (line,) = rnn.plan().why
    assert line.startswith("data changed: a.json")
    assert "finished" not in line
    rnn.end(1)
    assert rnn.plan().why[0].endswith("; finished with the data as it was: 1 trial")
    assert counts(rnn.plan()) == (0, 4, 0)


# --- why -------------------------------------------------------------------------------------------------------------


def explained(before: str, after: str) -> list[str]:
    """What is said of a change of [hyper]."""
    raw = [definition.parse(text, "rnn.toml").hyper.raw for text in (before, after)]
    records = [{"hyper": each, "settings": {}, "sources": {}} for each in raw]
    return changes.changes(*records, [])


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("[hyper]\na.x = [1]", "[hyper]\na.x = [1]", []),
        ("[hyper]\na.x = [1]", "[hyper]\na.x = [1, 1.0, true]", ["a.x: 1.0, true added"]),
        ("[hyper]\na.x = [1, 2]", "[hyper]\na.x = [3, 2]", ["a.x: 3 added", "a.x: 1 taken out"]),
        ("[hyper]\na.x = [1]", "[hyper]\na.y = [2]", ["a.x: 1 taken out", "a.y: 2 added"]),
        (
            '[hyper]\na.x = { uniform = [0, 1] }\n[search]\nmethod = "random"\nn = 3',
            '[hyper]\na.x = { uniform = [0, 2] }\n[search]\nmethod = "random"\nn = 3',
            ["a.x: uniform [0, 2] added", "a.x: uniform [0, 1] taken out"],
        ),
        (
            "[hyper]\na.x = [1, 2]\na.y = [1, 2]\nexclude = [{ a.x = 1, a.y = 2 }]",
            "[hyper]\na.x = [1, 2]\na.y = [1, 2]\nexclude = [{ a.y = 2, a.x = 1 }]",
            [],
        ),
        ("[hyper]\na.x = [1]", "[hyper]\na.x = [1]\ninclude_default = true", ["include_default: added"]),
        ("[hyper]\na.x = [1]\ninclude_default = true", "[hyper]\na.x = [1]", ["include_default: taken out"]),
        ("[hyper]\na.x = [1]", "[[hyper]]\na.x = [1]\n[[hyper]]\na.x = [1]", ["hyper: one table is now 2 tables"]),
        (
            "[[hyper]]\na.x = [1, 2]\na.y = [3]\n[[hyper]]\na.x = [1]\na.y = [4]",
            "[[hyper]]\na.x = [1, 2]\na.y = [4]\n[[hyper]]\na.x = [1]\na.y = [3]",
            ["hyper: the same values are combined in another way"],
        ),
        (
            "[hyper]\na.x = [1, 2]",
            "[hyper]\na.x = [1, 2]\nexclude = [{ 'a.x' = 1 }]",
            ['exclude: {"a.x": 1} added'],
        ),
    ],
)
def test_every_change_of_the_grid_is_named(before: str, after: str, said: list[str]) -> None:
    """Values by what they are in TOML, tables, defaults and exclusions; what only stands in another order is none."""
    assert explained(before, after) == said


def test_a_grid_that_this_version_cannot_read_has_changed(rnn: Sweep) -> None:
    """What an earlier version allowed is no reason to fail."""
    now = {"hyper": definition.parse("[hyper]\na.x = [1]", "").hyper.raw, "settings": {}, "sources": {}}
    assert changes.changes({**now, "hyper": [{"a.x": 3}]}, now, []) == ["hyper: changed"]


def test_an_argument_of_early_stopping_is_called_as_a_person_wrote_it() -> None:
    """`search.stop.patience`, wherever it is kept."""
    stops = [{"stop": {"arguments": {"patience": n}}} for n in (3, 5)]
    last, now = ({"hyper": None, "settings": {}, "search": each, "sources": {}} for each in stops)
    assert changes.changes(last, now, []) == ["search.stop.patience: 3 is now 5"]


def test_settings_template_and_source_are_named() -> None:
    """A key that is new, gone or has another value, at any depth; files that are; nothing where nothing differs."""
    last = {"hyper": None, "settings": {"a": {"b": 1, "c": [1]}, "n_trials": 1}, "sources": {"x": "1", "y": "2"}}
    now = {"hyper": None, "settings": {"a": {"b": 1.0, "d": "ü"}, "n_trials": 1}, "sources": {"x": "2", "z": "2"}}
    assert changes.changes(last, now, ["train.sh"]) == [
        "a.b: 1 is now 1.0",
        "a.c: [1] is now nothing",
        'a.d: nothing is now "ü"',
        "template changed: x, y, z",
        "source changed: train.sh",
    ]
    assert changes.changes(last, last, []) == []


def test_long_lists_of_names_are_cut() -> None:
    """Six, and how many more."""
    names = [str(number) for number in range(8)]
    assert changes.some(names[:6]) == "0, 1, 2, 3, 4, 5"
    assert changes.some(names) == "0, 1, 2, 3, 4, 5 and 2 more"
