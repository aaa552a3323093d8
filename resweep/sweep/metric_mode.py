"""A metric's name -> whether high or low is good, for where nobody says it."""

from __future__ import annotations

import re

# words in the names of metrics of which less is better
LESS = (
    *("loss", "losses", "error", "errors", "err", "perplexity", "perplexities", "ppl", "nll", "bpc", "rmse", "mse"),
    *("mae", "wer", "cer", "regret", "duration", "memory"),
)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def guessed(name: str) -> str:
    """`min` of what is called a loss, an error or the like, in any of the words of its name; else `max`."""
    words = [word.lower() for word in _WORD.findall(name)]
    return "min" if any(word in LESS or word.endswith("loss") for word in words) else "max"
