"""One attempt: what it finds, what it leaves, and whose source it runs.

Code: launcher/
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from launched import PYTHONS, Trial, list_anew, until
from small_project import TRAIN_2020, Project

from resweep import layout as trial_
from resweep.launcher import bundle, claims, main, processes, storage, training_environment, trial_state
from resweep.launcher.places import Place
from resweep.launcher.storage import AttemptError

SHOW_ENVIRONMENT = 'env -0 > "$root/environment"'


def shown(trial: Trial) -> dict[str, str]:
    """The environment that train.sh had."""
    text = (trial.project.root / "environment").read_text()
    return dict(line.split("=", 1) for line in text.split("\0") if line)


def test_finished_attempt_leaves_toml_log_record_and_moves_its_output(trial: Trial) -> None:
    """What an attempt leaves is its TOML, log and record; what training wrote lies in the trial's own place."""
    result = trial.launch()
    assert result.status == 0
    assert result.out.startswith(f"rnn/{trial.name}: finished in ")
    assert sorted(os.listdir(trial.directory())) == sorted(
        [f"{trial.name.id}.toml", "environment.json", "log.txt", "output", "record.json"]
    )
    assert "trains with" in trial.log()
    assert json.loads((trial.output / "metrics.json").read_text())["seed"] == 0
    assert sorted(os.listdir(trial.place.attempts)) == ["1", "finished"]
    assert trial.state == "finished"


def test_attempt_toml_has_the_four_paths_absolute(trial: Trial) -> None:
    """train.sh gets a TOML in which conf_dir, conf_path, allennlp_conf and serialization_dir are absolute."""
    trial.launch().ok()
    path = trial.directory() / f"{trial.name.id}.toml"
    conf = tomllib.loads(path.read_text())
    frozen = tomllib.loads((trial.capsule / path.name).read_text())
    paths = {
        "conf_dir": str(trial.capsule),
        "conf_path": str(path),
        "allennlp_conf": str(trial.capsule / f"{trial.name.id}.json"),
        "serialization_dir": str(trial.directory() / "output"),
    }
    assert conf == frozen | paths


def test_attempt_toml_changes_nothing_below_its_header(tmp_path: Path) -> None:
    """Lines of the configuration that look like the tool's keys stay as they are."""
    body = 'text = """\n\nconf_dir = "mine"\nserialization_dir = "mine"\n"""\n\n[a]\nconf_path = "mine"\n'
    header = 'generated_id = "x"\nconf_dir = "."\nconf_path = "x.toml"\nallennlp_conf = "x.json"\n'
    (tmp_path / "x.toml").write_text(f'{header}serialization_dir = "../o"\n\n{body}')
    text = training_environment.attempt_toml(str(tmp_path), "x", "/here/x.toml", "/here/output")
    assert text.endswith("\n\n" + body)
    assert tomllib.loads(text)["serialization_dir"] == "/here/output"


def test_attempt_toml_refuses_a_header_without_its_keys(tmp_path: Path) -> None:
    """A TOML whose header lost a key is a mistake with a name, not another directory."""
    (tmp_path / "x.toml").write_text('conf_dir = "."\n\nconf_path = "x"\n')
    with pytest.raises(AttemptError, match=r"no conf_path in its header"):
        training_environment.attempt_toml(str(tmp_path), "x", "/here/x.toml", "/here/output")


@pytest.mark.parametrize("text", ['a"b', "a\\b", "ü\x7f\x01", "a\nb", "$(x) 'y'"])
def test_toml_string_reads_back(text: str) -> None:
    """Any path is written so that TOML reads the same."""
    assert tomllib.loads(f"x = {storage.toml_string(text)}")["x"] == text


def test_toml_string_refuses_a_path_that_is_no_text() -> None:
    """A path that is not UTF-8 cannot stand in a TOML, and is named."""
    with pytest.raises(AttemptError, match="UTF-8"):
        storage.toml_string("a\udc80")


def test_record_says_who_when_and_how(trial: Trial) -> None:
    """The record holds host, processes, times, exit status and memory, readable in any language."""
    begin = time.monotonic()
    trial.launch(SLURM_JOB_ID="7", SLURM_JWT="secret").ok()
    elapsed = time.monotonic() - begin
    record = trial.record()
    assert record["state"] == "finished"
    assert (record["id"], record["trial"], record["attempt"]) == (trial.name.id, 0, 1)
    assert record["exit_status"] == 0
    assert record["signal"] is None
    assert record["started"] < record["ended"]
    assert 0 < record["seconds"] < elapsed
    assert record["pid"] != record["group"]
    assert record["pid_start"] <= record["group_start"]
    assert record["peak_memory_bytes"] > 1e6
    assert record["slurm"] == {"SLURM_JOB_ID": "7"}


