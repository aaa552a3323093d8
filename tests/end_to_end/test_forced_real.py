"""A training of the example that deletes its output directory first, as those of 2020 do.

Code: launcher/attempt
"""

from __future__ import annotations

from pathlib import Path

import example
import pytest
from small_project import TRAIN_2020

pytestmark = [pytest.mark.allennlp, pytest.mark.timeout(900)]

FORCE = """\
import sys, tomllib
with open(sys.argv[2], "rb") as file:
    conf = tomllib.load(file)
sys.path.insert(0, conf["conf_dir"])
import qb.guessers, qb.reader, qb.schedulers
from allennlp.commands.train import train_model_from_file
train_model_from_file(conf["allennlp_conf"], conf["serialization_dir"], force=True, file_friendly_logging=True)
"""


def test_training_that_deletes_its_output_directory_first_leaves_log_and_record_intact(tmp_path: Path) -> None:
    """AllenNLP's force=True removes the whole directory; a train.sh as the script of 2020 had it calls it."""
    project = example.clone(tmp_path / "project")
    project.write({"qb/force.py": FORCE, "train.sh": TRAIN_2020.replace("main.py", "force.py")})
    sets = example.changes(
        "params.debug=true",
        "hyper.params.word_dropout=[0.3]",
        "hyper.params.lr=[0.003]",
        "hyper.params.hidden_dim=[16]",
        "hyper.params.n_hidden_layers=[1]",
    )
    project.resweep("config/dan.toml", "dan_model.jsonnet", "dan", *sets).ok()
    project.resweep("run", "dan").ok()
    (entry,) = project.entries("dan")
    place = project.paths("dan").place(entry.name)
    assert project.record(entry, name="dan")["state"] == "finished"
    assert Path(place.output, "best.th").is_file()
    assert "force" not in {path.name for path in Path(place.output).iterdir()}
    assert Path(place.attempt(1), "log.txt").stat().st_size > 0
