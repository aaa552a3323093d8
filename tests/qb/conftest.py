"""Shared by the tests of the example: they run in its environment (environment.yml, requirements.lock).

Elsewhere they fail on `import allennlp`, and do not skip.
"""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from warm import WarmPython, training_environment

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # the qb of this checkout, whatever is installed


@dataclass(frozen=True)
class Baseline:
    """Accuracies on guessdev that need no training, from 0 to 1."""

    majority: float
    nearest: float


def nearest_neighbour_accuracy(train: list[dict[str, Any]], test: list[dict[str, Any]]) -> float:
    """Share of test questions whose most similar training question (cosine of TF-IDF vectors) has the same answer."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer()
    known = vectorizer.fit_transform([question["text"] for question in train])
    nearest = (vectorizer.transform([question["text"] for question in test]) @ known.T).toarray().argmax(axis=1)
    hits = [train[index]["page"] == question["page"] for index, question in zip(nearest, test, strict=True)]
    return sum(hits) / len(hits)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def questions() -> list[dict[str, Any]]:
    """The shipped questions, in the order of the file."""
    return json.loads((ROOT / "qb" / "data" / "quiz.json").read_text(encoding="utf-8"))["questions"]


@pytest.fixture(scope="session")
def baseline(questions: list[dict[str, Any]]) -> Baseline:
    """What guessing without training reaches on guessdev."""
    train = [question for question in questions if question["fold"] == "guesstrain"]
    dev = [question for question in questions if question["fold"] == "guessdev"]
    most_common = Counter(question["page"] for question in train).most_common(1)[0][0]
    return Baseline(
        majority=sum(question["page"] == most_common for question in dev) / len(dev),
        nearest=nearest_neighbour_accuracy(train, dev),
    )


RunMain = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run_main() -> RunMain:
    """Runs `python qb/main.py` (or the given copy of it) in a process of its own, with one thread."""

    def run(
        *arguments: str | Path, main: Path = ROOT / "qb" / "main.py", cwd: Path | None = None, **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, str(main), *map(str, arguments)],
            cwd=cwd,
            env=training_environment(**environment),
            capture_output=True,
            text=True,
        )

    return run


@pytest.fixture(scope="session")
def _warm_python() -> Iterator[WarmPython]:
    warm = WarmPython()
    yield warm
    warm.close()


@pytest.fixture
def fork_main(_warm_python: WarmPython) -> RunMain:
    """As `run_main`, but forked from a process that has imported AllenNLP: in a tenth of the time."""

    def run(
        *arguments: str | Path, main: Path = ROOT / "qb" / "main.py", cwd: Path | None = None, **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        return _warm_python.run(str(main), *map(str, arguments), cwd=cwd, env=training_environment(**environment))

    return run
