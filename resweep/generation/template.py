"""jsonnet + arguments -> configurations: many per evaluation, in this process, never through a shell.

The C++ engine costs 19 ms when called once per configuration and 0.1 ms when one program fills a thousand, so one
program calls the template's function once per configuration and returns the list.
"""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from resweep.errors import TemplateError

CHUNK = 1000  # configurations per evaluation: the sweet spot of speed and memory

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEYWORDS = frozenset(
    """
    assert else error false for function if import importbin importstr in local null self super tailstrict then true
    """.split()  # noqa: SIM905
)
_NO_PARAMETER = re.compile(r"RUNTIME ERROR: function has no parameter (\w+)")
_NOT_BOUND = re.compile(r"RUNTIME ERROR: function parameter (\w+) not bound in call")

_UNDEFINED = re.compile(r"RUNTIME ERROR: undefined external variable: (.*)")

Arguments = dict[str, Any]
ExtVars = dict[str, str]  # name -> text: what std.extVar gives


class FillError(TemplateError):
    """The template failed for one configuration; `position` is its place in the list that was to be filled."""

    def __init__(self, message: str, detail: str, position: int) -> None:
        super().__init__(message, detail)
        self.position = position


class _EvaluationError(TemplateError):
    """What jsonnet says of a template: its first line is the message, and the rest the detail."""

    def __init__(self, path: Path, trace: str) -> None:
        first, _, rest = trace.partition("\n")
        said = first.removeprefix("RUNTIME ERROR: ").removeprefix("STATIC ERROR: ")
        # a mistake of syntax has its place in front, as an absolute path
        place = f"{path.resolve()}:"
        super().__init__(f"{path}:{said.removeprefix(place)}" if said.startswith(place) else f"{path}: {said}", rest)
        self.trace = trace


class Template:
    """A jsonnet or JSON file that becomes one configuration when its parameters are given.

    `sources` are the files that it was read from, itself first, each with its bytes: what a frozen definition needs.
    Reading and evaluating it runs no code but jsonnet's, which can read files and do nothing else: those below `root`
    (by default the folder that the template is in) and below the folders of `library`, where an import that is not
    found beside the file that asks for it is looked for, in their order. Each evaluation costs some 20 ms, so whether
    it is a function is learnt with the first configurations.
    """

    def __init__(self, path: Path, root: Path | None = None, library: Sequence[Path] = ()) -> None:
        self.path = path
        self.library = tuple(folder.resolve() for folder in library)
        self.sources: dict[Path, bytes] = {}
        if not path.is_file():
            raise TemplateError(f"{path}: no such file, expected the jsonnet or JSON file that configures one run")
        self._is_function: bool | None = None
        self.home = path.resolve()
        self.trees = (self.home.parent, *([root.resolve()] if root else []))  # where other files may be read
        self.crossed = False  # whether a relative import leads from the project into a library, or between libraries
        self._ext_vars: ExtVars = {}  # of the last configurations that were filled

    @property
    def is_function(self) -> bool:
        """Whether it takes parameters. Raises TemplateError for a file that jsonnet cannot read."""
        if self._is_function is None:
            self._is_function = bool(json.loads(self._evaluate("std.isFunction(template)")))
        return self._is_function

    def fill(
        self, arguments: Sequence[Arguments], optional: Sequence[str] = (), ext_vars: Sequence[ExtVars] = ()
    ) -> tuple[list[Any], list[str]]:
        """The configuration that each set of arguments gives, as parsed JSON, in order.

        `ext_vars` has the external variables of each set, or is empty where there are none; an evaluation serves all
        that have the same ones.

        Arguments named in `optional` are left out where the template does not take them; the second result names
        those that it took. The engine tells what a function takes only by refusing a call, which it does before it
        evaluates anything, so they are tried and not asked for.

        Raises TemplateError for a parameter that the function does not take or misses, and FillError, with jsonnet's
        own trace, for any other error.
        """
        if not arguments:
            return [], [name for name in optional if self.is_function]
        taken = list(optional)
        while True:
            unwanted = set(optional) - set(taken)
            given = [{k: v for k, v in each.items() if k not in unwanted} for each in arguments]
            try:
                return self._fill_all(given, ext_vars), taken if self.is_function else []
            except TemplateError as error:
                if not self.is_function and taken:  # or the file itself is wrong, and this is said of it
                    taken = []
                    continue
                trace = error.trace if isinstance(error, _EvaluationError) else ""
                unknown = _NO_PARAMETER.match(trace) if _our_call(trace) else None
                if not unknown or unknown[1] not in taken:
                    self._blame(given, ext_vars)
                    raise
            taken.remove(unknown[1])

    def _fill_all(self, arguments: Sequence[Arguments], ext_vars: Sequence[ExtVars]) -> list[Any]:
        values: list[Any] = [None] * len(arguments)
        for places, self._ext_vars in _groups(len(arguments), ext_vars):
            for place, value in zip(places, self._fill([arguments[place] for place in places]), strict=True):
                values[place] = value
        return values

    def _fill(self, arguments: Sequence[Arguments]) -> list[Any]:
        if self._is_function is False:
            taken = next((name for each in arguments for name in each), None)
            if taken is not None:
                raise TemplateError(
                    f"{self.path}: takes no parameters (it is a plain object), found {taken}; "
                    "make it a jsonnet function, function(...) {...}, or take [params] out"
                )
            value = json.loads(self._evaluate("template"))
            return [value] * len(arguments)
        calls = ",\n".join(f"template({_call(each)})" for each in arguments)
        if self._is_function is None:
            text = self._evaluate(f"if std.isFunction(template) then [{calls}] else false")
            self._is_function = text.strip() != "false"
        else:
            text = self._evaluate(f"[{calls}]")
        values: list[Any] = json.loads(text)
        return values if self._is_function else self._fill(arguments)

    def _blame(self, arguments: Sequence[Arguments], ext_vars: Sequence[ExtVars]) -> None:
        """Find the first configuration that fails by halving, and raise its error."""
        offset = 0
        while len(arguments) > 1:
            half = len(arguments) // 2
            try:
                self._fill_all(arguments[:half], ext_vars[:half])
            except TemplateError:
                arguments, ext_vars = arguments[:half], ext_vars[:half]
            else:
                arguments, ext_vars, offset = arguments[half:], ext_vars[half:], offset + half
        try:
            self._fill_all(arguments, ext_vars)
        except _EvaluationError as error:
            trace = error.trace
            if _our_call(trace):
                if unknown := _NO_PARAMETER.match(trace):
                    raise TemplateError(
                        f"{self.path}: the function has no parameter {unknown[1]}, found params.{unknown[1]}; "
                        "take it out of [params] and [hyper], or add it to the function"
                    ) from None
                if missing := _NOT_BOUND.match(trace):
                    raise TemplateError(
                        f"{self.path}: the function needs {missing[1]}, and nothing gives it; "
                        f"add {missing[1]} to [params] or params.{missing[1]} to [hyper]"
                    ) from None
            if undefined := _UNDEFINED.match(trace):
                name = undefined[1]
                raise FillError(
                    f'{self.path}: std.extVar("{name}") is not set; add {name} = ... to [ext_vars], or '
                    f'{name} = {{ env = "{name}" }} to take it from the environment',
                    error.detail,
                    offset,
                ) from None
            raise FillError(str(error), error.detail, offset) from None

    def _evaluate(self, expression: str) -> str:
        import _jsonnet

        program = f"local template = import {json.dumps(str(self.home))};\n{expression}"
        # Ctrl-C waits: inside the engine it would be taken for a file that cannot be read
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            text: str = _jsonnet.evaluate_snippet(
                "<resweep>", program, ext_vars=self._ext_vars, import_callback=self._read
            )
        except RuntimeError as error:
            raise _EvaluationError(self.path, str(error).strip()) from None
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return text

    def _tree(self, path: Path) -> Path | None:
        """The library that a file or folder lies in; None where that is the project."""
        if any(path.is_relative_to(tree) for tree in self.trees):
            return None
        return next((each for each in self.library if path.is_relative_to(each)), None)

    def _read(self, folder: str, name: str) -> tuple[str, bytes]:
        if os.path.isabs(name) and name != str(self.home):
            raise RuntimeError(f"{name}: absolute imports are not allowed; use a path relative to the file or to jpath")
        path = Path(find(folder, name, self.library))
        beside = str(path) == os.path.normpath(os.path.join(folder, name))
        self.crossed |= beside and path != self.home and self._tree(Path(folder)) != self._tree(path)
        if path not in self.sources:
            if not any(path.is_relative_to(tree) for tree in (*self.trees, *self.library)):
                raise RuntimeError(f"{path}: outside the project; add its folder to [jsonnet] jpath to allow it")
            try:
                self.sources[path] = path.read_bytes()
            except OSError as error:
                raise RuntimeError(f"{path}: {error.strerror}") from None
        return str(path), self.sources[path]