def test_record_of_a_running_attempt_names_its_processes(trial: Trial) -> None:
    """While training runs, the record says so and names its process group, and the heartbeat beats."""
    trial.train('touch "$root/started"; while [ ! -e "$root/go" ]; do sleep 0.01; done')
    process = trial.start()
    until((trial.project.root / "started").exists)
    record = trial.record()
    assert (record["state"], record["pid"]) == ("running", process.pid)
    assert os.getpgid(record["group"]) == os.getsid(record["group"]) == record["group"]
    trial.until_it_trains()
    assert trial.state == "running"
    (trial.project.root / "go").touch()
    assert process.wait(300) == 0
    assert not (trial.directory() / "heartbeat").exists()


def test_environment_puts_what_is_frozen_first(trial: Trial) -> None:
    """The capsule leads PYTHONPATH, before what was there, and Python writes no bytecode into it."""
    trial.train(SHOW_ENVIRONMENT)
    trial.launch(PYTHONPATH="/decoy", PYTHONSAFEPATH="1").ok()
    env = shown(trial)
    assert env["PYTHONPATH"] == f"{trial.capsule}:{trial.directory()}/witness:/decoy"
    assert env["PYTHONDONTWRITEBYTECODE"] == "1"
    assert env["PYTHONHASHSEED"] == "0"
    assert "PYTHONSAFEPATH" not in env
    assert env["RESWEEP_ATTEMPT"] == "1"
    assert env["RESWEEP_DATA"] == str(trial.project.root)
    assert env["RESWEEP_PYTHON"] == sys.executable


def test_environment_keeps_data_and_takes_threads_from_the_manifest(trial: Trial) -> None:
    """RESWEEP_DATA stays what a person set; every thread variable is what the trial was frozen with."""
    trial.train(SHOW_ENVIRONMENT)
    manifest = json.loads((trial.capsule / "manifest.json").read_text())
    trial.damage("manifest.json", json.dumps(manifest | {"threads": 3}))
    list_anew(trial.capsule)
    trial.launch(RESWEEP_DATA="/data", OMP_NUM_THREADS="64").ok()
    env = shown(trial)
    assert env["RESWEEP_DATA"] == "/data"
    assert {env[name] for name in training_environment.THREAD_VARIABLES} == {"3"}


def test_environment_has_a_src_layout_on_its_path(trial: Trial) -> None:
    """A frozen src/ comes after the capsule and before everything else."""
    (trial.capsule / "src").mkdir()
    trial.train(SHOW_ENVIRONMENT)
    trial.launch().ok()
    assert shown(trial)["PYTHONPATH"] == f"{trial.capsule}:{trial.capsule}/src:{trial.directory()}/witness"


def test_python_of_a_train_script_of_2020_is_the_chosen_one(trial: Trial, tmp_path: Path) -> None:
    """`python` is RESWEEP_PYTHON, even where that is called otherwise and another `python` lies beside it."""
    folder = tmp_path / "it's a bin"
    folder.mkdir()
    (folder / "mypython3").write_text(f'#!/bin/sh\nCHOSEN=yes exec {sys.executable} "$@"\n')
    (folder / "python").write_text("#!/bin/sh\nexit 9\n")
    for file in folder.iterdir():
        file.chmod(0o755)
    trial.train("python -c \"import os, sys; sys.exit(os.environ['CHOSEN'] != 'yes')\"")
    trial.launch(RESWEEP_PYTHON=str(folder / "mypython3")).ok()


def test_python_in_a_virtual_environment_stays_in_it(trial: Trial, tmp_path: Path) -> None:
    """A virtual environment's interpreter by another name than `python` still finds its packages."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    (tmp_path / "venv/bin/python").unlink()
    (tmp_path / "venv/bin/python3").rename(tmp_path / "venv/bin/mine")
    (tmp_path / "venv/bin/mine").unlink()
    (tmp_path / "venv/bin/mine").symlink_to(os.path.realpath(sys.executable))
    trial.train('python -c "import sys; print(sys.prefix)"')
    trial.launch(RESWEEP_PYTHON=str(tmp_path / "venv/bin/mine")).ok()
    assert trial.log().strip() == str(tmp_path / "venv")


def test_unknown_interpreter_is_refused(trial: Trial) -> None:
    """A RESWEEP_PYTHON that is not there is a mistake of one line; nothing else trains instead of it."""
    result = trial.launch(RESWEEP_PYTHON="/no/such/python")
    assert result.status == 2
    assert "RESWEEP_PYTHON" in result.out
    assert "/no/such/python" in result.out
    assert "Traceback" not in result.out
    assert result.out.count("\n") == 1


def test_frozen_source_runs_whatever_became_of_the_live_one(swept: Project, tmp_path: Path) -> None:
    """The live qb/ is deleted and decoys are installed: the capsule's source runs, and nothing is written into it."""
    decoy = tmp_path / "site"
    (decoy / "qb").mkdir(parents=True)
    (decoy / "qb/__init__.py").write_text("raise SystemExit('decoy')")
    for capsule in swept.capsules():
        (capsule / "qb/main.py").unlink()
        (capsule / "qb/main.py").write_text("import qb, sys; print(qb.__file__); import qb.part")
        (capsule / "qb/part.py").write_text("")
        list_anew(capsule)
    shutil.rmtree(swept.root / "qb")
    before = swept.tree("config")
    capsule = swept.capsules()[0]
    done = swept.shell(f"cd /; PYTHONPATH={decoy} python -B '{swept.paths().launcher}' run '{capsule}'").ok()
    assert "finished" in done.out
    log = Path(Place(str(capsule)).attempt(1), "log.txt").read_text()
    assert log.strip() == str(capsule / "qb/__init__.py")
    assert swept.tree("config") == before


