"""What the documentation shows is true: its TOML loads, its commands and links exist.

Code: /docs/, /README.md
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from small_project import REPOSITORY

from resweep.cli import COMMANDS, cli
from resweep.sweep import definition

PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").glob("*.md"))]


def test_every_toml_example_is_a_valid_sweep() -> None:
    """A TOML block of any page is read by the tool without complaint."""
    blocks = [
        (page.name, block)
        for page in PAGES
        for block in re.findall(r"```toml\n(.*?)```", page.read_text("utf-8"), flags=re.DOTALL)
    ]
    assert blocks
    for name, block in blocks:
        definition.parse(block, name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_and_option_that_a_page_shows_exists(page: Path) -> None:
    """`resweep COMMAND --option` in an indented or fenced line names a command of the tool and an option of it."""
    context = cli.make_context("resweep", ["--version"], resilient_parsing=True)
    lines = [line for line in page.read_text("utf-8").splitlines() if re.match(r"(?:    |\$ )\s*resweep ", line)]
    for call in (part.strip(" $") for line in lines for part in line.partition("  #")[0].split("&&")):
        found = re.match(r"resweep (\S+)(.*)", call)
        assert found, call
        word, rest = found.groups()
        name = word if word in COMMANDS else "generate"
        assert name == word or word.endswith(".toml"), f"{page.name}: {call}"
        command = cli.get_command(context, name)
        assert command
        known = {option for parameter in command.params for option in parameter.opts}
        ours = rest.partition(" -- ")[0]
        for option in re.findall(r"(?<=\s)--?[a-z][\w-]*", ours):
            assert option in known, f"{page.name}: {call}: {option}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    """A relative link of a page names a file of the repository."""
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_module_that_the_page_on_the_architecture_names_exists() -> None:
    """`run/worker` is resweep/run/worker.py."""
    text = (REPOSITORY / "docs/architecture.md").read_text("utf-8")
    packages = "|".join(path.name for path in (REPOSITORY / "resweep").iterdir() if path.is_dir())
    named = set(re.findall(rf"`((?:{packages})/[\w/]*)(?:\.py)?`", text))
    assert len(named) > 50
    assert {name for name in named if not list((REPOSITORY / "resweep").glob(f"{name.rstrip('/')}*"))} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_of_the_repository_that_a_page_names_exists(page: Path) -> None:
    """Of the code, the tests, the benchmarks, the pages and the example; what sweeps write is named as well."""
    for name in re.findall(r"(?<![\w/.-])(?:tests|bench|docs|resweep|qb)/[\w/.-]*\.\w+", page.read_text("utf-8")):
        assert (REPOSITORY / name).exists(), f"{page.name}: {name}"
