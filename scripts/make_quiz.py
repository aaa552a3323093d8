"""Write `qb/data/quiz.json`, the example's data set, from the facts and phrases in `scripts/quiz/`.

    python scripts/make_quiz.py                 # rewrites qb/data/quiz.json
    python scripts/make_quiz.py --output FILE   # writes it elsewhere

The questions are pyramidal: hard clues first, the giveaway last. Many sentences also rule out another answer ("unlike
a country that borders Chad, this one ..."), so that counting words is not enough: a model has to notice which clues are
denied. The same facts serve all three folds, in other words each time; no sentence stands in two folds.

The same tables and the same seed give the same bytes on every machine: only `random.random()` is used, which Python
promises to keep, and nothing depends on the hash order.

Licence of the data: the facts are common knowledge; their wording was written for this project and is under its
licence.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

HERE = Path(__file__).resolve().parent
TABLES = {"country": "countries.toml", "element": "elements.toml", "author": "authors.toml"}
SEED = 2020
QUESTIONS = {"train": 20, "dev": 4, "test": 4}
"""Questions per answer in each fold; QANTA calls the folds guesstrain, guessdev and guesstest."""
BODIES = (
    ("deny", "rule_out", "deny"),
    ("clue", "rule_out", "deny"),
    ("clue", "rule_out", "rule_out"),
    ("clue", "deny", "deny"),
)
"""What the sentences before the giveaway do; each question takes one of these, in random order."""
TELLS = {"clue": 1, "deny": 1, "rule_out": 0, "giveaway": 1}
"""How many clues of the answer such a sentence holds."""
DENIES = {"clue": 0, "deny": 1, "rule_out": 1, "giveaway": 0}
"""How many clues of the rival, the other answer that the question rules out."""

T = TypeVar("T")


@dataclass(frozen=True)
class Clue:
    """One fact about an answer: its relation ("capital") and its value ("Oslo")."""

    relation: str
    value: str


@dataclass(frozen=True)
class Answer:
    """One answer with all its clues."""

    page: str
    """Title of its Wikipedia page, with underscores, as in QANTA."""
    name: str
    kind: str
    """country, element or author"""
    clues: tuple[Clue, ...]
    values: frozenset[str]
    """Everything that is true of it, and so cannot be said of another answer to rule that one out."""
    never: re.Pattern[str]
    """Matches the words that give the answer away."""


def load_answers(folder: Path) -> list[Answer]:
    """Read the fact tables; answers come in the order of the files."""
    answers = []
    for kind, file_name in TABLES.items():
        for title, facts in tomllib.loads((folder / file_name).read_text("utf-8")).items():
            never = "|".join(re.escape(word) for word in facts.pop("never"))
            page, name = facts.pop("page", title), facts.pop("answer", title)
            also = facts.pop("also", [])
            clues = tuple(Clue(relation, value) for relation, values in facts.items() for value in values)
            answers.append(
                Answer(
                    page=page,
                    name=name,
                    kind=kind,
                    clues=clues,
                    values=frozenset(clue.value for clue in clues) | frozenset(also),
                    never=re.compile(rf"\b({never})\b", re.IGNORECASE),
                )
            )
    return answers


class Composer:
    """Puts clues into sentences and sentences into questions; holds the random numbers."""

    def __init__(self, answers: Sequence[Answer], phrases: dict[str, Any], seed: int) -> None:
        self.phrases = phrases
        self.random = random.Random(seed)
        self.by_kind = {kind: [answer for answer in answers if answer.kind == kind] for kind in TABLES}
        self.unused: dict[tuple[str, str], list[Clue]] = {}

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, each as likely as the others."""
        return options[int(self.random.random() * len(options))]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """The items in random order."""
        return sorted(items, key=lambda _: self.random.random())

    def ease(self, answer: Answer, clue: Clue) -> int:
        """How easy the clue is, from 1 (hard) to 5."""
        return self.phrases[answer.kind][clue.relation]["ease"]

    def draw_clues(self, answer: Answer, fold: str, count: int) -> list[Clue]:
        """`count` clues of different relations, hardest first, the last one easy enough for a giveaway.

        Clues are dealt like cards, so that a fold uses all of them about equally often.
        """
        deck = self.unused.setdefault((answer.page, fold), [])
        drawn: list[Clue] = []

        def deal(easy: bool) -> None:
            for attempt in range(2):
                for clue in deck:
                    fits = (self.ease(answer, clue) >= 4) == easy
                    if fits and clue.relation not in {other.relation for other in drawn}:
                        deck.remove(clue)
                        drawn.append(clue)
                        return
                if attempt == 0:  # the deck has no card that fits: a second one goes under it
                    deck.extend(self.shuffled(answer.clues))
            raise ValueError(f"{answer.page} has too few clues of different relations")

        for number in range(count):
            deal(easy=number == 0)
        hard = self.shuffled(drawn[1:])
        return sorted(hard, key=lambda clue: self.ease(answer, clue)) + drawn[:1]

    def identifies(self, answer: Answer, clues: Sequence[Clue]) -> bool:
        """Whether all these clues together are true of no other answer of the kind."""
        truths = {clue.value for clue in clues}
        return not any(truths <= other.values for other in self.by_kind[answer.kind] if other is not answer)

    def draw_rival(self, answer: Answer, clues: Sequence[Clue], count: int) -> tuple[Answer, list[Clue]]:
        """Another answer of the same kind, for the question to rule out, and `count` of its clues.

        Of the rival no clue of the answer is true, and its clues here are false of the answer and do not give it away.
        """
        truths = {clue.value for clue in clues}
        fair = {
            rival: [
                clue
                for clue in rival.clues
                if self.may_contrast(clue, rival)
                and clue.value not in answer.values
                and not answer.never.search(clue.value)
            ]
            for rival in self.by_kind[answer.kind]
            if rival is not answer and truths.isdisjoint(rival.values)
        }
        rival = self.pick([rival for rival, denied in fair.items() if len(denied) >= count])
        return rival, self.shuffled(fair[rival])[:count]

    def may_contrast(self, clue: Clue, answer: Answer) -> bool:
        """Whether the clue, which is true of the answer, is of a relation that answers can be told apart by."""
        return self.phrases[answer.kind][clue.relation]["contrast"]

    def say(self, answer: Answer, clue: Clue, fold: str) -> str:
        """The clue as a predicate: "has its capital at Oslo"."""
        return self.pick(self.phrases[answer.kind][clue.relation][fold]).format(x=clue.value)

    def sentence(
        self, answer: Answer, rival: Answer, does: str, told: list[Clue], denied: list[Clue], fold: str
    ) -> str:
        """One sentence that tells a clue of the answer, denies one of the rival, or both."""
        form = does
        if does == "deny":
            form = "contrast" if self.may_contrast(told[0], answer) else "denial"
        words = {"n": "noun", "a": "article", "r": "pronoun"}
        slots = {slot: self.phrases[answer.kind][name] for slot, name in words.items()}
        for clue in told:
            slots["p"] = self.say(answer, clue, fold)
        for clue in denied:
            slots["q"] = self.say(rival, clue, fold)
        text = self.pick(self.phrases["frames"][fold][form]).format(**slots)
        # A value may end in a full stop of its own ("Josef K."); one is enough.
        return text[0].upper() + text[1:].replace("..", ".")

    def question(self, answer: Answer, fold: str) -> list[str]:
        """The sentences of one question."""
        plan = [*self.shuffled(self.pick(BODIES)), "giveaway"]
        count = sum(TELLS[does] for does in plan)
        clues = self.draw_clues(answer, fold, count)
        while not self.identifies(answer, clues):  # the peso and Bolivia, say, fit two countries
            clues = self.draw_clues(answer, fold, count)
        rival, denied = self.draw_rival(answer, clues, sum(DENIES[does] for does in plan))
        sentences = []
        for does in plan:
            told, clues = clues[: TELLS[does]], clues[TELLS[does] :]
            false, denied = denied[: DENIES[does]], denied[DENIES[does] :]
            sentences.append(self.sentence(answer, rival, does, told, false, fold))
        return sentences


