"""A sweep configuration of Weights & Biases, as its YAML says it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from resweep.errors import shown
from resweep.importers.translation import N, NoEquivalentError, Table, Translation, number

_UNSAID = {
    "program": "train.sh runs a trial; what was started goes there",
    "command": "train.sh runs a trial; what was started goes there",
    "name": "the sweep's name is the NAME of generate",
    "description": "a comment can say it",
    "project": "there is no account to report to",
    "entity": "there is no account to report to",
}
_SAID = ("method", "metric", "parameters", "run_cap", "early_terminate")
# what W&B takes where a sweep does not say it
_ETA = 3
_SMALLEST_ETA = 2
_WORDS = {
    "min", "max", "mu", "sigma", "q", "value", "values", "probabilities", "distribution", "parameters",
}  # fmt: skip


def looks_like(found: Mapping[str, Any]) -> bool:
    """Whether a file's tables are those of a sweep of W&B."""
    return isinstance(found.get("parameters"), dict)


def translate(found: Mapping[str, Any], origin: str) -> Translation:
    """The same search space as far as it has an equivalent."""
    said = Translation(f"{origin}, a sweep of W&B")
    grid = found.get("method") == "grid"
    _parameters(said, found["parameters"], "", grid)
    _metric(said, found.get("metric"))
    _method(said, found, grid)
    _early(said, found.get("early_terminate"))
    for key in found:
        if key not in _SAID:
            said.lost.append(f"{key}: {_UNSAID.get(str(key), 'is not known here')}")
    return said


def _method(said: Translation, found: Mapping[str, Any], grid: bool) -> None:
    method, cap = found.get("method"), found.get("run_cap")
    if grid:
        if cap is not None:
            said.lost.append(f"run_cap: a grid is whole; resweep run --max-trials {shown(cap)} stops after so many")
        return
    learns = method == "bayes" and "metric" in said.results
    if method == "bayes":
        why = "Optuna's TPE, not W&B's process" if learns else "names no metric, so points are drawn at random"
        said.lost.append(f"method: bayes {'is ' if learns else ''}{why}")
    elif method != "random":
        said.lost.append(f"method: {shown(method)} is not known here; points are drawn at random")
    if not said.hyper:
        said.lost.append("method: nothing is searched, so there is one point")
        return
    whole = isinstance(cap, int) and not isinstance(cap, bool) and 1 <= cap < 2**31
    asked = int(str(cap)) if whole else N
    n = asked if learns else said.at_most(asked)  # one that learns may ask for a point again
    if not whole:
        said.lost.append(f"run_cap: {'is missing' if cap is None else 'found ' + shown(cap)}; {n} points are tried")
    elif n < asked:
        said.lost.append(f"run_cap: found {asked}, and there are {n} different points")
    said.search = {"method": "tpe" if learns else "random", "n": n}
    if learns:
        _drop_weights(said)


def _drop_weights(said: Translation) -> None:
    """Optuna learns which choice is good, and takes no chances for them; a step of its own is for linear ranges."""
    for key, form in said.hyper.items():
        name = key.partition(".")[2]
        if isinstance(form, dict) and "weights" in form:
            said.hyper[key] = form["choice"]
            said.lost.append(f"{name}.probabilities: are not for a search that learns; its values are kept")
        elif isinstance(form, dict) and "step" in form and not {"uniform", "randint"} & form.keys():
            said.hyper[key] = {kind: bounds for kind, bounds in form.items() if kind != "step"}
            said.lost.append(f"{name}.q: is not for a search that learns, on this scale; values are not rounded")


def _early(said: Translation, early: Any) -> None:
    """Hyperband, which stops at brackets by the best of all: successive halving with the same first bracket."""
    if early is None:
        return
    if not isinstance(early, dict) or early.get("type") != "hyperband":
        kind = early.get("type") if isinstance(early, dict) else early
        said.lost.append(f"early_terminate: found {shown(kind)}, expected hyperband; no trial is stopped early")
        return
    if "metric" not in said.results:
        said.lost.append("early_terminate: names no metric, so no trial is stopped early")
        return
    try:
        stop = _brackets(said, early)
    except NoEquivalentError as error:
        said.lost.append(f"early_terminate: {error}; no trial is stopped early")
        return
    said.search = {**said.search, "stop": stop}
    for key in early:
        if key not in ("type", "min_iter", "max_iter", "s", "eta"):
            said.lost.append(f"early_terminate.{key}: is not known here")


def _brackets(said: Translation, early: Table) -> Table:
    """The arguments of Optuna's pruner: `min_iter`, or the last of the `s` brackets below `max_iter`, is the first."""
    eta = _whole(early, "eta", _ETA)
    if eta is None or eta < _SMALLEST_ETA:
        raise NoEquivalentError(f"found eta = {shown(early.get('eta'))}, expected a whole number, 2 or more")
    if (first := _whole(early, "min_iter")) is None:
        last, brackets = _whole(early, "max_iter"), _whole(early, "s")
        if last is None or brackets is None:
            raise NoEquivalentError("says neither min_iter nor max_iter and s")
        first = int(last / eta ** min(brackets, 64))
        said.lost.append(f"early_terminate: the first of its {brackets} brackets is at step {max(first, 1)}")
        first = max(first, 1)
    elif "max_iter" in early or "s" in early:
        said.lost.append("early_terminate: min_iter says all; max_iter and s are left out")
    return {"method": "asha", "min_resource": first, "reduction_factor": eta}


def _whole(table: Table, key: str, default: int | None = None) -> int | None:
    """A whole number above 0, `default` where nothing is said; a NoEquivalentError for anything else."""
    value = table.get(key, default)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**31):
        raise NoEquivalentError(f"found {key} = {shown(value)}, expected a whole number above 0")
    return value


