"""Reads questions in the published QANTA format."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Optional

from allennlp.data import DatasetReader, Instance, TokenIndexer, Tokenizer
from allennlp.data.fields import LabelField, TextField
from allennlp.data.token_indexers import SingleIdTokenIndexer
from allennlp.data.tokenizers import LettersDigitsTokenizer

from qb.errors import QuizError
from qb.paths import find_data

GRANULARITIES = ("all", "first", "each")
# AllenNLP adds "unknown" to a namespace that does not end in "labels". We want it here: in the published data, some
# answers of guessdev and guesstest never occur in guesstrain, and such a question should count as missed, not crash.
PAGES = "pages"


@DatasetReader.register("qanta")
class QantaReader(DatasetReader):
    """Turns the questions of some folds into instances with a `text` and the `page` of the answer.

    # Parameters

    folds : `List[str]`
        The folds to read, for example `["guesstrain"]`. Each must hold a question that has a page.
    sentences : `str`, optional (default=`"all"`)
        How much of a question an instance holds: `"all"` of it, only the `"first"` sentence, or, with `"each"`, one
        instance for each prefix that ends where a sentence ends.
    max_tokens : `int`, optional
        Longer texts lose their end.
    tokenizer : `Tokenizer`, optional (default=`LettersDigitsTokenizer()`)
    token_indexers : `Dict[str, TokenIndexer]`, optional (default=lower-cased words under `"tokens"`)
    """

    def __init__(
        self,
        folds: list[str],
        sentences: str = "all",
        max_tokens: int | None = None,
        # AllenNLP builds these two from their types, and does not know `Tokenizer | None`.
        tokenizer: Optional[Tokenizer] = None,  # noqa: UP045
        token_indexers: Optional[dict[str, TokenIndexer]] = None,  # noqa: UP045
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not folds:
            raise QuizError("the reader's folds is an empty list; name at least one, for example guesstrain")
        if sentences not in GRANULARITIES:
            raise QuizError(f"the reader's sentences is {sentences!r}; expected one of {', '.join(GRANULARITIES)}")
        self.folds = folds
        self.sentences = sentences
        self.max_tokens = max_tokens
        self.tokenizer = tokenizer or LettersDigitsTokenizer()
        self.token_indexers = token_indexers or {"tokens": SingleIdTokenIndexer(lowercase_tokens=True)}

    def _read(self, file_path: str) -> Iterable[Instance]:
        """One instance or more for each usable question, in the order of the file."""
        path = find_data(str(file_path))
        try:
            questions = json.loads(path.read_text(encoding="utf-8"))["questions"]
        except (ValueError, KeyError, TypeError) as error:
            message = f"{path} is not in QANTA format, a JSON object with a list of questions: {error!r}"
            raise QuizError(message) from error
        # The published file has questions whose answer was matched to no page; there is nothing to learn from them.
        usable = [question for question in questions if question.get("page") is not None]
        found = Counter(question["fold"] for question in usable)
        # AllenNLP would train on nothing, or validate on nothing, and report an accuracy of 0 without a word.
        if missing := [fold for fold in self.folds if not found[fold]]:
            raise QuizError(
                f"{path} has no usable question in fold {', '.join(missing)}; asked for {', '.join(self.folds)}; "
                f"found {', '.join(f'{fold} ({count})' for fold, count in sorted(found.items())) or 'none'}"
            )
        for question in usable:
            if question["fold"] in self.folds:
                for text in self.excerpts(question):
                    yield self.text_to_instance(text, question["page"])

    def excerpts(self, question: dict[str, Any]) -> Iterator[str]:
        """The parts of the question that become instances, as `sentences` asks."""
        text: str = question["text"]
        if self.sentences == "all":
            yield text
            return
        ends = [end for _, end in question["tokenizations"]]
        for end in ends[:1] if self.sentences == "first" else ends:
            yield text[:end]

    def text_to_instance(self, text: str, page: str | None = None) -> Instance:
        """An instance with a `TextField` of at most `max_tokens` tokens and, if known, a `LabelField` of the page."""
        tokens = self.tokenizer.tokenize(text)[: self.max_tokens]
        fields: dict[str, Any] = {"text": TextField(tokens)}
        if page is not None:
            fields["page"] = LabelField(page, label_namespace=PAGES)
        return Instance(fields)

    def apply_token_indexers(self, instance: Instance) -> None:
        """Give the text its indexers, late, so that worker processes need not send them."""
        instance["text"].token_indexers = self.token_indexers  # type: ignore[attr-defined]