def test_train_script_gets_its_arguments_and_directory(trial: Trial) -> None:
    """train.sh is called with CONF_DIR CONF_PATH, in the capsule, with nothing to read from."""
    trial.train('printf "%s\\n" $# "$1" "$2" "$PWD"; cat')
    trial.launch().ok()
    toml = trial.directory() / f"{trial.name.id}.toml"
    assert trial.log().splitlines() == ["2", str(trial.capsule), str(toml), str(trial.capsule)]


def test_train_script_of_2020_works(tmp_path: Path, project: Project) -> None:
    """`cd $1` and `python qb/main.py train $2` run unchanged, in a project without a space in its path."""
    plain = type(project)(tmp_path / "plain")
    plain.write({"train.sh": TRAIN_2020}).generate("--no-slurm-job").ok()
    entry = plain.entries()[0]
    plain.shell(f"python -B config/generated/rnn/attempt.py run config/generated/rnn/{entry.name}").ok()
    assert Path(plain.paths().place(entry.name).output, "metrics.json").is_file()


@pytest.mark.parametrize(
    "script",
    [
        'echo old > "$out/old"; rm -r "$out"; mkdir "$out"; echo 1 > "$out/metrics.json"',
        '[ -z "$(ls -A "$out")" ] || exit 1; echo 1 > "$out/metrics.json"',
    ],
    ids=["recreates", "refuses"],
)
def test_training_owns_its_output_directory(trial: Trial, script: str) -> None:
    """Training may delete its directory, as AllenNLP's force=True does, or refuse a full one: log and record stay."""
    trial.train(f"echo before; {script}; echo after")
    trial.launch().ok()
    assert os.listdir(trial.output) == ["metrics.json"]
    assert trial.log() == "before\nafter\n"
    assert trial.record()["state"] == "finished"


def test_a_plain_script_finds_its_output_directory_and_one_that_failed_leaves_none(trial: Trial) -> None:
    """It exists and is empty in each attempt; where nothing was written, nothing is kept."""
    trial.train('ls -A "$out"; [ $RESWEEP_ATTEMPT = 2 ] || exit 1; echo 1 > "$out/m.txt"')
    assert trial.launch().status == 1
    assert "output" not in os.listdir(trial.directory())
    trial.launch().ok()
    assert trial.log(1) + trial.log(2) == ""
    assert os.listdir(trial.output) == ["m.txt"]


@pytest.mark.slow
def test_a_training_that_makes_its_output_directory_itself_finds_none(project: Project, tmp_path: Path) -> None:
    """Where `[run] make_output` says so; a capsule that is copied away says it, too, and one word makes it another."""
    text = (project.root / "config/rnn.toml").read_text()
    train = 'cd "$1"; python -S -c "import os; os.mkdir(os.environ[\'RESWEEP_OUTPUT\'])"\n'
    project.write({"train.sh": train, "config/rnn.toml": text + "[run]\nmake_output = false\n"})
    project.generate().ok()
    project.resweep("run", "rnn#1").ok()
    name = project.entries()[0].name
    shutil.copytree(project.paths().capsule(name), tmp_path / "alone")
    subprocess.run(["bash", str(tmp_path / "alone" / "rerun.sh")], cwd=tmp_path, check=True)
    project.write({"config/rnn.toml": text})
    project.generate().ok()
    assert project.resweep("run", "rnn#2").status == 1
    log = Path(project.paths().place(project.entries()[1].name).attempt(1), "log.txt")
    assert "FileExistsError" in log.read_text()


def test_training_that_writes_nothing_finishes(trial: Trial) -> None:
    """A training without output gives an empty directory, and the trial does not run again."""
    trial.train("true")
    trial.launch().ok()
    assert os.listdir(trial.output) == []
    assert "finished already" in trial.launch().ok().out
    assert trial.place.last() == 1


