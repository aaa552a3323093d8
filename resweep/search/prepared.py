"""A template that is filled at once: jsonnet has read it, and its own library, before the point is known.

Each evaluation reads jsonnet's library anew, which takes ten to twenty milliseconds. So a process of its own evaluates
the template up to where it needs its arguments, and waits there: an import that is answered when the point is known.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from resweep.generation.template import Arguments, ExtVars, Template

# argv: where this package lies, the program, and as JSON the folders of libraries and the external variables
# stdin: a line of arguments for each evaluation; stdout: a line with the result, empty for an error
_CHILD = """
import json, os, sys
import _jsonnet
sys.path.insert(0, sys.argv[1])
from resweep.generation.template import find
program, (library, ext_vars) = sys.argv[2], map(json.loads, sys.argv[3:])
sys.stdin.reconfigure(encoding="utf-8")
sys.stdout.reconfigure(encoding="utf-8")
os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
asked = False
def read(folder, name):
    global asked
    if name == "<arguments>":
        asked = True
        line = sys.stdin.readline()
        if not line:
            os._exit(0)
        return name, line.encode()
    path = find(folder, name, library)
    with open(path, "rb") as file:
        return path, file.read()
def tell(text):
    sys.stdout.write(text + "\\n")
    sys.stdout.flush()
# told from within: what is done when an evaluation ends takes milliseconds, too
own = {"tell": (("text",), tell)}
given = {"ext_vars": ext_vars, "import_callback": read, "native_callbacks": own}
while True:
    asked = False
    try:
        _jsonnet.evaluate_snippet("<resweep>", program, **given)
    except RuntimeError:
        if not asked:  # the template can no longer be read: going on would only try again and again
            os._exit(1)
        tell("")
"""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _end(process: subprocess.Popen[str], owner: int) -> None:
    """End the process that waits for `owner`, unless this is a process that was forked from that."""
    if os.getpid() == owner and process.poll() is None:
        # its input need not end with ours: launchers that were forked meanwhile have it open, too
        process.kill()
        process.communicate()


class Prepared(Template):
    """A template for arguments whose names are known: what it cannot do at once, `template` does.

    External variables have to be known from the beginning: `ext_vars` has those of each example.
    """

    def __init__(
        self,
        template: Template,
        examples: Sequence[Arguments],
        optional: Sequence[str],
        ext_vars: Sequence[ExtVars] = (),
    ) -> None:
        self.path = template.path
        self.sources = template.sources
        self.library = template.library
        self._template = template
        self._optional = tuple(optional)
        self._taken = template.fill(examples, optional, ext_vars)[1]
        self._ext_vars = ext_vars[0] if ext_vars else {}
        self._is_function = template.is_function
        self._names: list[frozenset[str]] = []
        self._process: subprocess.Popen[str] | None = None
        unwanted = set(optional) - set(self._taken)
        if self.is_function:
            self._names = list(dict.fromkeys(frozenset(set(each) - unwanted) for each in examples))
            known = all(each == self._ext_vars for each in ext_vars)
            if known and all(_NAME.fullmatch(name) for names in self._names for name in names):
                self._process = self._started()
                # where nobody closes it, as after an error: with the object, or with this process at the latest
                weakref.finalize(self, _end, self._process, os.getpid())

    def fill(
        self, arguments: Sequence[Arguments], optional: Sequence[str] = (), ext_vars: Sequence[ExtVars] = ()
    ) -> tuple[list[Any], list[str]]:
        """As Template.fill; the template itself says what is wrong with arguments that it refuses."""
        unwanted = set(optional) - set(self._taken)
        given = [{key: value for key, value in each.items() if key not in unwanted} for each in arguments]
        if tuple(optional) != self._optional or not given:
            return self._template.fill(arguments, optional, ext_vars)
        names = frozenset(given[0])
        known = names in self._names and all(frozenset(each) == names for each in given)
        if self._process is None or not known or any(each != self._ext_vars for each in ext_vars):
            return self._template.fill(given, self._taken, ext_vars)
        found = self._answer({"call": self._names.index(names), "list": given})
        return self._template.fill(given, self._taken, ext_vars) if found is None else (found, list(self._taken))

    def close(self) -> None:
        """End the process that waits."""
        if self._process is not None:
            _end(self._process, os.getpid())
            self._process = None

    def _answer(self, question: dict[str, Any]) -> list[Any] | None:
        assert self._process
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except OSError:  # it was killed: the template answers, from now on
            line = ""
        if not line:
            self._process = None
        try:
            found: list[Any] = json.loads(line)
        except ValueError:
            return None
        return found

    def _started(self) -> subprocess.Popen[str]:
        calls = [
            f"function(a) template({', '.join(f'{name}=a[{json.dumps(name)}]' for name in sorted(names))})"
            for names in self._names
        ]
        program = (
            f"local template = import {json.dumps(str(self._template.home))};\n"
            f"local calls = [{', '.join(calls)}];\n"
            # the template is read before the arguments are
            "if std.isFunction(template) then\n"
            # as text: jsonnet gives each file that it imports as code a library of its own
            'local given = std.parseJson(importstr "<arguments>");\n'
            'std.native("tell")(std.toString([calls[given.call](each) for each in given.list]))'
        )
        more = map(json.dumps, ([str(folder) for folder in self.library], self._ext_vars))
        home = str(Path(__file__).parent.parent.parent)
        command = [sys.executable, "-B", "-c", _CHILD, home, program, *more]
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8", process_group=0, cwd=Path("/")
        )
