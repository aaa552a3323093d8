"""What holds for the shipped data set, qb/data/quiz.json.

Code: /qb/data/, /scripts/
"""

import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

Questions = list[dict[str, Any]]
FOLDS = ("guesstrain", "guessdev", "guesstest")
PROVENANCE = {"tournament", "difficulty", "year", "dataset", "proto_id", "qdb_id", "qanta_id", "gameplay", "fold"}
QANTA_KEYS = {"text", "first_sentence", "tokenizations", "answer", "page", "category", "subcategory"} | PROVENANCE


def sentences(question: dict[str, Any]) -> list[str]:
    """The sentences of a question, cut at its offsets."""
    return [question["text"][start:end] for start, end in question["tokenizations"]]


def test_there_are_enough_questions_and_answers(questions: Questions) -> None:
    """At least 1,000 questions about at least 40 answers, all answers equally often in every fold."""
    assert len(questions) >= 1_000
    for fold in FOLDS:
        counts = Counter(question["page"] for question in questions if question["fold"] == fold)
        assert len(counts) >= 40
        assert len(set(counts.values())) == 1
    assert {question["fold"] for question in questions} == set(FOLDS)


def test_the_file_is_under_a_megabyte(root: Path) -> None:
    """A copy of it goes into every snapshot."""
    assert (root / "qb" / "data" / "quiz.json").stat().st_size < 1_000_000


def test_questions_have_the_fields_of_the_published_format(questions: Questions) -> None:
    """Exactly the keys of QANTA, and ids that count up."""
    assert all(set(question) == QANTA_KEYS for question in questions)
    assert [question["qanta_id"] for question in questions] == list(range(len(questions)))


def test_offsets_cut_the_text_into_its_sentences(questions: Questions) -> None:
    """At least three sentences each, joined by single spaces, each with a capital and an end mark."""
    for question in questions:
        assert len(sentences(question)) >= 3
        assert " ".join(sentences(question)) == question["text"]
        assert sentences(question)[0] == question["first_sentence"]
        assert all(re.fullmatch(r"[A-Z].*[.?]", sentence) for sentence in sentences(question))


def test_no_sentence_stands_in_two_folds(questions: Questions) -> None:
    """What is learned in training cannot be a sentence of the other folds."""
    folds = {fold: {s for q in questions if q["fold"] == fold for s in sentences(q)} for fold in FOLDS}
    assert folds["guesstrain"].isdisjoint(folds["guessdev"])
    assert folds["guesstrain"].isdisjoint(folds["guesstest"])
    assert folds["guessdev"].isdisjoint(folds["guesstest"])


def test_no_question_is_asked_twice(questions: Questions) -> None:
    """All texts differ."""
    assert len({question["text"] for question in questions}) == len(questions)


def test_no_question_holds_its_answer(questions: Questions, root: Path) -> None:
    """Neither the answer nor a word that its fact table forbids."""
    forbidden: dict[str, list[str]] = {}
    for name in ("countries", "elements", "authors"):
        for title, facts in tomllib.loads((root / "scripts" / "quiz" / f"{name}.toml").read_text("utf-8")).items():
            forbidden[facts.get("page", title)] = [*facts["never"], facts.get("answer", title)]
    for question in questions:
        for word in forbidden[question["page"]]:
            assert not re.search(rf"\b{re.escape(word)}\b", question["text"], re.IGNORECASE), question["text"]


def test_the_english_has_no_slips_that_a_pattern_finds(questions: Questions) -> None:
    """Articles fit their nouns; no doubled word, space or mark, and no slot left unfilled."""
    slip = re.compile(r"\ba (element|author)|\ban country|\b([a-z]+) \2\b|  |\.\.|,,|[{}]")
    assert [question["text"] for question in questions if slip.search(question["text"])] == []


@pytest.mark.slow
def test_the_script_writes_the_shipped_file_byte_for_byte(root: Path, tmp_path: Path) -> None:
    """Whatever PYTHONHASHSEED is."""
    output = tmp_path / "quiz.json"
    for seed in ("0", "1"):
        command = [sys.executable, str(root / "scripts" / "make_quiz.py"), "--output", str(output)]
        subprocess.run(command, check=True, env={"PYTHONHASHSEED": seed})
        assert output.read_bytes() == (root / "qb" / "data" / "quiz.json").read_bytes()


def test_the_shipped_questions_need_learning(baseline: Any) -> None:
    """The majority class and the nearest neighbour leave much to do; if the data changes, so do these numbers."""
    assert baseline.majority == pytest.approx(1 / 46)
    assert baseline.nearest == pytest.approx(0.538, abs=0.02)
