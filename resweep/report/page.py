"""Gathered rows -> one page of HTML that needs nothing else: no server, no network, no file beside it.

The page says by its content policy that it runs only the scripts and styles that are in it, each named by its hash, and
asks nobody for anything. What comes from a sweep enters it as JSON, and as text of HTML where there is no script.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

from resweep import __version__
from resweep.report import data, scale
from resweep.report.importance import importance
from resweep.results import points
from resweep.results.load import Gathered

GENERATOR = "resweep report"
_HERE = Path(__file__).parent
_SCRIPTS = ("data", "format", "statistics", "filter", "address", "theme", "marks", "charts", "parallel", "scatter",
            "progress", "curves", "smooth", "steps", "findings", "best", "panels", "columns", "csv", "compare",
            "table", "details", "page")  # fmt: skip
_PLACE = re.compile(r"\{\{([a-z.]+)\}\}")


def page(found: Gathered, watch: float | None = None) -> str:
    """The page of these sweeps; one that reads itself again every `watch` seconds, if given."""
    values = data.data(found)
    values["importance"] = _importance(found, values["metric"], values["mode"])
    values["watch"] = watch
    parts = _parts()
    parts |= {
        "policy": _policy(parts),
        "generator": f"{GENERATOR} {__version__}",
        "title": html.escape(", ".join(values["sweeps"])),
        "notes": "".join(f"<p>{html.escape(note)}</p>" for note in values["notes"]),
        "data": embedded(values),
    }
    # one pass: what is put in is not looked at again
    return _PLACE.sub(lambda place: parts[place[1]], _text("page.html"))


def is_ours(text: str) -> bool:
    """Whether the beginning of a file is that of a page that this tool wrote."""
    return f'<meta name="generator" content="{GENERATOR} ' in text


def embedded(values: Mapping[str, Any]) -> str:
    """A value as JSON that no parser of HTML can mistake for markup."""
    text = json.dumps(values, separators=(",", ":"), allow_nan=False, default=str)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _parts() -> dict[str, str]:
    """The scripts and styles, and what their licences ask to be said."""
    return {
        "tabulator.css": _text("vendor/tabulator.css"),
        "page.css": _text("page.css"),
        "echarts.js": _closed(_text("vendor/echarts.js")),
        "tabulator.js": _closed(_text("vendor/tabulator.js")),
        "page.js": _closed(_own()),
        "notices": html.escape(_text("vendor/NOTICES.txt")),
    }


def _own() -> str:
    """The page's own scripts as one, which shares its names with nobody."""
    return '(() => {\n"use strict";\n' + "\n".join(_text(f"js/{name}.js") for name in _SCRIPTS) + "})();\n"


def _closed(script: str) -> str:
    """A script that ends where it should: the parser of HTML looks for its end in texts, too."""
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _policy(parts: Mapping[str, str]) -> str:
    """Nothing may be loaded, and what is in the page only if it is exactly this."""
    scripts = " ".join(_hash(text) for name, text in parts.items() if name.endswith(".js"))
    styles = " ".join(_hash(text) for name, text in parts.items() if name.endswith(".css"))
    return f"default-src 'none'; script-src {scripts}; style-src {styles}; base-uri 'none'; form-action 'none'"


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"


@cache
def _text(name: str) -> str:
    return (_HERE / name).read_text("utf-8").replace("\r\n", "\n")


def _importance(found: Gathered, metric: str | None, mode: str) -> dict[str, Any] | None:
    """What each sweep's metric depends on, by all of its finished trials."""
    if metric is None:
        return None
    options = replace(found.options, metric=metric, mode=mode)
    sweeps = []
    for paths in found.sweeps:
        rows = [row for row in found.rows if row.sweep == paths.name]
        scales = scale.scales({key: value for key, value in found.definitions.items() if key == paths.name}, rows)
        sweeps.append(asdict(importance(points.points(rows), options, scales)))
    shares: dict[str, float] = {}
    for each in sweeps:
        for effect in each["effects"]:
            shares[effect["key"]] = max(shares.get(effect["key"], 0.0), effect["share"] or 0.0)
    return {"metric": metric, "sweeps": sweeps, "order": sorted(shares, key=lambda key: -shares[key])}
