"""The guessers and the scheduler, on a batch of a few short questions.

AllenNLP and torch are imported inside the tests: it takes seconds, and whoever runs other tests collects these, too.

Code: /qb/guessers.py, /qb/schedulers.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import _jsonnet
import pytest

if TYPE_CHECKING:
    from allennlp.data import Vocabulary

# one worker imports AllenNLP for all of these
pytestmark = [pytest.mark.allennlp, pytest.mark.xdist_group("quiz")]

POINTS = {
    "rnn_model.jsonnet": {"lr": "0.01", "dropout": "0.1", "hidden_dim": "8", "n_hidden_layers": "2"},
    "dan_model.jsonnet": {"lr": "0.01", "word_dropout": "0.1", "hidden_dim": "8", "n_hidden_layers": "2"},
}


def fill(template: Path, **more: str) -> dict[str, Any]:
    """The configuration of one small point."""
    return json.loads(_jsonnet.evaluate_file(str(template), tla_codes=POINTS[template.name] | more))


def batch_of(vocab_from: list[Any], instances: list[Any]) -> tuple[Vocabulary, dict[str, Any]]:
    """A vocabulary, and the instances as one padded batch of tensors."""
    from allennlp.data import Batch, Vocabulary

    vocab = Vocabulary.from_instances(vocab_from)
    batch = Batch(instances)
    batch.index_instances(vocab)
    return vocab, batch.as_tensor_dict()


@pytest.fixture
def instances() -> list[Any]:
    """Three questions of different lengths about two answers."""
    import qb.guessers  # noqa: F401  # registers the models
    from qb.reader import QantaReader

    reader = QantaReader(folds=["guesstrain"])
    made = [
        reader.text_to_instance("This country borders Chad.", "Sudan"),
        reader.text_to_instance("This country is governed from Cairo, and borders Sudan.", "Egypt"),
        reader.text_to_instance("Unlike Egypt, this country borders Chad.", "Sudan"),
    ]
    for instance in made:
        reader.apply_token_indexers(instance)
    return made


@pytest.mark.parametrize("name", POINTS)
def test_the_template_makes_a_model_that_learns(name: str, root: Path, instances: list[Any]) -> None:
    """Scores have shape (batch, pages), every weight gets a gradient, and a few steps lower the loss."""
    import torch
    from allennlp.common import Params
    from allennlp.models import Model

    from qb.reader import PAGES

    vocab, batch = batch_of(instances, instances)
    torch.manual_seed(0)
    model = Model.from_params(Params(fill(root / name)["model"]), vocab=vocab)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    losses = []
    for _ in range(15):
        output = model(**batch)
        assert output["logits"].shape == (3, vocab.get_vocab_size(PAGES))
        optimizer.zero_grad()
        output["loss"].backward()
        assert all(parameter.grad is not None for parameter in model.parameters())
        optimizer.step()
        losses.append(output["loss"].item())
    assert losses[-1] < losses[0] / 2


@pytest.mark.parametrize("name", POINTS)
def test_accuracy_is_the_share_of_right_guesses(name: str, root: Path, instances: list[Any]) -> None:
    """With weights that always guess Sudan, two thirds of this batch; guesses come out as pages."""
    import torch
    from allennlp.common import Params
    from allennlp.models import Model

    from qb.reader import PAGES

    vocab, batch = batch_of(instances, instances)
    model = Model.from_params(Params(fill(root / name)["model"]), vocab=vocab).eval()
    with torch.no_grad():
        model.classifier.weight.zero_()
        model.classifier.bias.zero_()
        model.classifier.bias[vocab.get_token_index("Sudan", PAGES)] = 1.0
        output = model(**batch)
    assert model.make_output_human_readable(output)["page"] == ["Sudan"] * 3
    assert model.get_metrics(reset=True) == {"accuracy": pytest.approx(2 / 3)}


@pytest.mark.parametrize("name", POINTS)
def test_padding_does_not_change_a_guess(name: str, root: Path, instances: list[Any]) -> None:
    """A question scores the same alone and beside a longer one."""
    import torch
    from allennlp.common import Params
    from allennlp.models import Model

    vocab, together = batch_of(instances, instances)
    _, alone = batch_of(instances, instances[:1])
    model = Model.from_params(Params(fill(root / name)["model"]), vocab=vocab).eval()
    torch.testing.assert_close(model(**together)["logits"][:1], model(**alone)["logits"])


def test_an_answer_that_training_never_saw_is_a_miss(root: Path, instances: list[Any]) -> None:
    """The published guessdev has such answers: the model still runs, with a finite loss."""
    import torch
    from allennlp.common import Params
    from allennlp.models import Model

    from qb.reader import PAGES

    vocab, batch = batch_of(instances[:1], instances[1:2])
    model = Model.from_params(Params(fill(root / "rnn_model.jsonnet")["model"]), vocab=vocab).eval()
    with torch.no_grad():
        model.classifier.bias[vocab.get_token_index("Sudan", PAGES)] = 10.0
    assert torch.isfinite(model(**batch)["loss"])
    assert model.get_metrics()["accuracy"] == 0.0


def test_word_dropout_acts_in_training_only(root: Path, instances: list[Any]) -> None:
    """In evaluation the same question always scores the same."""
    import torch
    from allennlp.common import Params
    from allennlp.models import Model

    vocab, batch = batch_of(instances, instances)
    parameters = fill(root / "dan_model.jsonnet", dropout="0", word_dropout="0.5")["model"]
    model = Model.from_params(Params(parameters), vocab=vocab)
    torch.manual_seed(0)
    model.train()
    assert not torch.equal(model(**batch)["logits"], model(**batch)["logits"])
    model.eval()
    assert torch.equal(model(**batch)["logits"], model(**batch)["logits"])


def test_reduce_on_plateau_lowers_the_learning_rate_when_accuracy_stalls() -> None:
    """AllenNLP's own fails with today's torch; this one has taken its name."""
    import torch
    from allennlp.training.learning_rate_schedulers import LearningRateScheduler

    import qb.schedulers

    assert LearningRateScheduler.by_name("reduce_on_plateau") is qb.schedulers.ReduceOnPlateau
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = qb.schedulers.ReduceOnPlateau(optimizer, mode="max", factor=0.5, patience=1)
    for accuracy in (0.5, 0.6, 0.6, 0.6):
        scheduler.step(accuracy)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.05)


@pytest.mark.parametrize("name", POINTS)
def test_the_template_spells_every_trainer_key_right(name: str, root: Path) -> None:
    """AllenNLP ignores unknown keys inside `trainer` without a word."""
    import inspect

    from allennlp.training import GradientDescentTrainer

    known = inspect.signature(GradientDescentTrainer.from_partial_objects).parameters
    assert set(fill(root / name)["trainer"]) <= set(known)


@pytest.mark.parametrize("name", POINTS)
def test_the_template_validates_on_its_own_fold(name: str, root: Path) -> None:
    """Whole questions of guessdev, whatever training reads."""
    from allennlp.common import Params
    from allennlp.data import DatasetReader

    import qb.reader  # noqa: F401  # registers the reader

    configuration = fill(root / name, sentences="'first'")
    reader = DatasetReader.from_params(Params(configuration["validation_dataset_reader"]))
    assert (reader.folds, reader.sentences) == (["guessdev"], "all")
    assert configuration["dataset_reader"]["sentences"] == "first"
