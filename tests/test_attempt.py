"""One attempt: what it finds, what it leaves, and whose source it runs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from launched import Trial, until
from small_project import TRAIN_2020, Project

from resweep import attempt, launcher

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
    text = attempt.attempt_toml(str(tmp_path), "x", "/here/x.toml", "/here/output")
    assert text.endswith("\n\n" + body)
    assert tomllib.loads(text)["serialization_dir"] == "/here/output"


def test_attempt_toml_refuses_a_header_without_its_keys(tmp_path: Path) -> None:
    """A TOML whose header lost a key is a mistake with a name, not another directory."""
    (tmp_path / "x.toml").write_text('conf_dir = "."\n\nconf_path = "x"\n')
    with pytest.raises(attempt.AttemptError, match=r"no conf_path in its header"):
        attempt.attempt_toml(str(tmp_path), "x", "/here/x.toml", "/here/output")


@pytest.mark.parametrize("text", ['a"b', "a\\b", "ü\x7f\x01", "a\nb", "$(x) 'y'"])
def test_toml_string_reads_back(text: str) -> None:
    """Any path is written so that TOML reads the same."""
    assert tomllib.loads(f"x = {attempt.toml_string(text)}")["x"] == text


def test_toml_string_refuses_a_path_that_is_no_text() -> None:
    """A path that is not UTF-8 cannot stand in a TOML, and is named."""
    with pytest.raises(attempt.AttemptError, match="UTF-8"):
        attempt.toml_string("a\udc80")


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
    trial.change("manifest.json", json.dumps(manifest | {"threads": 3}))
    trial.launch(RESWEEP_DATA="/data", OMP_NUM_THREADS="64").ok()
    env = shown(trial)
    assert env["RESWEEP_DATA"] == "/data"
    assert {env[name] for name in attempt.THREAD_VARIABLES} == {"3"}


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
    shutil.rmtree(swept.root / "qb")
    before = swept.tree("config")
    capsule = swept.capsules()[0]
    done = swept.shell(f"cd /; PYTHONPATH={decoy} python -B '{swept.paths().launcher}' run '{capsule}'").ok()
    assert "finished" in done.out
    log = Path(attempt.Place(str(capsule)).attempt(1), "log.txt").read_text()
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
        'mkdir "$out"; echo old > "$out/old"; rm -r "$out"; mkdir "$out"; echo 1 > "$out/metrics.json"',
        '[ ! -e "$out" ] || exit 1; mkdir "$out"; echo 1 > "$out/metrics.json"',
    ],
    ids=["recreates", "refuses"],
)
def test_training_owns_its_output_directory(trial: Trial, script: str) -> None:
    """Training may delete its directory, as AllenNLP's force=True does, or refuse one: log and record stay."""
    trial.train(f"echo before; {script}; echo after")
    trial.launch().ok()
    assert os.listdir(trial.output) == ["metrics.json"]
    assert trial.log() == "before\nafter\n"
    assert trial.record()["state"] == "finished"


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
    trial.train('mkdir "$out" && echo $RESWEEP_ATTEMPT > "$out/of"; [ $RESWEEP_ATTEMPT = 2 ]')
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


@pytest.mark.parametrize("arguments", [[], ["run"], ["walk", "x"], ["run", "x", "y"], ["rerun", "x", "y", "z"]])
def test_wrong_arguments_give_the_usage(arguments: list[str]) -> None:
    """Anything but the two forms prints the usage and exits 2."""
    done = subprocess.run([sys.executable, attempt.__file__, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("usage:")


def test_launcher_needs_no_site_packages_and_no_new_python(trial: Trial) -> None:
    """The launcher imports the standard library alone, and is valid Python 3.8."""
    import ast

    text = trial.launcher.read_text()
    tree = ast.parse(text, feature_version=(3, 8))
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in imported} <= sys.stdlib_module_names
    assert text == launcher.text()
