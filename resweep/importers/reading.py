"""The file of another tool -> its translation. Reading runs none of its code: YAML's plain values, JSON, jsonnet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from resweep.errors import ConfigError
from resweep.importers import allentune, wandb
from resweep.importers.translation import Translation, check_size


def load(path: Path) -> Translation:
    """Translate the sweep or search space in `path`; a ConfigError where it is none, or cannot be read."""
    try:
        found = _parse(path, path.read_bytes().decode("utf-8-sig"))
        check_size(found)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}), expected a search space") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start} is not UTF-8, expected a search space") from None
    except RecursionError:
        raise ConfigError(f"{path}: is nested too deeply, expected a search space") from None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    if isinstance(found, dict):
        if wandb.looks_like(found):
            return wandb.translate(found, path.name)
        if allentune.looks_like(found):
            return allentune.translate(found, path.name)
    raise ConfigError(
        f"{path}: neither a sweep of W&B, which has a table of parameters, nor a search space of AllenTune, which has "
        f'parameters with a "{allentune.STRATEGY}"'
    )


def _parse(path: Path, text: str) -> Any:
    if path.suffix == ".jsonnet":
        text = _evaluated(text)
    if path.suffix in (".json", ".jsonnet"):
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise ConfigError(f"not valid JSON: {error}") from None
    try:
        import yaml
    except ImportError:
        raise ConfigError("YAML needs PyYAML, which is not installed: pip install 'resweep[import]'") from None
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # a date that there is not
        raise ConfigError(f"not valid YAML: {' '.join(str(error).split())}") from None


def _evaluated(text: str) -> str:
    import _jsonnet

    try:
        found: str = _jsonnet.evaluate_snippet("<search space>", text, import_callback=_refuse)
    except RuntimeError as error:
        raise ConfigError(f"not valid jsonnet: {str(error).strip().splitlines()[0]}") from None
    return found


def _refuse(_folder: str, name: str) -> tuple[str, bytes]:
    raise RuntimeError(f"imports {name}, expected a file that stands alone")