def find(folder: str, name: str, library: Sequence[Path]) -> str:
    """The file that an import of `name` means in a file of `folder`: the one beside it, or else the first in `library`.

    Where there is none, the one that would be beside it.
    """
    found = [os.path.normpath(os.path.join(str(each), name)) for each in (folder, *library)]
    return next((path for path in found if os.path.isfile(path)), found[0])


def _groups(count: int, ext_vars: Sequence[ExtVars]) -> Iterator[tuple[Sequence[int], ExtVars]]:
    """The places of the configurations that one evaluation fills, with their external variables."""
    groups: dict[tuple[tuple[str, str], ...], Sequence[int]] = {(): range(count)}
    if ext_vars:
        alike: dict[tuple[tuple[str, str], ...], list[int]] = {}
        for place, each in enumerate(ext_vars):
            alike.setdefault(tuple(sorted(each.items())), []).append(place)
        groups = dict(alike)
    for given, places in groups.items():
        for start in range(0, len(places), CHUNK):
            yield places[start : start + CHUNK], dict(given)


def _call(arguments: Arguments) -> str:
    for name in arguments:
        if not usable(name):
            raise TemplateError(
                f"params.{name}: no name that a jsonnet function can have, expected letters, digits, '_'"
            )
    # JSON is jsonnet: no value is ever read as code
    return ", ".join(f"{name}={json.dumps(value, allow_nan=False)}" for name, value in arguments.items())


def usable(name: str) -> bool:
    """Whether a jsonnet function can have a parameter of this name."""
    return bool(_IDENTIFIER.fullmatch(name)) and name not in _KEYWORDS


def _our_call(trace: str) -> bool:
    """Whether the error is that of calling the template itself, and not of a call inside it."""
    lines = trace.splitlines()
    return len(lines) > 1 and lines[1].strip().startswith("<resweep>:")
