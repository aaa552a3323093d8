"""A quizbowl guesser: reads a question, names the Wikipedia page of its answer."""
