"""What an interpreter has installed, what a machine is, and what has changed: told here as text and numbers alone.

Run as a program in the interpreter that trains, it prints what is installed there. The launcher carries this file as
well, so: the standard library, Python 3.8, nothing of the tool. Names of files tell most; reading the metadata of a
hundred packages would take longer than all the rest.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import marshal
import os
import re
import shutil
import subprocess
import sys
from typing import Any, Callable, Dict, Iterable, NamedTuple

Facts = Dict[str, Any]

ENVIRONMENT = "environment.json"  # of a capsule, and of an attempt
REPORTS = "witness"  # the folder of an attempt in which its Python processes report
FIELDS = 4096  # bytes of a METADATA file in which its name and version stand
CARDS_SECONDS = 0.02  # that an attempt which has ended waits for nvidia-smi

# Variables that change what numerical libraries compute, or where. Names, or their beginnings with a *.
NUMERIC = (
    "BLIS_*",
    "CUBLAS_*",
    "CUDA_*",
    "CUDNN_*",
    "FLAGS_*",
    "GOMP_*",
    "GOTO_*",
    "HIP_*",
    "HSA_*",
    "JAX_*",
    "KMP_*",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "MALLOC_*",
    "MIOPEN_*",
    "MKL_*",
    "NCCL_*",
    "NUMBA_*",
    "NUMEXPR_*",
    "NVIDIA_TF32_OVERRIDE",
    "OMP_*",
    "ONEDNN_*",
    "OPENBLAS_*",
    "PYTHONHASHSEED",
    "PYTORCH_*",
    "ROCR_*",
    "TF_CPP_*",
    "TF_CUDNN_*",
    "TF_DETERMINISTIC_OPS",
    "TF_ENABLE_*",
    "TF_FORCE_*",
    "TF_GPU_*",
    "TF_NUM_*",
    "TF_XLA_*",
    "TORCH_*",
    "VECLIB_*",
    "XLA_*",
)
_BEGINNINGS = tuple(name[:-1] for name in NUMERIC if name.endswith("*"))
_SECRET = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|AUTH|_KEY|APIKEY", re.I)


class Installed(NamedTuple):
    """One distribution: its name as people write it, its version, and where its metadata lie."""

    name: str
    version: str
    metadata: str


def packages(path: Iterable[str]) -> dict[str, Installed]:
    """What is installed along the directories of `path`, by normalised name (PEP 503); the first of two counts."""
    found: dict[str, Installed] = {}
    for folder in path:
        for name, installed in _listed(folder, _changed(folder)).items():
            found.setdefault(name, installed)
    return found


def normalised(name: str) -> str:
    """A distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _changed(folder: str) -> int:
    """When a name in `folder` came or went, 0 for none: while this is the same, so is what is installed."""
    try:
        return os.stat(folder).st_mtime_ns if folder else 0
    except OSError:
        return 0


@functools.lru_cache(maxsize=64)
def _listed(folder: str, changed: int) -> dict[str, Installed]:
    """The distributions of one directory, which changed last at `changed`."""
    found: dict[str, Installed] = {}
    try:
        names = sorted(os.listdir(folder)) if changed else []
    except OSError:
        names = []
    for name in names:
        stem, dot, suffix = name.rpartition(".")
        if not dot or suffix not in ("dist-info", "egg-info", "egg-link"):
            continue
        installed = _from_name(folder, name, stem, suffix)
        if installed:
            found.setdefault(normalised(installed.name), installed)
    return found


def _from_name(folder: str, name: str, stem: str, suffix: str) -> Installed | None:
    metadata = os.path.join(folder, name)
    if suffix == "egg-link":  # `setup.py develop`: the source's path, and the metadata there
        source = _text(metadata).split("\n")[0].strip()
        metadata = os.path.join(source, stem.replace("-", "_") + ".egg-info")
        return Installed(stem, _fields(metadata)[1] or "unknown", metadata)
    package, dash, version = stem.partition("-")
    if suffix == "egg-info":
        version = re.sub(r"-py\d.*$", "", version)
    if not dash or not version:
        written, version = _fields(metadata)
        package = written or package
    return Installed(package, version, metadata) if version else None


def _fields(metadata: str) -> tuple[str, str]:
    """Name and version as a distribution's metadata have them; empty where they do not say."""
    files = [os.path.join(metadata, "METADATA"), os.path.join(metadata, "PKG-INFO"), metadata]
    text = next((text for text in map(_text, files) if text), "")
    found = [re.search(r"^%s: *(\S+)" % field, text, re.MULTILINE) for field in ("Name", "Version")]
    name, version = (match.group(1) if match else "" for match in found)
    return name, version


