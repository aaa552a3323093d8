"""Train and evaluate one trial.

    python qb/main.py train CONF.toml       trains; all output goes to the TOML's serialization_dir
    python qb/main.py evaluate CONF.toml    prints the best weights' metrics on the test fold as JSON

CONF.toml says everything: `allennlp_conf` is the filled AllenNLP configuration (JSON) and `serialization_dir` the
directory for the trained model. Relative paths in it are relative to the TOML's own directory. Its other keys are for
people and for other programs.

A mistake in these files is told in one line on stderr, with exit status 2.
"""

import argparse
import json
import os
import sys
import tomllib
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Python puts this script's directory, qb/ itself, first on sys.path. From there `import qb` would find an installed
# copy or none, and `import reader` a second copy of qb.reader. So: out with qb/, and its parent to the front.
PACKAGE = Path(__file__).resolve().parent
sys.path[:] = [str(PACKAGE.parent), *(entry for entry in sys.path if Path(entry or ".").resolve() != PACKAGE)]
# A frozen copy of this package stays as it was frozen.
sys.dont_write_bytecode = True
# cuBLAS reads this when it is first loaded; without it, torch refuses deterministic matrix products on a GPU.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


class UserError(Exception):
    """A mistake in the files or arguments that the user gave, told in one line."""


@dataclass(frozen=True)
class Trial:
    """What CONF.toml says about one trial."""

    conf: Path
    allennlp_conf: Path
    """The filled AllenNLP configuration, JSON."""
    serialization_dir: Path
    """Where training writes the model and its metrics."""

    @classmethod
    def load(cls, conf: Path) -> "Trial":
        """Read CONF.toml; raises `UserError` naming the key that is missing or no text."""
        try:
            values = tomllib.loads(conf.read_text(encoding="utf-8"))
        except OSError as error:
            raise UserError(f"cannot read {conf}: {error.strerror}") from error
        except ValueError as error:
            raise UserError(f"{conf} is not TOML: {error}") from error

        def path(key: str) -> Path:
            value = values.get(key)
            if not isinstance(value, str) or not value:
                raise UserError(f"{conf}: {key} must be a path, found {'nothing' if value is None else repr(value)}")
            return conf.resolve().parent / value

        return cls(conf=conf, allennlp_conf=path("allennlp_conf"), serialization_dir=path("serialization_dir"))

    def parameters(self) -> dict[str, Any]:
        """The content of `allennlp_conf`."""
        try:
            parameters = json.loads(self.allennlp_conf.read_text(encoding="utf-8"))
        except OSError as error:
            raise UserError(
                f"cannot read {self.allennlp_conf} (allennlp_conf in {self.conf}): {error.strerror}"
            ) from error
        except ValueError as error:
            raise UserError(f"{self.allennlp_conf} is not JSON: {error}") from error
        if not isinstance(parameters, dict):
            raise UserError(f"{self.allennlp_conf} must hold a JSON object, found {type(parameters).__name__}")
        return parameters


def prepare_torch() -> None:
    """Make torch repeat itself bit by bit, and register the readers, models and schedulers of qb."""
    # AllenNLP imports torchvision, whose image codecs do not load beside today's torch; nothing here needs them.
    warnings.filterwarnings("ignore", message="Failed to load image Python extension")

    import torch

    torch.use_deterministic_algorithms(True)
    # The number of threads decides in which order sums are taken, and so the last bits of the weights.
    if threads := os.environ.get("OMP_NUM_THREADS"):
        if not threads.isdecimal() or int(threads) == 0:
            raise UserError(f"OMP_NUM_THREADS must be a number of threads, found {threads!r}")
        torch.set_num_threads(int(threads))

    import qb.guessers
    import qb.reader
    import qb.schedulers  # noqa: F401


def train(trial: Trial) -> None:
    """Train from scratch; AllenNLP refuses a serialization_dir that holds something already."""
    parameters = trial.parameters()
    prepare_torch()

    from allennlp.commands.train import train_model
    from allennlp.common import Params

    train_model(
        Params(parameters),
        serialization_dir=str(trial.serialization_dir),
        # Otherwise a progress bar fills the trial's log with carriage returns.
        file_friendly_logging=True,
        return_model=False,
    )


def evaluate(trial: Trial, fold: str, output: Path | None) -> None:
    """Score the best weights on a fold; print the metrics as JSON, and write them to `output` if that is given."""
    weights = trial.serialization_dir / "best.th"
    if not weights.is_file():
        raise UserError(f"no checkpoint {weights}: train this trial first")
    parameters = trial.parameters()
    prepare_torch()

    import torch
    from allennlp.common import Params
    from allennlp.common import logging as common_logging
    from allennlp.data import DatasetReader
    from allennlp.data.data_loaders import SimpleDataLoader
    from allennlp.models import Model
    from allennlp.training.util import evaluate as score

    common_logging.FILE_FRIENDLY_LOGGING = True
    device = 0 if torch.cuda.is_available() else -1
    # As in training, but for the fold, and never cut short by a debugging limit.
    reader_parameters = parameters.get("validation_dataset_reader") or parameters["dataset_reader"]
    reader = DatasetReader.from_params(Params({**reader_parameters, "folds": [fold], "max_instances": None}))
    instances = list(reader.read(parameters.get("validation_data_path") or parameters["train_data_path"]))
    model = Model.load(Params(parameters), str(trial.serialization_dir), str(weights), cuda_device=device)
    loader = SimpleDataLoader(instances, batch_size=64, vocab=model.vocab)
    metrics = {"fold": fold, "questions": len(instances), **score(model, loader, cuda_device=device)}
    text = json.dumps(metrics, indent=2, sort_keys=True) + "\n"
    sys.stdout.write(text)
    if output:
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UserError(f"cannot write {output}: {error.strerror}") from error


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="qb/main.py", description="Train and evaluate one trial of the guesser.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (("train", "train a model"), ("evaluate", "score the best weights on a fold")):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("conf", type=Path, metavar="CONF.toml", help="the trial's configuration")
    command.add_argument("--fold", default="guesstest", help="the fold to score (default: %(default)s)")
    command.add_argument("--output", type=Path, metavar="FILE", help="write the JSON to this file too")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    try:
        trial = Trial.load(options.conf)
        if options.command == "train":
            train(trial)
        else:
            evaluate(trial, options.fold, options.output)
    except UserError as error:
        return complain(error)
    except Exception as error:
        # AllenNLP is imported late, for quick answers to mistakes in the TOML, so its error class is looked up by name.
        if any(kind.__name__ == "ConfigurationError" for kind in type(error).__mro__):
            return complain(error)
        raise
    return 0


def complain(error: Exception) -> int:
    """Tell the user on one line of stderr; returns the exit status for it."""
    print("qb/main.py: error:", " ".join(str(error).split()), file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
