"""Two models that guess the answer of a question: a recurrent network and a deep averaging network."""

from typing import Any, cast

import torch
from allennlp.data import TextFieldTensors, Vocabulary
from allennlp.models import Model
from allennlp.modules import FeedForward, Seq2SeqEncoder, TextFieldEmbedder
from allennlp.nn.util import get_text_field_mask, masked_max, masked_mean
from allennlp.training.metrics import CategoricalAccuracy

from qb.reader import PAGES


class Guesser(Model):
    """What both models share: how the vector that `encode` makes of a question becomes a guess, a loss, an accuracy.

    # Parameters

    vocab : `Vocabulary`
    text_field_embedder : `TextFieldEmbedder`
    dropout : `float`, optional (default=`0.0`)
        Applied to the question's vector.
    """

    # Each model makes its own, of shape (encoding_dim, pages). An `encoding_dim` in the constructor below would become
    # a key of the configuration: AllenNLP follows **kwargs up to here.
    classifier: torch.nn.Linear

    def __init__(
        self, vocab: Vocabulary, text_field_embedder: TextFieldEmbedder, dropout: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(vocab, **kwargs)
        self.embedder = text_field_embedder
        self.dropout = torch.nn.Dropout(dropout)
        self.loss = torch.nn.CrossEntropyLoss()
        self.accuracy = CategoricalAccuracy()

    def encode(self, text: TextFieldTensors) -> torch.Tensor:
        """Questions of `tokens` tokens, padded, to one vector each, of shape `(batch, encoding_dim)`."""
        raise NotImplementedError

    def forward(  # type: ignore[override]
        self, text: TextFieldTensors, page: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """Score every page for every question.

        `page` has shape `(batch,)`. Returns `logits` of shape `(batch, pages)` and, if `page` is given, the scalar
        `loss`.
        """
        logits = self.classifier(self.dropout(self.encode(text)))
        output = {"logits": logits}
        if page is not None:
            output["loss"] = self.loss(logits, page)
            self.accuracy(logits, page)
        return output

    def make_output_human_readable(self, output_dict: dict[str, torch.Tensor]) -> dict[str, Any]:
        """Add `page`, the best guess for each question."""
        best = output_dict["logits"].argmax(dim=-1).tolist()
        return {**output_dict, "page": [self.vocab.get_token_from_index(index, PAGES) for index in best]}

    def get_metrics(self, reset: bool = False) -> dict[str, float]:
        """The share of questions whose best guess is right, from 0 to 1."""
        return {"accuracy": self.accuracy.get_metric(reset)}


@Model.register("rnn_guesser")
class RnnGuesser(Guesser):
    """Reads the question word by word and keeps, for each unit, its strongest response to any of them.

    # Parameters

    encoder : `Seq2SeqEncoder`
        A GRU or an LSTM, say.
    dropout : `float`, optional (default=`0.0`)
        Applied to the word vectors and to the question's vector.
    """

    def __init__(
        self,
        vocab: Vocabulary,
        text_field_embedder: TextFieldEmbedder,
        encoder: Seq2SeqEncoder,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(vocab, text_field_embedder, dropout, **kwargs)
        self.encoder = encoder
        self.classifier = torch.nn.Linear(encoder.get_output_dim(), vocab.get_vocab_size(PAGES))

    def encode(self, text: TextFieldTensors) -> torch.Tensor:
        """The maximum of the encoder's states over time: `(batch, encoding_dim)`.

        Much easier to train than the last state, which has to carry a clue past all the sentences that follow it.
        """
        mask = get_text_field_mask(text)  # (batch, tokens)
        states = self.encoder(self.dropout(self.embedder(text)), mask)  # (batch, tokens, encoding_dim)
        return masked_max(states, cast(torch.BoolTensor, mask.unsqueeze(-1)), dim=1)


@Model.register("dan_guesser")
class DanGuesser(Guesser):
    """Deep averaging network (Iyyer et al., 2015): the mean of the word vectors through a feed-forward network.

    # Parameters

    feedforward : `FeedForward`
    word_dropout : `float`, optional (default=`0.0`)
        The share of words left out of a question, anew each time it is seen in training.
    dropout : `float`, optional (default=`0.0`)
        Applied to the vector that goes into the classifier.
    """

    def __init__(
        self,
        vocab: Vocabulary,
        text_field_embedder: TextFieldEmbedder,
        feedforward: FeedForward,
        word_dropout: float = 0.0,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(vocab, text_field_embedder, dropout, **kwargs)
        self.feedforward = feedforward
        self.classifier = torch.nn.Linear(feedforward.get_output_dim(), vocab.get_vocab_size(PAGES))
        self.word_dropout = word_dropout

    def encode(self, text: TextFieldTensors) -> torch.Tensor:
        """The feed-forward network's view of the average word: `(batch, encoding_dim)`."""
        mask = get_text_field_mask(text)  # (batch, tokens)
        if self.training and self.word_dropout:
            # Whole words go, not single dimensions; a question that loses all of them averages to zero.
            mask = cast(torch.BoolTensor, mask & (torch.rand_like(mask, dtype=torch.float) >= self.word_dropout))
        average = masked_mean(
            self.embedder(text), cast(torch.BoolTensor, mask.unsqueeze(-1)), dim=1
        )  # (batch, embedding_dim)
        return self.feedforward(average)