def test_exit_status_is_passed_on(trial: Trial) -> None:
    """The launcher's status is train.sh's, and the line that it prints names the log."""
    trial.train("exit 7")
    result = trial.launch()
    assert result.status == 7
    assert "(exit status 7)" in result.out
    assert f"log: {trial.directory()}/log.txt" in result.out
    assert trial.record()["exit_status"] == 7
    assert trial.state == "failed"


def test_death_by_signal_is_recorded(trial: Trial) -> None:
    """A training that a signal ends has failed, and the record names the signal."""
    trial.train("kill -SEGV $$")
    assert trial.launch().status == 128 + signal.SIGSEGV
    assert (trial.record()["signal"], trial.record()["exit_status"]) == ("SIGSEGV", None)
    assert trial.state == "failed"


def test_failed_output_is_kept_apart_and_the_trial_runs_again(trial: Trial) -> None:
    """What a failed attempt wrote stays with it, and the next attempt starts with nothing of it."""
    trial.train('mkdir -p "$out" && echo $RESWEEP_ATTEMPT > "$out/of"; [ $RESWEEP_ATTEMPT = 2 ]')
    assert trial.launch().status == 1
    assert not trial.output.exists()
    assert trial.launch().status == 0
    assert (trial.directory(1) / "output/of").read_text() == "1\n"
    assert (trial.output / "of").read_text() == "2\n"
    assert (trial.directory(2) / "output").is_symlink()
    assert json.loads(Path(trial.place.attempts, "finished").read_text())["attempt"] == 2


def test_finished_trial_is_not_run_again(trial: Trial) -> None:
    """A second launch of a finished trial says so, starts nothing, and exits 0."""
    trial.launch().ok()
    before = trial.project.tree("model")
    assert trial.launch().ok().out == f"rnn/{trial.name}: finished already\n"
    assert trial.project.tree("model") == before


def test_output_of_nobody_is_not_overwritten(trial: Trial) -> None:
    """An output directory that no attempt made is a mistake of one line, and stays."""
    trial.output.mkdir(parents=True)
    (trial.output / "mine").write_text("x")
    result = trial.launch()
    assert result.status == 2
    assert str(trial.output) in result.out
    assert result.out.count("\n") == 1
    assert os.listdir(trial.output) == ["mine"]
    assert trial.state == "queued"


def test_bash_missing_is_a_failed_attempt(trial: Trial) -> None:
    """Without bash on PATH the attempt fails with status 127 and its log says why."""
    assert trial.launch(PATH="/nowhere").status == 127
    assert "could not be started" in trial.log()
    assert trial.state == "failed"