def _text(path: str) -> str:
    """The beginning of a file; empty where there is none."""
    try:
        with open(path, "rb") as file:
            return file.read(FIELDS).decode("utf-8", "replace")
    except OSError:
        return ""


def origin(installed: Installed) -> Facts:
    """Where a distribution came from: `index` (PyPI or a mirror), `editable`, `vcs`, `local`, `url`."""
    recorded = _text(os.path.join(installed.metadata, "direct_url.json"))  # PEP 610
    if recorded:
        with contextlib.suppress(ValueError, AttributeError):
            return _direct(json.loads(recorded))
    folder, name = os.path.split(installed.metadata)
    # `setup.py develop`: the metadata lie beside the source. In site-packages an egg-info is an old installation's.
    if name.endswith(".egg-info") and os.path.basename(folder) not in ("site-packages", "dist-packages"):
        return {"origin": "editable", "path": folder}
    return {"origin": "index"}


def _direct(direct: Facts) -> Facts:
    url = without_credentials(direct["url"]) or ""
    path = re.sub("^file://", "", url)
    if "vcs_info" in direct:
        vcs = direct["vcs_info"]
        return {"origin": "vcs", "url": "%s+%s" % (vcs["vcs"], url), "commit": vcs["commit_id"]}
    if direct.get("dir_info", {}).get("editable"):
        return {"origin": "editable", "path": path}
    facts: Facts = {"origin": "local", "path": path} if url.startswith("file:") else {"origin": "url", "url": url}
    archive = direct.get("archive_info", {})
    digest = archive.get("hashes", {}).get("sha256") or archive.get("hash", "").replace("sha256=", "")
    return {**facts, "sha256": digest} if digest else facts


def without_credentials(url: str | None) -> str | None:
    """An address without user name, password and query; `git@` stays, which is everybody's name."""
    if url is None:
        return None
    scheme, separator, rest = url.partition("://")
    if not separator:  # user@host:path, as ssh has it
        user, at, place = url.rpartition("@")
        return url if not at or user == "git" else place
    rest = re.split("[?#]", rest)[0]
    host, slash, path = rest.partition("/")
    user, at, host = host.rpartition("@")
    return scheme + separator + ("git@" if user == "git" else "") + host + slash + path


def conda(prefix: str) -> dict[str, Facts]:
    """The packages that conda has put into the environment at `prefix`; empty where it is none of conda's."""
    folder = os.path.join(prefix, "conda-meta")
    found = {}
    with contextlib.suppress(OSError):
        for name in sorted(os.listdir(folder)):
            parts = name[: -len(".json")].rsplit("-", 2)
            if name.endswith(".json") and len(parts) == 3:
                channel = re.search(r'"channel": *"([^"]*)"', _text(os.path.join(folder, name)))
                found[parts[0]] = {
                    "version": parts[1],
                    "build": parts[2],
                    "channel": without_credentials(channel.group(1)) if channel else None,
                }
    return found


def variables(environment: dict[str, str]) -> dict[str, str]:
    """Those of the variables in NUMERIC that are set, but none that looks like a secret."""
    named = sorted(name for name in environment if name in NUMERIC or name.startswith(_BEGINNINGS))
    return {name: environment[name] for name in named if not _SECRET.search(name)}


def platform_() -> Facts:
    """What binary packages depend on: system, processor family, C library."""
    system = os.uname()
    return {"system": system.sysname, "machine": system.machine, "libc": _libc()}


def _libc() -> str | None:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION")
    except (ValueError, OSError, AttributeError):  # no glibc
        return None


def interpreter() -> Facts:
    """What this interpreter is and has installed: what a generation records of the one that trains."""
    listed = packages(entry for entry in sys.path if entry)
    known: dict[str, Facts] = {}
    for key in sorted(listed):
        each = listed[key]
        known[key] = {"name": _fields(each.metadata)[0] or each.name, "version": each.version, **origin(each)}
    prefix = os.environ.get("CONDA_PREFIX", "")
    of_conda = conda(sys.prefix) or conda(prefix)
    return {
        "python": {
            "version": sys.version.split()[0],
            "implementation": sys.implementation.name,
            "build": sys.version.replace("\n", " "),
            "executable": sys.executable,
        },
        "packages": known,
        "conda": of_conda or None,
        "platform": platform_(),
        "variables": variables(dict(os.environ)),
    }


