"""A sweep configuration of Weights & Biases, as its YAML says it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from resweep.errors import shown
from resweep.foreign.translation import N, NoEquivalentError, Table, Translation, number

_UNSAID = {
    "program": "train.sh runs a trial; what was started goes there",
    "command": "train.sh runs a trial; what was started goes there",
    "early_terminate": "no trial is ended early",
    "name": "the sweep's name is the NAME of generate",
    "description": "a comment can say it",
    "project": "there is no account to report to",
    "entity": "there is no account to report to",
}
_SAID = ("method", "metric", "parameters", "run_cap")
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
    _method(said, found, grid)
    _metric(said, found.get("metric"))
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
    if method != "random":
        said.lost.append(f"method: {shown(method)} chooses by what came out; here points are drawn at random")
    if not said.hyper:
        said.lost.append("method: nothing is searched, so there is one point")
        return
    whole = isinstance(cap, int) and not isinstance(cap, bool) and 1 <= cap < 2**31
    if not whole:
        said.lost.append(f"run_cap: {'is missing' if cap is None else 'found ' + shown(cap)}; {N} points are drawn")
    said.search = {"method": "random", "n": cap if whole else N}


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
