"""Sees, from inside the Python processes of a training, which of the project's modules they load from elsewhere.

The launcher puts this file as sitecustomize.py behind the capsule on PYTHONPATH, so that every Python that starts loads
it, and no code of a researcher has to. What it sees goes to a file of the process in the attempt's directory: at once
for an import from elsewhere, which a process may not outlive, and all at the end. It says nothing, and fails silently:
a training is worth more than its audit.

Python 3.8, and few imports: what this costs, every start of Python costs.
"""

from __future__ import annotations

import atexit
import os
import sys

TYPE_CHECKING = False  # typing itself takes longer to import than all of this
if TYPE_CHECKING:
    from typing import Any


class Witness:
    """Watches the imports of this process. A finder that finds nothing: it asks the others, and notes their answer."""

    def __init__(self, capsule: str, reports: str) -> None:
        self._capsule = capsule
        self._inside = (capsule + os.sep, os.path.realpath(capsule) + os.sep)
        self._reports = reports
        self._cwd = os.getcwd()
        self._pid = os.getpid()
        self._told: set[str] = set()
        self._places: dict[str, list[str]] = {}
        self._file = ""
        # as it is before a program changes it: what is installed is what these directories hold
        self._path = [entry for entry in sys.path if entry and entry != reports]
        self._tops: dict[str, str] = {}  # top-level module -> the directory of the capsule that it is frozen in
        for folder in (os.path.join(capsule, "src"), capsule):
            for entry in os.scandir(folder) if os.path.isdir(folder) else ():
                name = entry.name.partition(".")[0]
                if entry.is_dir() or entry.name.endswith((".py", ".so", ".pyd")):
                    self._tops[name] = folder
        self._tops.pop("src", None)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """What the other finders say, noted if it is the project's and lies elsewhere."""
        if name.partition(".")[0] not in self._tops:
            return None
        for finder in sys.meta_path[sys.meta_path.index(self) + 1 :]:
            find = getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find else None
            if spec is not None:
                try:
                    for each, file in ((name, spec.origin), ("__main__", _file(sys.modules["__main__"]))):
                        if self._is_leak(each, file) and self._whole(file) not in self._told:
                            self._tell([("leaked", self._whole(file))])
                except Exception as error:
                    self._fail(error)
                return spec
        return None

    def end(self) -> None:
        """Report everything that is loaded; in a forked child only what is wrong."""
        try:
            inside, leaked = 0, []
            for name, module in list(sys.modules.items()):
                file = _file(module)
                if file is None:
                    continue
                if self._is_leak(name, file):
                    leaked.append(("leaked", self._whole(file)))
                elif name.partition(".")[0] in self._tops or name == "__main__":
                    inside += self._is_inside(file)
            leaked = [fact for fact in leaked if fact[1] not in self._told]
            if leaked:
                self._tell(leaked)
            # a helper that has nothing of the project need not say so when another process has reported
            if os.getpid() == self._pid and (inside or self._told or not self._others()):
                self._tell([("inside", str(inside)), *self._libraries()])
        except Exception as error:
            self._fail(error)

    def _others(self) -> bool:
        """Whether another process of the training has reported."""
        return any(name.startswith("report-") for name in os.listdir(self._reports))

    def _fail(self, error: Exception) -> None:
        """Report that this process could not be audited."""
        try:
            self._tell([("error", repr(error))])
        except Exception:
            pass

    def _is_leak(self, name: str, file: Any) -> bool:
        """Whether the module `name` is the project's own, and was loaded from a file outside the capsule."""
        if not isinstance(file, str) or file in ("built-in", "frozen"):
            return False
        return self._is_ours(name, file) and not self._is_inside(file)

    def _is_ours(self, name: str, file: str) -> bool:
        top, _, rest = name.partition(".")
        home = self._tops.get(top)
        if home is not None:
            frozen = os.path.join(home, top)
            # a package is ours as a whole; of a namespace, which others may share, what is frozen is
            if not os.path.isdir(frozen) or os.path.exists(os.path.join(frozen, "__init__.py")):
                return True
            frozen = os.path.join(home, *name.split("."))
            return os.path.exists(frozen + ".py") or os.path.exists(os.path.join(frozen, "__init__.py"))
        # a script, and what it finds beside itself: `python qb/main.py` imports qb/reader.py as `reader`
        if rest or name == "__mp_main__":
            return False
        folder, base = os.path.split(self._whole(file))
        if base == "__init__.py":
            folder, package = os.path.split(folder)
            base = os.path.join(package, base)
        return any(os.path.exists(os.path.join(place, base)) for place in self._same_place(folder))

    def _same_place(self, folder: str) -> list[str]:
        """Where in the capsule the files of a directory of the working tree, or of another copy, would be."""
        if folder not in self._places:
            parts = folder.split(os.sep)
            places = [
                os.path.join(self._tops[part], *parts[number:])
                for number, part in enumerate(parts)
                if part in self._tops
            ]
            capsule = self._capsule.split(os.sep)
            if capsule[-5:-3] == ["config", "generated"] and parts == capsule[:-5]:
                places.append(self._capsule)
            self._places[folder] = places
        return self._places[folder]

    def _whole(self, file: str) -> str:
        return os.path.normpath(os.path.join(self._cwd, file))

    def _is_inside(self, file: str) -> bool:
        file = self._whole(file)
        return file.startswith(self._inside) or os.path.realpath(file).startswith(self._inside)

    def _libraries(self) -> list[tuple[str, str]]:
        """What only the loaded libraries know: the CUDA that torch was built for, the threads that it computed with."""
        torch = sys.modules.get("torch")
        version = sys.modules.get("torch.version")
        facts = {"torch": getattr(torch, "__version__", None), "torch.cuda": getattr(version, "cuda", None)}
        try:
            facts["torch.threads"] = torch.get_num_threads() if torch else None
        except Exception:  # something else of that name
            pass
        return [("library", "%s %s" % (name, value)) for name, value in facts.items() if torch and value]

    def _tell(self, facts: list[tuple[str, str]]) -> None:
        """Append to the report of this process, which begins with what the process is."""
        if os.getpid() != self._pid or not self._file:  # forked: a report of its own
            self._file = os.path.join(self._reports, "report-%s-%d" % (os.uname().nodename, os.getpid()))
            head = [("python", sys.version.split()[0]), ("implementation", sys.implementation.name)]
            facts = [*head, ("prefix", sys.prefix), *(("path", entry) for entry in self._path), *facts]
        self._told.update(value for key, value in facts if key == "leaked")
        text = "".join("%s %s\n" % (key, value.replace("%", "%25").replace("\n", "%0A")) for key, value in facts)
        with open(self._file, "a", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            file.write(text)


def _file(module: Any) -> Any:
    """The file that a module was loaded from; None where there is none."""
    if not issubclass(type(module), type(sys)):  # sys.modules may hold anything
        return None
    # the dictionary itself: asking a lazy module for a name loads it
    names = object.__getattribute__(module, "__dict__")
    # Python takes the script's __file__ away before the end; its loader stays
    file = names.get("__file__") or getattr(names.get("__loader__"), "path", None)
    return file if isinstance(file, str) else None


def _chain(reports: str) -> None:
    """Take this file's directory off the path, and load the sitecustomize that it hides, if there is one."""
    sys.path[:] = [entry for entry in sys.path if entry != reports]
    sys.path_importer_cache.pop(reports, None)
    me = sys.modules.pop(__name__, None)
    try:
        __import__("sitecustomize")
    except ImportError as error:
        if error.name != "sitecustomize":
            raise
        if me is not None:
            sys.modules[__name__] = me


def _begin(said: str | None) -> None:
    """Begin to watch, where a launcher says that this is a training."""
    capsule, _, reports = (said or "").rpartition(os.pathsep)
    if not capsule:
        return
    try:
        witness = Witness(capsule, reports)
        sys.meta_path.insert(0, witness)
        atexit.register(witness.end)
    except Exception:
        pass
    _chain(reports)


if __name__ == "sitecustomize":
    _begin(os.environ.get("RESWEEP_WITNESS"))
