"""The documentation as a site, `make docs`. The pages stay what they are: Markdown that can be read as it stands."""

from __future__ import annotations

import resweep

project = "resweep"
author = "The resweep authors"
release = version = resweep.__version__
extensions = ["myst_parser", "sphinx_click", "sphinx.ext.autodoc"]
myst_enable_extensions = ["attrs_inline", "deflist"]
myst_heading_anchors = 3
# links to files of the repository, which tests/test_docs.py follows
suppress_warnings = ["myst.xref_missing"]
exclude_patterns = ["_build"]
html_theme = "furo"
smartquotes = False  # options begin with two hyphens
html_title = f"resweep {release}"
autodoc_typehints = "none"
autodoc_member_order = "bysource"
linkcheck_ignore = [r"https?://(localhost|127\.0\.0\.1)"]