def drift(recorded: Facts, report: Facts) -> list[Facts]:
    """What differs between the environment of a generation and that of a process of an attempt, package by package.

    `report` has `python`, `implementation`, `prefix` and `path`, as the process had them. A change of None to a
    version is a package that came, the opposite one that went.
    """
    changes = []
    python = recorded["python"]
    for what, before, after in (
        ("python", python["version"], report["python"]),
        ("implementation", python["implementation"], report["implementation"]),
    ):
        if before != after:
            changes.append({"what": what, "before": before, "after": after})
    now = packages(report["path"])
    before_ = recorded["packages"]
    for key in sorted(before_.keys() | now.keys()):
        old, new = before_.get(key), now.get(key)
        then, later = _as_told(old), (new and new.version)
        if old and new and then == later and old["origin"] != "index":  # the same version of another commit, say
            then, later = _source(old), _source(origin(new))
        if then != later:
            changes.append({"what": key, "before": then, "after": later})
    if recorded["conda"]:
        there = conda(report["prefix"]) or conda(os.environ.get("CONDA_PREFIX", ""))
        for key in sorted(recorded["conda"].keys() | there.keys()) if there else ():
            then, later = (_built(each.get(key)) for each in (recorded["conda"], there))
            if then != later:
                changes.append({"what": "conda " + key, "before": then, "after": later})
    return changes


def _as_told(package: Facts | None) -> str | None:
    return None if package is None else str(package["version"])


def _source(facts: Facts) -> str:
    return " ".join(str(facts[key]) for key in ("origin", "url", "path", "commit") if key in facts)


def _built(package: Facts | None) -> str | None:
    return None if package is None else "%s %s" % (package["version"], package["build"])


def machine() -> Facts:
    """This machine: processor, cores, memory in bytes, system, and the NVIDIA driver where there is one."""
    return dict(_machine(), cores_usable=_usable())


@functools.lru_cache(maxsize=None)
def _machine() -> Facts:
    model = re.search(r"^model name\s*: *(.*)", _text("/proc/cpuinfo"), re.MULTILINE)
    memory = re.search(r"^MemTotal: *(\d+) kB", _text("/proc/meminfo"), re.MULTILINE)
    driver = re.search(r"Module[^\d\n]*([\d.]+)", _text("/proc/driver/nvidia/version"))
    return {
        "cpu": model.group(1) if model else None,
        "cores": os.cpu_count(),
        "memory_bytes": int(memory.group(1)) * 1024 if memory else None,
        "kernel": os.uname().release,
        **platform_(),
        "driver": driver.group(1) if driver else None,
    }


def _usable() -> int | None:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


