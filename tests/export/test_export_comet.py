"""What Comet's own package reads of an export. It is installed apart: tensorboardX, which AllenNLP uses, loads it.

Code: export/comet
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from exported import BEGAN, four, give, runs
from small_project import REPOSITORY, Project

from resweep.export import comet

CHECK = """\
import json, sys, zipfile
import comet_ml.schemas as schemas
known = {"log_other": schemas.get_log_other_msg_validator(), "parameter_msg": schemas.get_parameter_msg_validator(),
         "metric_msg": schemas.get_metric_msg_validator()}
for path in sys.argv[1:]:
    archive = zipfile.ZipFile(path)
    schemas.get_experiment_file_validator().validate(json.loads(archive.read("experiment.json")))
    lines = archive.read("messages.json").decode().splitlines()
    for line in lines:
        message = json.loads(line)
        known[message["type"]].validate(message["payload"])
    print("valid", len(lines))
"""
# the same run as its own package writes it
LOG = """\
import sys, comet_ml
off = dict.fromkeys(("log_code", "log_graph", "auto_param_logging", "auto_metric_logging", "parse_args",
    "auto_output_logging", "log_env_details", "log_git_metadata", "log_git_patch"), False)
experiment = comet_ml.OfflineExperiment(offline_directory=sys.argv[1], experiment_key="a" * 32, project_name="p", **off)
experiment.set_name("rnn#1")
experiment.log_parameter("lr", 0.1)
experiment.log_metric("loss", 0.5, step=3)
experiment.log_metric("bad", float("nan"), step=3)
experiment.end()
"""


def read(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """An archive's description and messages."""
    with zipfile.ZipFile(path) as archive:
        lines = archive.read("messages.json").decode().splitlines()
        return json.loads(archive.read("experiment.json")), [json.loads(line) for line in lines]


def test_archives_hold_what_was_tried_and_what_came_out(swept: Project, tmp_path: Path) -> None:
    """An archive per run, named by its key, with original times, values, curves and the end."""
    comet.write(tmp_path / "out", runs(four(swept)), "p")
    every = runs(swept)
    assert {path.stem for path in (tmp_path / "out").glob("*.zip")} == {run.key for run in every}
    experiment, messages = read(tmp_path / "out" / f"{every[0].key}.zip")
    assert (experiment["start_time"], experiment["stop_time"]) == (BEGAN * 1000, (BEGAN + 100) * 1000)
    assert not experiment["customer_error_reported"]
    assert read(tmp_path / "out" / f"{every[2].key}.zip")[0]["customer_error_message"] == "the trial is failed"
    params = [each["payload"] for each in messages if each["type"] == "parameter_msg"]
    assert {each["param"]["paramName"]: each["param"]["paramValue"] for each in params} == every[0].config
    points = [each["payload"]["metric"] for each in messages if each["type"] == "metric_msg"]
    loss = [(each["step"], each["metricValue"]) for each in points if each["metricName"] == "loss"]
    assert loss == [(1, 1.0), (2, 0.5), (4, 0.25)]
    assert [each["metricValue"] for each in points if each["metricName"] == "best"] == [0.5]


def test_exporting_again_writes_nothing(swept: Project, tmp_path: Path) -> None:
    """The same data gives the same bytes, and the files are left alone; a change rewrites one."""
    first, *_ = four(swept).entries()
    out = tmp_path / "out"
    comet.write(out, runs(swept), "p")
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    tally = comet.write(out, runs(swept), "p")
    assert (tally.new, tally.changed, tally.same) == (0, 0, 3)
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before
    Path(swept.paths().place(first.name).output, "metrics.json").write_text('{"loss": 3}')
    tally = comet.write(out, runs(swept), "p")
    assert (tally.new, tally.changed, tally.same) == (0, 1, 2)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter with Comet's package, in an environment of its own."""
    home = tmp_path_factory.mktemp("comet")
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    install = [home / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    text = (REPOSITORY / "pyproject.toml").read_text()
    wanted = text.partition("\ncomet = [")[2].partition('"')[2].partition('"')[0]
    assert wanted.startswith("comet_ml")
    subprocess.run([*install, wanted], check=True)
    return str(home / "bin" / "python")


@pytest.mark.slow
def test_comet_reads_what_was_exported(swept: Project, tmp_path: Path, python: str) -> None:
    """Its schemas hold for every message, hostile ones too, and its own command shows the curves."""
    first, second, *_ = swept.entries()
    names = ["../../up", "a\nb", "\ud800", "x" * 5000, "</script>"]
    table = {
        **dict.fromkeys(names, 1),
        "nan": math.nan,
        "inf": -math.inf,
        "list": [1, None],
        "none": None,
        "h": 10**400,
    }
    give(swept, first, table, [{"step": 0.5, **table}])
    give(swept, second, {"loss": 0.25}, [{"step": step, "loss": 1 / step} for step in (1, 2, 4)])
    comet.write(tmp_path / "out", runs(swept), "p")
    paths = sorted((tmp_path / "out").glob("*.zip"))
    said = subprocess.run([python, "-c", CHECK, *paths], check=True, capture_output=True, text=True).stdout
    assert said.count("valid") == 2
    show = [python, "-m", "comet_ml.scripts.comet_offline", *paths]
    shown = subprocess.run(show, check=True, capture_output=True, text=True).stdout
    assert "loss [3]: (0.25, 1.0)" in shown


@pytest.mark.slow
def test_messages_are_those_of_comet_s_own_package(swept: Project, tmp_path: Path, python: str) -> None:
    """What its package writes for the same run has messages of the same form, key by key."""
    subprocess.run([python, "-c", LOG, tmp_path], check=True, capture_output=True)
    theirs, messages = read(tmp_path / f"{'a' * 32}.zip")
    (run, *_) = runs(four(swept))
    assert comet._experiment(run, "p").keys() == theirs.keys()
    by_name = {each["payload"]["metric"]["metricName"]: each for each in messages if each["type"] == "metric_msg"}
    made = comet._metric("loss", 0.5, 3, "step", by_name["loss"]["payload"]["local_timestamp"])
    assert {key: value for key, value in by_name["loss"]["payload"].items() if key != "message_id"} == made
    assert by_name["bad"]["payload"]["metric"]["metricValue"] == comet._plain(math.nan)
    params = [each["payload"] for each in messages if each["type"] == "parameter_msg"]
    (found,) = (each["param"] for each in params if each.get("param", {}).get("paramName") == "lr")
    assert found == {"paramName": "lr", "paramValue": 0.1, "source": "manual", "step": None}
