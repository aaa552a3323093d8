"""Reading QANTA files: `qb.reader` and `qb.paths`, imported inside the tests, since they import AllenNLP.

Code: /qb/reader.py, /qb/paths.py, /qb/errors.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from qb.reader import QantaReader

# one worker imports AllenNLP for all of these
pytestmark = [pytest.mark.allennlp, pytest.mark.xdist_group("quiz")]

TEXT = "It borders Chad. It has the Nile. Name this country."


def question(page: str | None = "Sudan", fold: str = "guesstrain", **changes: Any) -> dict[str, Any]:
    """A question as the published file has it."""
    return {
        "answer": "Sudan [accept Republic of the Sudan]",
        "category": "Geography",
        "dataset": "quizdb.org",
        "difficulty": "Regular",
        "first_sentence": TEXT[:16],
        "fold": fold,
        "gameplay": False,
        "page": page,
        "proto_id": None,
        "qanta_id": 7,
        "qdb_id": 93142,
        "subcategory": "World",
        "text": TEXT,
        "tokenizations": [[0, 16], [17, 33], [34, 52]],
        "tournament": "ACF Fall",
        "year": 2014,
    } | changes


@pytest.fixture
def quiz(tmp_path: Path) -> Path:
    """A small file with everything odd that the published one has: null pages and many folds."""
    path = tmp_path / "qanta.mapped.json"
    folds = ["guesstrain", "guesstrain", "guessdev", "buzztrain", "buzzdev", "buzztest", "guesstest"]
    questions = [question(fold=fold) for fold in folds]
    questions.append(question(page=None))
    questions.append(question(page=None, fold="advtest"))
    path.write_text(json.dumps({"bibtex_citation": "...", "version": "2018.04.18", "questions": questions}))
    return path


def texts(reader: QantaReader, path: Path) -> list[str]:
    """The texts that the reader makes instances of, their tokens joined by spaces."""
    return [" ".join(token.text for token in instance["text"].tokens) for instance in reader.read(str(path))]


def test_only_questions_with_a_page_in_the_folds_asked_for_are_read(quiz: Path) -> None:
    """Null pages are skipped; other folds are left alone."""
    from qb.reader import QantaReader

    instances = list(QantaReader(folds=["guesstrain", "buzztrain"]).read(str(quiz)))
    assert [instance["page"].label for instance in instances] == ["Sudan"] * 3


def test_sentences_says_how_much_of_a_question_an_instance_holds(quiz: Path) -> None:
    """All of it, the first sentence, or each prefix."""
    from qb.reader import QantaReader

    whole = "It borders Chad . It has the Nile . Name this country ."
    assert texts(QantaReader(folds=["guessdev"]), quiz) == [whole]
    assert texts(QantaReader(folds=["guessdev"], sentences="first"), quiz) == ["It borders Chad ."]
    prefixes = ["It borders Chad .", "It borders Chad . It has the Nile .", whole]
    assert texts(QantaReader(folds=["guessdev"], sentences="each"), quiz) == prefixes


def test_max_tokens_cuts_the_end(quiz: Path) -> None:
    """Counted in tokens, not in characters."""
    from qb.reader import QantaReader

    assert texts(QantaReader(folds=["guessdev"], max_tokens=3), quiz) == ["It borders Chad"]


def test_max_instances_reaches_allennlp(quiz: Path) -> None:
    """Arguments that the reader does not know go on to its base class."""
    from qb.reader import QantaReader

    assert len(texts(QantaReader(folds=["guesstrain"], max_instances=1), quiz)) == 1


@pytest.mark.parametrize("fold", ["guessdve", "advtest"])
def test_a_fold_without_usable_questions_is_an_error(quiz: Path, fold: str) -> None:
    """Whether misspelt or all null pages: the error names the file, the folds asked for and those found."""
    from qb.errors import QuizError
    from qb.reader import QantaReader

    with pytest.raises(QuizError) as caught:
        list(QantaReader(folds=["guesstrain", fold]).read(str(quiz)))
    message = str(caught.value)
    assert str(quiz) in message
    assert f"no usable question in fold {fold};" in message
    assert f"asked for guesstrain, {fold}" in message
    assert "guesstrain (2)" in message


def test_a_file_in_another_format_is_an_error(tmp_path: Path) -> None:
    """It is named."""
    from qb.errors import QuizError
    from qb.reader import QantaReader

    path = tmp_path / "other.json"
    path.write_text("[1, 2]")
    with pytest.raises(QuizError, match=r"other\.json is not in QANTA format"):
        list(QantaReader(folds=["guesstrain"]).read(str(path)))


def test_bad_arguments_are_named() -> None:
    """An unknown granularity, and no folds at all."""
    from qb.errors import QuizError
    from qb.reader import QantaReader

    with pytest.raises(QuizError, match="'some'; expected one of all, first, each"):
        QantaReader(folds=["guesstrain"], sentences="some")
    with pytest.raises(QuizError, match="empty list"):
        QantaReader(folds=[])


def test_package_paths_lie_beside_the_running_code(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """RESWEEP_DATA does not change that."""
    from qb.paths import find_data

    monkeypatch.setenv("RESWEEP_DATA", "/nowhere")
    assert find_data("package:quiz.json") == root / "qb" / "data" / "quiz.json"


def test_relative_paths_start_at_resweep_data_or_else_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And an empty RESWEEP_DATA counts as none."""
    from qb.paths import find_data

    here, data = tmp_path / "here", tmp_path / "data"
    for folder in (here, data):
        (folder / "sub").mkdir(parents=True)
        (folder / "sub" / "q.json").touch()
    monkeypatch.chdir(here)
    monkeypatch.setenv("RESWEEP_DATA", str(data))
    assert find_data("sub/q.json") == data / "sub" / "q.json"
    monkeypatch.setenv("RESWEEP_DATA", "")
    assert find_data("sub/q.json") == here / "sub" / "q.json"
    monkeypatch.delenv("RESWEEP_DATA")
    assert find_data("sub/q.json") == here / "sub" / "q.json"


def test_absolute_paths_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """RESWEEP_DATA does not change that either."""
    from qb.paths import find_data

    (tmp_path / "q.json").touch()
    monkeypatch.setenv("RESWEEP_DATA", "/nowhere")
    assert find_data(str(tmp_path / "q.json")) == tmp_path / "q.json"


@pytest.mark.parametrize(
    ("path", "data", "where"),
    [
        ("package:no.json", None, "in the data folder of the package qb"),
        ("no.json", "/nowhere", "in the directory that RESWEEP_DATA names: looked for /nowhere/no.json"),
        ("no.json", None, "in the current directory (RESWEEP_DATA is not set)"),
        ("/nowhere/no.json", None, "no data file '/nowhere/no.json': looked for"),
    ],
)
def test_a_missing_file_is_told_with_where_it_was_looked_for(
    path: str, data: str | None, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One message for each kind of path."""
    from qb.errors import QuizError
    from qb.paths import find_data

    monkeypatch.delenv("RESWEEP_DATA", raising=False)
    if data:
        monkeypatch.setenv("RESWEEP_DATA", data)
    with pytest.raises(QuizError) as caught:
        find_data(path)
    assert where in str(caught.value)
    assert path in str(caught.value)