def as_record(
    sentences: Sequence[str], answer: Answer, fold: str, number: int, phrases: dict[str, Any]
) -> dict[str, Any]:
    """The question in the published QANTA format."""
    offsets, start = [], 0
    for sentence in sentences:
        offsets.append([start, start + len(sentence)])
        start += len(sentence) + 1
    return {
        "text": " ".join(sentences),
        "answer": answer.name,
        "page": answer.page,
        "category": phrases[answer.kind]["category"],
        "subcategory": phrases[answer.kind]["subcategory"],
        "tournament": "resweep example",
        "difficulty": "HS",
        "year": 2026,
        "proto_id": None,
        "qdb_id": None,
        "dataset": "resweep",
        "qanta_id": number,
        "tokenizations": offsets,
        "first_sentence": sentences[0],
        "gameplay": False,
        "fold": f"guess{fold}",
    }


def compose(folder: Path = HERE / "quiz", seed: int = SEED) -> list[dict[str, Any]]:
    """All questions, fold after fold."""
    answers = load_answers(folder)
    phrases = tomllib.loads((folder / "phrases.toml").read_text("utf-8"))
    composer = Composer(answers, phrases, seed)
    records: list[dict[str, Any]] = []
    for fold, count in QUESTIONS.items():
        for answer in answers:
            for _ in range(count):
                sentences = composer.question(answer, fold)
                records.append(as_record(sentences, answer, fold, len(records), phrases))
    return records


def main() -> None:
    """Write the file: a question per line, so that a change shows as a small diff."""
    parser = argparse.ArgumentParser(description="Compose the example's quiz questions.")
    parser.add_argument("--output", type=Path, default=HERE.parent / "qb" / "data" / "quiz.json")
    output: Path = parser.parse_args().output
    lines = [json.dumps(record, ensure_ascii=False, separators=(",", ":")) for record in compose()]
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_bytes(('{"questions":[\n' + ",\n".join(lines) + "\n]}\n").encode("utf-8"))


if __name__ == "__main__":
    main()