class _Cards:
    """The cards of this machine as nvidia-smi tells them, which takes up to seconds: asked once, in the background."""

    def __init__(self, program: str | None) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._answer: list[Facts] | None = None
        if program is None:
            self._answer = []
            return
        query = "--query-gpu=index,uuid,name,memory.total,driver_version"
        with contextlib.suppress(OSError):
            self._process = subprocess.Popen(
                [program, query, "--format=csv,noheader,nounits"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )

    def told(self) -> list[Facts] | None:
        """The cards; None while nvidia-smi has not answered."""
        if self._answer is None and self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                output = self._process.communicate(timeout=CARDS_SECONDS)[0]
                self._answer = [_card(line) for line in output.decode("utf-8", "replace").splitlines()]
        return self._answer


def _card(line: str) -> Facts:
    values = [value.strip() for value in line.split(",")]
    return dict(zip(("index", "uuid", "name", "memory_mib", "driver"), values))  # noqa: B905  # Python 3.8


_cards = functools.lru_cache(maxsize=None)(_Cards)


class Watch:
    """Watches one attempt from beside: what its Python processes report, what machine and packages it had.

    `witness` is the text of witness.py, which those processes load as sitecustomize, from the attempt's directory.
    """

    def __init__(self, capsule: str, directory: str, witness: str) -> None:
        self._capsule = capsule
        self._directory = directory
        self._reports = os.path.join(directory, REPORTS)
        compiled = os.path.join(self._reports, "__pycache__")
        os.makedirs(compiled, exist_ok=True)
        with open(os.path.join(self._reports, "sitecustomize.py"), "w", encoding="utf-8") as file:
            file.write(witness)
        with open(os.path.join(compiled, "sitecustomize.%s.pyc" % sys.implementation.cache_tag), "wb") as binary:
            binary.write(_compiled(witness))
        self._variables: dict[str, str] = {}
        self._cards = _cards(shutil.which("nvidia-smi"))

    def environment(self, environment: dict[str, str]) -> dict[str, str]:
        """The environment of the training, with the witness on PYTHONPATH behind what is frozen."""
        self._variables = variables(environment)
        if os.pathsep in self._reports:  # no PYTHONPATH can hold it
            return environment
        path = environment["PYTHONPATH"].split(os.pathsep)
        frozen = (self._capsule, os.path.join(self._capsule, "src"))
        path.insert(next((n for n, entry in enumerate(path) if entry not in frozen), len(path)), self._reports)
        witnessed = os.pathsep.join([self._capsule, self._reports])
        return {**environment, "PYTHONPATH": os.pathsep.join(path), "RESWEEP_WITNESS": witnessed}

    def ended(self, write: Callable[[str, Facts], None]) -> Facts:
        """What goes into the record, now that the attempt has ended; the rest is written to environment.json.

        `leaked` is None when no Python process of the training reported, or what they reported cannot be read.
        """
        try:
            return self._conclude(write)
        except Exception as error:  # whatever is wrong with the audit, a training of days is not lost to it
            with contextlib.suppress(OSError):
                write(os.path.join(self._directory, ENVIRONMENT), {"format": 1, "error": repr(error)})
            return {"leaked": None}

    def _conclude(self, write: Callable[[str, Facts], None]) -> Facts:
        reports = list(self._read())
        recorded = _recorded(os.path.join(self._capsule, ENVIRONMENT))
        # of several interpreters the one that loaded the project's code is the one that trains
        trains = max(reports, key=lambda report: bool(report["inside"] or report["leaked"]), default=None)
        facts = {
            "format": 1,
            "machine": machine(),
            "cards": self._cards.told(),
            "variables": self._variables,
            "python": {key: trains[key] for key in ("python", "implementation", "prefix")} if trains else None,
            "libraries": trains["libraries"] if trains else {},
            "drift": drift(recorded, trains) if trains and recorded else None,
            "audit_errors": sorted({error for report in reports for error in report["error"]}),
        }
        write(os.path.join(self._directory, ENVIRONMENT), facts)
        self._clear()
        leaked = sorted({path for report in reports for path in report["leaked"]})
        return {"leaked": leaked if leaked or (reports and not facts["audit_errors"]) else None}

    def _clear(self) -> None:
        """Remove the reports; what a process that outlives its training writes yet may stay."""
        with contextlib.suppress(OSError):
            for folder in (os.path.join(self._reports, "__pycache__"), self._reports):
                for name in os.listdir(folder):
                    os.unlink(os.path.join(folder, name))
                os.rmdir(folder)

    def _read(self) -> Iterable[Facts]:
        with contextlib.suppress(OSError):
            for name in sorted(os.listdir(self._reports)):
                if name.startswith("report-"):
                    yield read_report(os.path.join(self._reports, name))


_environments: dict[tuple[int, int, int], Facts] = {}


def _recorded(path: str) -> Facts:
    """The environment of a capsule's generation, one file for all its capsules; empty for one that has none."""
    with contextlib.suppress(OSError, ValueError):
        now = os.stat(path)
        key = (now.st_dev, now.st_ino, now.st_mtime_ns)
        if key not in _environments:
            with open(path, encoding="utf-8") as file:
                _environments[key] = json.load(file)
        return _environments[key]
    return {}


@functools.lru_cache(maxsize=None)
def _compiled(text: str) -> bytes:
    """The text as a .pyc that is not checked against its source: compiling it is what would cost most at each start.

    For this version of Python; another one, which the training may have, does not look at it.
    """
    code = compile(text, REPORTS + "/sitecustomize.py", "exec")
    unchecked = (1).to_bytes(4, "little")  # PEP 552
    source = importlib.util.source_hash(text.encode())
    return importlib.util.MAGIC_NUMBER + unchecked + source + marshal.dumps(code)


def read_report(path: str) -> Facts:
    """What one process reported: a line `KEY VALUE` for each thing, in any number."""
    report: Facts = {"python": "", "implementation": "", "prefix": "", "inside": 0}
    report.update(path=[], leaked=[], error=[], libraries={})
    with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        for line in file.read().split("\n")[:-1]:  # a line that is not whole was being written when the process died
            key, _, value = line.partition(" ")
            value = value.replace("%0A", "\n").replace("%25", "%")
            if key in ("path", "leaked", "error"):
                report[key].append(value)
            elif key == "library":
                name, _, version = value.partition(" ")
                report["libraries"][name] = version
            elif key in report:
                report[key] = int(value) if key == "inside" else value
    return report


if __name__ == "__main__":
    sys.stdout.write(json.dumps(interpreter()))