@pytest.mark.parametrize("name", ["$(touch x) `y`", 'it\'s "quoted"', "größe 量", "a*?[b]", "-dash"])
def test_any_path_works(trial: Trial, tmp_path: Path, name: str) -> None:
    """A project may lie at any path that TOML can hold."""
    trial.project.root.rename(tmp_path / name)
    capsule = tmp_path / name / trial.capsule.relative_to(trial.project.root)
    launcher = capsule.parent.parent / "attempt.py"
    done = subprocess.run([sys.executable, "-B", launcher, "run", capsule], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    output = tmp_path / name / "model/generated/rnn" / str(trial.name)
    assert (output / "metrics.json").is_file()
    assert not (tmp_path / name / "x").exists()


def test_path_with_a_colon_is_refused(trial: Trial, tmp_path: Path) -> None:
    """PYTHONPATH cannot hold a colon: another source would run silently, so it is refused."""
    trial.project.root.rename(tmp_path / "a:b")
    capsule = tmp_path / "a:b" / trial.capsule.relative_to(trial.project.root)
    done = subprocess.run(
        [sys.executable, "-B", capsule.parent.parent / "attempt.py", "run", capsule],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "PYTHONPATH" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "a:b/model").exists()


def test_generated_directories_may_be_links_elsewhere(trial: Trial, tmp_path: Path) -> None:
    """config/generated and model/generated as symbolic links to other disks work, and are not resolved."""
    for kind in ("config", "model"):
        link = trial.project.root / kind / "generated"
        link.mkdir(parents=True, exist_ok=True)
        link.rename(tmp_path / kind)
        link.symlink_to(tmp_path / kind)
    trial.launch().ok()
    assert (tmp_path / "model/rnn" / str(trial.name) / "metrics.json").is_file()
    assert str(trial.capsule) in (trial.directory() / f"{trial.name.id}.toml").read_text()


def test_capsule_outside_a_project_is_told_of_rerun(trial: Trial, tmp_path: Path) -> None:
    """`run` of a capsule that stands in no project names the script that runs it anywhere."""
    shutil.copytree(trial.capsule, tmp_path / "copy")
    done = subprocess.run(
        [sys.executable, "-B", trial.launcher, "run", tmp_path / "copy"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "rerun.sh" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "no readable manifest.json"), ("{", "manifest.json"), ('{"format": 99}', "another version")],
)
def test_what_is_no_capsule_is_refused(trial: Trial, text: str | None, said: str) -> None:
    """A directory without a manifest, with a torn one, or of a newer format is named in one line."""
    (trial.capsule / "manifest.json").unlink()
    if text is not None:
        (trial.capsule / "manifest.json").write_text(text)
    result = trial.launch()
    assert result.status == 2
    assert said in result.out
    assert result.out.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [[], ["run"], ["walk", "x"], ["run", "x", "y"], ["rerun", "x", "y", "z"], ["task", "x"]]
)
def test_wrong_arguments_give_the_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Anything but the two forms prints the usage and exits 2."""
    assert main.main(arguments) == 2
    assert capsys.readouterr().err.startswith("usage: attempt.py run ")


def test_a_sweep_has_the_launcher_as_it_is(trial: Trial) -> None:
    """One file, the same for all sweeps."""
    assert trial.launcher.read_text() == bundle.text()


@pytest.mark.parametrize("version", sorted(PYTHONS, key=lambda version: int(version[2:])))
def test_the_launcher_runs_under_every_python_of_this_machine(trial: Trial, version: str) -> None:
    """3.8 is the oldest: an attempt that fails, one that finishes, and the re-run of a copy that lies elsewhere."""
    trial.change("train.sh", 'echo ran; test -d "$RESWEEP_OUTPUT" && exit "${EXITS:-0}"\n')
    shell = trial.project.shell
    launch = f"{PYTHONS[version]} -ISB {shlex.quote(str(trial.launcher))} run {shlex.quote(str(trial.capsule))}"
    assert shell(launch, RESWEEP_PYTHON=PYTHONS[version], EXITS="3").status == 3
    assert "finished in" in shell(launch, RESWEEP_PYTHON=PYTHONS[version]).ok().out
    shutil.copytree(trial.capsule, trial.project.root / "elsewhere")
    shell("bash elsewhere/rerun.sh again", RESWEEP_PYTHON=PYTHONS[version]).ok()
    assert (trial.project.root / "again" / "log.txt").read_text() == "ran\n"


@pytest.mark.parametrize("damage", ["empty", "torn", "another's", "not to be written"])
def test_what_the_launcher_has_compiled_is_used_only_where_it_is_whole_and_ones_own(
    trial: Trial, tmp_path: Path, damage: str
) -> None:
    """Compiled once for a Python, and kept in the user's cache; else compiled again, and never a reason to fail."""
    trial.change("train.sh", "exit 0\n")
    cache = tmp_path / "cache" / "resweep"
    launch = f"{sys.executable} -ISB {shlex.quote(str(trial.launcher))} run {shlex.quote(str(trial.capsule))}"
    if damage == "not to be written":
        (tmp_path / "cache").write_text("a file")
        assert "finished in" in trial.project.shell(launch, XDG_CACHE_HOME=str(tmp_path / "cache")).ok().out
        return
    trial.project.shell(launch, XDG_CACHE_HOME=str(tmp_path / "cache")).ok()
    (kept,) = cache.iterdir()
    whole = kept.read_bytes()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    if damage == "another's":  # who may write it is not this user alone
        kept.write_bytes(b"\0" * len(whole))
        kept.chmod(0o666)
    else:
        kept.write_bytes(whole[: len(whole) // 2] if damage == "torn" else b"")
    assert "finished already" in trial.project.shell(launch, XDG_CACHE_HOME=str(tmp_path / "cache")).ok().out
    assert kept.read_bytes() == whole
    assert [path.name for path in cache.iterdir()] == [kept.name]


# --- places, records and states, looked at from outside --------------------------------------------------------------

TOML = "".join(f'{key} = "x"\n' for key in ("conf_dir", "conf_path", "allennlp_conf", "serialization_dir")) + "\n"
MANIFEST = trial_.sealed(
    {
        "format": 1,
        "id": "abc",
        "trial": 4,
        "threads": 1,
        "files": {"abc.toml": hashlib.sha256(TOML.encode()).hexdigest()},
        "snapshot": {"digest": "0" * 64, "files": {}, "executable": []},
    }
)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A trial of a project that was never run: its manifest and a TOML, and nothing else."""
    capsule = tmp_path / "config/generated/rnn/abc/4"
    capsule.mkdir(parents=True)
    (capsule / "manifest.json").write_text(json.dumps(MANIFEST))
    (capsule / "abc.toml").write_text(TOML)
    return Place(str(capsule))


def noted(place: Place, number: int, **values: Any) -> dict[str, Any]:
    """An attempt's record, written as one that has ended."""
    record = {**claims.new_record(MANIFEST, number), **values}
    os.makedirs(place.attempt(number))
    storage.write_json(os.path.join(place.attempt(number), "record.json"), record)
    return record


def test_a_place_is_known_by_its_path_alone(tmp_path: Path) -> None:
    """PROJECT/config/generated/NAME/ID/TRIAL, also where the project is the root of the disk; no other path is one."""
    place = Place(f"{tmp_path}/config/generated/rnn/abc/../abc/4/")
    assert (place.in_project, place.root, place.label) == (True, str(tmp_path), "rnn/abc/4")
    assert place.output == f"{tmp_path}/model/generated/rnn/abc/4"
    assert place.attempts == place.output + ".attempts"
    assert place.attempt(12) == place.attempts + "/12"
    top = Place("/config/generated/rnn/abc/4")
    assert (top.in_project, top.root, top.output) == (True, "/", "/model/generated/rnn/abc/4")
    for other in ("/a/b/c/d/e/f", "/config/generated/abc/4", "/config/generated/rnn/abc/4/qb", "/generated/rnn/abc/4"):
        assert not Place(other).in_project, other
    assert Place("/a/b/c/d").label == "b/c/d"


def test_attempts_are_counted_by_their_directories(place: Place) -> None:
    """0 before the first; the highest number, not the number of names; what `exec` or a claim leaves is none."""
    assert place.last() == 0
    os.makedirs(place.attempts)
    assert place.last() == 0
    for name in ("2", "10", "exec-a-11", ".new-x", "finished"):
        os.mkdir(os.path.join(place.attempts, name))
    assert place.last() == 10


@pytest.mark.parametrize("state", ["failed", "stopped", "pruned"])
def test_the_last_attempt_says_how_a_trial_is(place: Place, state: str) -> None:
    """Whatever earlier attempts came to, until one has finished; that one counts, also when another ran later."""
    assert trial_state.state(place) == ("queued", {})
    noted(place, 1, state="failed" if state != "failed" else "stopped")
    second = noted(place, 2, state=state)
    assert trial_state.state(place) == (state, second)
    assert not claims.settle(place)
    first = noted(place, 3, state="finished")
    assert claims.count(place, 3)
    noted(place, 4, state="failed")
    assert trial_state.state(place) == ("finished", first)
    assert claims.settle(place)


def test_a_record_of_this_host_whose_processes_are_gone_is_lost(place: Place) -> None:
    """At once, however young its heartbeat is; on another host it lives until its time is up."""
    record = noted(place, 1, pid_start=1)
    processes.note_processes(os.path.join(place.attempt(1), "heartbeat"), record)
    assert trial_state.state(place) == ("lost", record)
    for key in ("host", "boot"):
        processes.note_processes(os.path.join(place.attempt(1), "heartbeat"), record | {key: "another"})
        assert trial_state.state(place)[0] == "running"
    processes.note_processes(os.path.join(place.attempt(1), "heartbeat"), record | processes.this_process())
    assert trial_state.state(place) == ("running", record | processes.this_process())
    assert sorted(os.listdir(place.attempt(1))) == ["heartbeat", "record.json"]  # no probe of the clock is left


def test_staleness_is_told_by_the_file_servers_clock(place: Place) -> None:
    """300 seconds without a sign of life is lost, less is running; the record counts where no heartbeat is."""
    noted(place, 1, host="elsewhere")
    directory = place.attempt(1)
    now = trial_state.server_time(directory)
    assert sorted(os.listdir(directory)) == ["record.json"]
    for name in ("record.json", "heartbeat"):
        for age, state in ((290, "running"), (310, "lost")):
            Path(directory, name).touch()
            os.utime(os.path.join(directory, name), (now - age, now - age))
            if name == "heartbeat":
                processes.note_processes(os.path.join(directory, name), storage.read_json(f"{directory}/record.json"))
                os.utime(os.path.join(directory, name), (now - age, now - age))
            assert trial_state.state(place)[0] == state


def test_an_attempt_whose_directory_is_gone_is_not_alive(place: Place) -> None:
    """Who looks while another process removes an attempt finds nothing that lives."""
    record = noted(place, 1, host="elsewhere")
    shutil.rmtree(place.attempt(1))
    assert not trial_state.alive(place.attempt(1), record)


def test_a_claim_has_the_next_number_or_the_one_that_was_decided_on(place: Place) -> None:
    """The first is 1; a number that a task of Slurm's decided on is claimed or nothing is."""
    gpus = ({"index": 0},)
    state, record = claims.begin(place, MANIFEST, gpus=gpus)
    assert (state, record["attempt"], record["gpus"]) == ("claimed", 1, list(gpus))
    assert (record["id"], record["trial"], record["data"], record["data_changed"]) == ("abc", 4, None, [])
    written = json.loads(Path(place.attempt(1), "record.json").read_text())
    assert written == record
    assert claims.begin(place, MANIFEST) == ("running", record)
    storage.write_json(os.path.join(place.attempt(1), "record.json"), record | {"state": "failed"})
    assert claims.begin(place, MANIFEST, 1)[0] == "running"  # another had attempt 1 before
    assert claims.begin(place, MANIFEST)[1]["attempt"] == 2
    assert sorted(os.listdir(place.attempts)) == ["1", "2"]


def test_what_is_over_is_not_claimed_unless_somebody_decided(place: Place) -> None:
    """A finished trial never; one that was stopped early only where the caller says so."""
    record = noted(place, 1, state="pruned", pruned={"why": "late"})
    assert claims.begin(place, MANIFEST) == ("pruned", record)
    assert claims.begin(place, MANIFEST, pruned=True)[1]["attempt"] == 2
    shutil.rmtree(place.attempts)
    record = noted(place, 1, state="finished")
    os.mkdir(os.path.join(place.attempt(1), "output"))
    assert claims.begin(place, MANIFEST, pruned=True) == ("finished", record)
    assert os.path.isdir(place.output)  # what the crash left undone
    assert os.listdir(place.attempts).count("2") == 0


def test_a_claim_that_the_disk_refuses_leaves_nothing(place: Place) -> None:
    """A file in the attempt's place is no other process's claim: the error is told, and no half of an attempt stays."""
    os.makedirs(place.attempts)
    Path(place.attempt(1)).touch()
    with pytest.raises(NotADirectoryError):
        claims.claim(place, claims.new_record(MANIFEST, 1))
    assert os.listdir(place.attempts) == ["1"]


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    """A directory on another file system, between which and the project no hard link can be made."""
    for home in ("/dev/shm", "/var/tmp", str(Path.home())):
        if os.access(home, os.W_OK) and os.stat(home).st_dev != os.stat(tmp_path).st_dev:
            folder = Path(tempfile.mkdtemp(dir=home))
            yield folder
            shutil.rmtree(folder)
            return
    pytest.skip("this machine has one file system")


def test_a_finish_is_a_copy_where_the_disk_has_no_hard_links(place: Place, other_disk: Path) -> None:
    """The same bytes, claimed once: the second to finish does not count, whichever way it asks."""
    noted(place, 1, state="finished")
    noted(place, 2, state="finished")
    for number in ("1", "2"):
        shutil.move(os.path.join(place.attempts, number), other_disk)
        os.symlink(other_disk / number, os.path.join(place.attempts, number))
    assert claims.count(place, 2)
    finished = Path(place.attempts, "finished")
    assert finished.read_bytes() == (other_disk / "2/record.json").read_bytes()
    assert finished.stat().st_dev != (other_disk / "2").stat().st_dev
    assert not claims.count(place, 1)
    assert claims.count(place, 2)
    assert trial_state.state(place)[1]["attempt"] == 2


def test_a_torn_finish_is_that_of_the_first_attempt_that_has_finished(place: Place) -> None:
    """Its record says it; 0 where none does."""
    assert claims.finished_attempt(place) == 0
    noted(place, 1, state="failed")
    assert claims.finished_attempt(place) == 0
    for number in (2, 3):
        noted(place, number, state="finished")
        os.mkdir(os.path.join(place.attempt(number), "output"))
        Path(place.attempt(number), "output", "of").write_text(str(number))
    Path(place.attempts, "finished").touch()
    assert claims.settle(place)
    assert Path(place.output, "of").read_text() == "2"


def test_output_is_moved_once_and_leaves_a_link(place: Place) -> None:
    """The link is relative, for projects that move; output that is in its place already is left alone."""
    noted(place, 1, state="finished")
    source = Path(place.attempt(1), "output")
    source.mkdir()
    (source / "of").write_text("1")
    claims.move_output(place, 1)
    assert os.readlink(source) == "../../4"
    assert (source / "of").read_text() == "1"
    claims.move_output(place, 1)
    assert os.listdir(place.output) == ["of"]
    noted(place, 2)
    os.mkdir(os.path.join(place.attempt(2), "output"))
    claims.move_output(place, 2)
    assert os.listdir(place.output) == ["of"]
    assert not os.path.islink(os.path.join(place.attempt(2), "output"))


@pytest.mark.parametrize("asks", [{"exit_status": 85, "state": "stopped"}, {}])
def test_a_new_attempt_resumes_what_the_last_that_wrote_has_left(place: Place, asks: dict[str, Any]) -> None:
    """Where the last asked for it, or the sweep's run.json does; an attempt that left no output is passed over."""
    assert claims.resume(place, 1) is None
    sweep = Path(place.capsule).parent.parent
    noted(place, 1, state="failed")
    os.mkdir(os.path.join(place.attempt(1), "output"))
    noted(place, 2, **{"state": "failed", "exit_status": 1, **asks})
    noted(place, 3)
    if not asks:
        assert claims.resume(place, 3) is None
        (sweep / "run.json").write_text('{"on_retry": "restart"}')
        assert claims.resume(place, 3) is None
        (sweep / "run.json").write_text('{"on_retry": "resume"}')
    assert claims.resume(place, 3) == 1
    assert os.path.isdir(os.path.join(place.attempt(3), "output"))
    assert not os.path.lexists(os.path.join(place.attempt(1), "output"))


def test_what_was_stopped_early_is_not_resumed(place: Place) -> None:
    """Neither its own output nor one before it; nor is a link taken for output that an attempt left."""
    Path(place.capsule).parent.parent.joinpath("run.json").write_text('{"on_retry": "resume"}')
    noted(place, 1, state="failed")
    os.mkdir(os.path.join(place.attempt(1), "output"))
    noted(place, 2, state="pruned")
    noted(place, 3)
    assert claims.resume(place, 3) is None
    assert os.path.isdir(os.path.join(place.attempt(1), "output"))
    shutil.rmtree(place.attempt(2))
    noted(place, 2, state="failed")
    os.symlink("../1/output", os.path.join(place.attempt(2), "output"))
    assert claims.resume(place, 3) == 1


def test_a_heartbeat_is_written_in_place_and_has_always_one_size(tmp_path: Path) -> None:
    """Who reads it finds the old or the new processes whole, and nothing of a longer text that stood there."""
    path = tmp_path / "heartbeat"
    record = {**claims.new_record(MANIFEST, 1), "group": 12345, "group_start": 67890}
    processes.note_processes(str(path), record)
    first = path.stat()
    assert first.st_mode & 0o777 == 0o644 & ~_umask()
    assert (first.st_size, path.read_bytes()[-1:]) == (512, b"\n")
    processes.note_processes(str(path), {**record, "group": 1, "group_start": None})
    assert (path.stat().st_size, path.stat().st_ino) == (512, first.st_ino)
    keys = ("host", "boot", "pid", "pid_start")
    assert storage.read_json(str(path)) == {**{key: record[key] for key in keys}, "group": 1, "group_start": None}


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_record_is_written_whole_for_people_too(tmp_path: Path) -> None:
    """Sorted keys, two spaces, a line's end, no other file left; what is no table reads as nothing known."""
    path = tmp_path / "record.json"
    for sync in (False, True):
        storage.write_json(str(path), {"b": [1], "a": None}, sync)
        assert path.read_text() == '{\n  "a": null,\n  "b": [\n    1\n  ]\n}\n'
        assert os.listdir(tmp_path) == ["record.json"]
    for text in ("", "[1]", "3", '{"a": '):
        path.write_text(text)
        assert storage.read_json(str(path)) == {}
    assert storage.read_json(str(tmp_path / "none")) == {}
    path.write_bytes(b"\xff")
    assert storage.read_json(str(path)) == {}


@pytest.mark.parametrize(
    ("ended", "status"),
    [
        ({"state": "finished", "exit_status": 0}, 0),
        ({"state": "failed", "exit_status": 7}, 7),
        ({"state": "failed", "exit_status": None, "signal": "SIGKILL"}, 137),
        ({"state": "stopped", "exit_status": 0}, 130),
        ({"state": "stopped", "exit_status": 85}, 85),
        ({"state": "stopped", "exit_status": None, "signal": "SIGTERM"}, 143),
        ({"state": "pruned", "exit_status": None, "signal": "SIGTERM"}, 0),
    ],
)
def test_the_status_of_a_launcher_is_what_came_of_its_training(ended: dict[str, Any], status: int) -> None:
    """train.sh's own, 128 and more for a signal; one that was told to stop and ended with 0 has not finished."""
    assert trial_state.status({"signal": None, **ended}) == status


def test_a_process_is_itself_as_long_as_it_started_when_it_did(place: Place) -> None:
    """A pid with another start, or with none, is another process; a record says which process to look at."""
    me = processes.this_process()
    assert processes.same_process(me["pid"], me["pid_start"])
    assert not processes.same_process(me["pid"], me["pid_start"] + 1)
    assert not processes.same_process(1 << 22, None)  # a process that is gone has no start, and is not one without
    record = {**claims.new_record(MANIFEST, 1), "pid_start": 1}
    assert processes.described(record) == f"process {os.getpid()}"
    assert not processes.processes_live(record)
    own = {"group": os.getpid(), "group_start": me["pid_start"]}
    assert processes.described(record | own) == f"process group {os.getpid()}, whose launcher is gone"
    assert processes.processes_live(record | own)
    assert processes.described({**record, **own, **me}) == f"process {os.getpid()}"
    assert processes.described(record | own | {"group_start": 1}) == f"process {os.getpid()}"
    assert processes.of_this_boot(record)
    assert not any(processes.of_this_boot(record | {key: "another"}) for key in ("host", "boot"))
    assert not processes.of_this_boot({"host": me["host"]})
    assert not processes.of_this_boot({})
