"""The one error that the person who wrote a configuration can cause and put right."""

from allennlp.common.checks import ConfigurationError


class QuizError(ConfigurationError):
    """What is wrong, in one line that names the file and the value; `qb/main.py` prints it without a traceback."""