def _metric(said: Translation, metric: Any) -> None:
    if metric is None:
        return
    name = metric.get("name") if isinstance(metric, dict) else None
    if not isinstance(name, str) or not name or not name.isprintable():
        said.lost.append(f"metric: found {shown(metric)}, expected a name")
        return
    said.results = {"metric": name, "mode": "max" if metric.get("goal") == "maximize" else "min"}
    if metric.get("goal", "minimize") not in ("minimize", "maximize"):
        said.lost.append(
            f"metric.goal: found {shown(metric['goal'])}, expected minimize or maximize; minimize is taken"
        )
    for key in metric:
        if key not in ("name", "goal"):
            said.lost.append(f"metric.{key}: no trial is ended, or left out, for what came out")


def _parameters(said: Translation, parameters: Mapping[Any, Any], prefix: str, grid: bool) -> None:
    for key, spec in parameters.items():
        name = f"{prefix}{key}"
        if not isinstance(key, str) or not isinstance(spec, dict):
            said.lost.append(f"{name}: found {shown(spec)}, expected value, values, or min and max")
            continue
        if isinstance(spec.get("parameters"), dict):
            _parameters(said, spec["parameters"], f"{name}.", grid)
            continue
        try:
            if _distribution(spec) == "constant":
                said.constant(name, spec.get("value"))
            else:
                said.swept(name, _form(said, name, spec, grid))
        except NoEquivalentError as error:
            said.lost.append(f"{name}: {error}")
        else:
            said.lost += [f"{name}.{word}: is not known here" for word in spec if word not in _WORDS]


def _distribution(spec: Table) -> str:
    """The name of a parameter's distribution, as W&B infers it where it is not said."""
    if spec.get("distribution") is not None:
        return str(spec["distribution"])
    if "value" in spec:
        return "constant"
    if "values" in spec:
        return "categorical"
    if "min" in spec and "max" in spec:
        whole = all(isinstance(number(spec[end]), int) for end in ("min", "max"))
        return "int_uniform" if whole else "uniform"
    if "mu" in spec or "sigma" in spec:
        return "normal"
    raise NoEquivalentError("says no values, expected value, values, or min and max")


def _form(said: Translation, name: str, spec: Table, grid: bool) -> Any:
    kind = _distribution(spec)
    if kind.startswith("categorical"):
        return _categorical(said, name, spec, grid)
    quantized = kind.startswith("q_")
    kind = kind.removeprefix("q_")
    step = number(spec.get("q", 1)) if quantized else None
    if step is not None and step <= 0:
        raise NoEquivalentError(f"found q = {step}, expected a number above 0")
    if kind in ("normal", "log_normal"):
        return _only_random(
            grid, {kind.replace("_", ""): [number(spec.get("mu", 0)), number(spec.get("sigma", 1))]}, step
        )
    if kind not in ("int_uniform", "uniform") and not kind.removeprefix("inv_").startswith("log_uniform"):
        raise NoEquivalentError(f"the distribution {kind} has no equivalent")
    low, high = _bounds(kind, number(spec.get("min")), number(spec.get("max")))
    if step is not None:
        low, high = _on_steps(kind, low, step), _on_steps(kind, high, step)
    if low == high:
        return [low]
    if kind == "int_uniform" or (grid and step is not None and kind == "uniform"):
        whole = {"range": [low, high, step or 1]} if grid else {"randint": [low, high + 1]}
        return whole if step is None or grid else {**whole, "step": step}
    return _only_random(grid, {"uniform" if kind == "uniform" else "loguniform": [low, high]}, step)


def _only_random(grid: bool, form: Table, step: Any) -> Table:
    if grid:
        raise NoEquivalentError(f"a grid needs values, found the distribution {next(iter(form))}")
    return form if step is None else {**form, "step": step}


def _bounds(kind: str, low: Any, high: Any) -> tuple[Any, Any]:
    """The bounds of the value itself: those of log_uniform are exponents, and those of its inverse change places."""
    if kind.endswith("log_uniform"):
        try:
            low, high = (
                (math.exp(-high), math.exp(-low)) if kind.startswith("inv_") else (math.exp(low), math.exp(high))
            )
        except OverflowError:
            raise NoEquivalentError(f"found the exponents {low} and {high}, whose power no computer holds") from None
        low, high = float(f"{low:.6g}"), float(f"{high:.6g}")
    if kind == "int_uniform" and not all(isinstance(end, int) for end in (low, high)):
        raise NoEquivalentError(f"found {low} and {high}, expected whole numbers")
    return low, high


def _on_steps(kind: str, bound: Any, step: Any) -> Any:
    """W&B rounds to multiples of q; ours are counted from the lower bound, so that is one of them."""
    if not math.isfinite(bound / step):
        raise NoEquivalentError(f"found the bound {bound} and the step {step}, expected ones of a size")
    multiple = round(bound / step) * step
    multiple = multiple if isinstance(multiple, int) else float(f"{multiple:.12g}")
    return bound if multiple <= 0 and "log" in kind else multiple


def _categorical(said: Translation, name: str, spec: Table, grid: bool) -> Any:
    values = spec.get("values")
    if not isinstance(values, list):
        raise NoEquivalentError(f"found {shown(values)}, expected a list of values")
    chances = spec.get("probabilities")
    if None in values:
        said.lost.append(f"{name}: null is left out of its values; TOML knows none")
        if isinstance(chances, list):
            chances = [chance for value, chance in zip(values, chances, strict=False) if value is not None]
        values = [value for value in values if value is not None]
    if chances is None:
        return values
    if grid:
        said.lost.append(f"{name}.probabilities: say nothing in a grid")
        return values
    return {"choice": values, "weights": chances}
