"""Mutation testing: `python tests/mutation/mutants.py CONFIG COPY [--again] [MODULE...]`.

The mutants are mutmut's, without those that change only a text for people. They are tried in a copy of the repository,
in directory COPY: the tests are collected once, and each mutant is a fork in which the tests that call its function
run, fastest first, until one fails. `COPY/verdicts.json` has the verdicts, `COPY/survivors.diff` the survivors. A
second call tries what has no verdict yet, and with --again also the survivors; MODULE is a part of a path.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import subprocess
import sys
import time
import tomllib
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libcst as cst
import libcst.matchers as m
import pytest
from hypothesis import settings
from mutmut.mutation import mutators
from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.state import state

REPOSITORY = Path(__file__).absolute().parent.parent.parent
MEMORY = 6 << 30  # bytes


def choose_operators(messages: list[str]) -> None:
    """Leave out what changes only a text for people, and None in place of a value, which the type checker refuses."""

    def string(node: cst.BaseString) -> Iterator[cst.BaseString]:
        if isinstance(node, cst.SimpleString) and " " not in node.value:
            yield from list(mutators.operator_string(node))[:1]

    def arguments(node: cst.Call) -> Iterator[cst.Call]:
        name = node.func.attr if isinstance(node.func, cst.Attribute) else node.func
        if m.matches(name, m.OneOf(*map(m.Name, messages))):
            return
        for n, argument in enumerate(node.args):
            if argument.keyword is not None and len(node.args) > 1:  # its default instead
                yield node.with_changes(args=[*node.args[:n], *node.args[n + 1 :]])

    def guard(node: cst.If) -> Iterator[cst.If]:
        yield node.with_changes(test=cst.Name("False"))

    def statement(node: cst.Expr) -> Iterator[cst.Pass]:
        if not isinstance(node.value, cst.BaseString):
            yield cst.Pass()

    changed: dict[Any, Any] = {mutators.operator_string: string, mutators.operator_arg_removal: arguments}
    operators: Any = mutators.mutation_operators
    left_out = (mutators.operator_assignment, mutators.operator_lambda)
    operators[:] = [(kind, changed.get(make, make)) for kind, make in operators if make not in left_out]
    operators += [(cst.If, guard), (cst.Expr, statement)]  # which mutmut lacks: a check that is not made


def copied(copy: Path, modules: list[str]) -> dict[str, str]:
    """Copy the repository's files, the modules with all their mutants; the diff of each mutant by its name."""
    listed = subprocess.check_output(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=REPOSITORY, text=True
    )
    for name in filter(None, listed.split("\0")):
        if (REPOSITORY / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((REPOSITORY / name).read_bytes())
    diffs = {}
    for module in modules:
        text = mutate_file_contents(module, (REPOSITORY / module).read_text("utf-8"), None, None)
        (copy / module).write_text(text.code, "utf-8")
        dotted = module.removesuffix(".py").replace("/", ".")
        tree = cst.parse_module(text.code)
        functions = {each.name.value: each for each in m.findall(tree, m.FunctionDef())}
        for name in text.mutant_names:
            diffs[f"{dotted}.{name}"] = _diff(functions, name, module)
    return diffs


def _diff(functions: dict[str, Any], name: str, module: str) -> str:
    import difflib

    original = name[: name.rindex("__mutmut_")] + "__mutmut_orig"
    old, new = (cst.Module([functions[each]]).code.strip().split("\n") for each in (original, name))
    return "\n".join(difflib.unified_diff(old[1:], new[1:], module, name, lineterm="", n=1))


class Mutation:
    """A plugin that runs mutants instead of tests."""

    def __init__(self, copy: Path, config: dict[str, Any], diffs: dict[str, str], again: bool) -> None:
        self.copy, self.config, self.diffs, self.again = copy, config, diffs, again
        self.verdicts: dict[str, dict[str, str]] = {}
        self.failed = False
        self.times: dict[str, float] = {}
        self.killers: dict[str, list[str]] = {}  # of a function's mutants, the last one first

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Notice that a test failed."""
        self.failed |= report.failed

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Learn which tests call which function, then try each mutant in a fork of this process."""
        reach, times = self._covered(session.items)
        path = self.copy / "verdicts.json"
        known = json.loads(path.read_text()) if path.exists() else {}
        # a verdict belongs to a mutant as it was
        verdicts = {n: each for n, each in known.items() if self.diffs.get(n, each["diff"]) == each["diff"]}
        done = {n for n, each in verdicts.items() if each["verdict"] in ("killed", "timeout") or not self.again}
        todo = [n for n in self.diffs if n not in done]
        sound = {each for tests in reach.values() for each in tests}
        # what calls little of the code is about it
        costs = {n: times[n] * (1 + sum(n in tests for tests in reach.values())) for n in times}
        self.times = times
        control = self._within([each for each in session.items if each.nodeid in sound], costs, "")
        assert self._tried("", control) == "survived", "the tests fail in a fork without a mutant: see pytest.log"
        gc.collect()
        gc.freeze()
        for count, name in enumerate(todo, 1):
            reached = set(reach.get(name[: name.rindex("__mutmut_")], []))
            items = self._within([each for each in session.items if each.nodeid in reached], costs, name)
            begin = time.monotonic()
            verdict = "explained" if self._why(name) else self._tried(name, items) if items else "no tests"
            if verdict == "killed":
                self._noted(name)
            verdicts[name] = {"verdict": verdict, "diff": self.diffs[name]}
            print(f"{count}/{len(todo)} {name}: {verdict} {time.monotonic() - begin:.1f}s", file=sys.__stderr__)
            if count % 20 == 0 or count == len(todo):
                path.write_text(json.dumps(verdicts, indent=1))
        self._tell(verdicts)
        return True

    def _why(self, name: str) -> str | None:
        """Why nobody can tell this mutant from the original, where the configuration says so: by its new line."""
        new = {line[1:].strip() for line in self.diffs[name].splitlines()[2:] if line.startswith("+")}
        for each in self.config.get("explained", []):
            if f".{each['module']}.x" in name and new & {line.strip() for line in each["lines"]}:
                return str(each["why"])
        return None

    def _promise(self, name: str, test: str) -> int:
        """How early to try a test: first what killed the last mutants of the same function, or else of the module."""
        function, module = name.partition("__mutmut_")[0], name.rpartition(".")[0]
        killers = [*self.killers.get(function, []), *self.killers.get(module, [])]
        return killers.index(test) if test in killers else len(killers)

    def _noted(self, name: str) -> None:
        killer = (self.copy / "killer").read_text()
        for group in (name[: name.rindex("__mutmut_")], name.rpartition(".")[0]):
            known = self.killers.setdefault(group, [])
            self.killers[group] = [killer, *(each for each in known if each != killer)][:20]

    def _within(self, items: list[pytest.Item], costs: dict[str, float], name: str) -> list[pytest.Item]:
        """The most promising of some tests, that take as long as a mutant may."""
        chosen, left = [], self.config["budget"]
        for each in sorted(items, key=lambda each: (self._promise(name, each.nodeid), costs[each.nodeid])):
            left -= self.times[each.nodeid]
            if chosen and left < 0:
                break
            chosen.append(each)
        return chosen

    def _covered(self, items: list[pytest.Item]) -> tuple[dict[str, list[str]], dict[str, float]]:
        reach: dict[str, list[str]] = {}
        times: dict[str, float] = {}
        set_mutant_under_test("stats")
        for item, after in zip(items, [*items[1:], None], strict=True):
            begin = time.process_time()
            state()._stats.clear()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            times[item.nodeid] = time.process_time() - begin
            if self.failed:
                print(f"fails without a mutant, and is left out: {item.nodeid}", file=sys.__stderr__)
            for name in () if self.failed else state()._stats:
                reach.setdefault(name, []).append(item.nodeid)
            self.failed = False
        set_mutant_under_test("")
        print(f"{len(items)} tests in {sum(times.values()):.0f} s", file=sys.__stderr__)
        return reach, times

    def _tried(self, name: str, items: list[pytest.Item]) -> str:
        pid = os.fork()
        if not pid:
            # seconds of the processor: an endless loop is told from them, whatever else the machine does
            limit = int(time.process_time() + 2 * self.config["budget"]) + 10
            resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            set_mutant_under_test(name)
            try:
                for item, after in zip(items, [*items[1:], None], strict=True):
                    item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
                    if self.failed:
                        (self.copy / "killer").write_text(item.nodeid)
                        sys.stdout.flush()
                        os._exit(1)
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                sys.stdout.flush()
            os._exit(1)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return {0: "survived", 1: "killed"}.get(status, "timeout")

    def _tell(self, verdicts: dict[str, dict[str, str]]) -> None:
        alive = {n: each["diff"] for n, each in verdicts.items() if each["verdict"] in ("survived", "no tests")}
        (self.copy / "survivors.diff").write_text("".join(f"# {name}\n{diff}\n\n" for name, diff in alive.items()))
        for module in self.config["modules"]:
            dotted = module.removesuffix(".py").replace("/", ".") + ".x"
            found = [each["verdict"] for name, each in verdicts.items() if name.startswith(dotted)]
            counts = {verdict: found.count(verdict) for verdict in sorted(set(found))}
            print(f"{module}: {len(found)} mutants, {counts}", file=sys.__stderr__)


def main() -> None:
    """Make the copy, and try its mutants."""
    words = [word for word in sys.argv[1:] if word != "--again"]
    config = tomllib.loads(Path(words[0]).read_text("utf-8"))
    copy = Path(words[1]).absolute()
    (copy / "mutants" / "resweep").mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background lacks
    os.chdir(copy)
    (copy / "setup.cfg").write_text("[mutmut]\nsource_paths = resweep\n")  # which mutmut asks for
    choose_operators(config["messages"])
    modules = [each for each in config["modules"] if not words[2:] or any(word in each for word in words[2:])]
    diffs = copied(copy, modules)
    sys.path.insert(0, str(copy))
    (copy / "tmp").mkdir(exist_ok=True)
    os.environ["TMPDIR"] = str(copy / "tmp")
    # few examples, the same for every mutant
    settings.register_profile("mutation", max_examples=15, derandomize=True, deadline=None, database=None)
    settings.load_profile("mutation")
    plugin = Mutation(copy, config, diffs, "--again" in sys.argv)
    options = ["-q", "-p", "no:cacheprovider", "-o", "tmp_path_retention_policy=none", "-k", config["choose"]]
    with open(copy / "pytest.log", "w", encoding="utf-8") as sys.stdout:
        pytest.main([*options, *config["tests"]], plugins=[plugin])


if __name__ == "__main__":
    main()
