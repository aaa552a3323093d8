"""What is easily taken for granted: any value outside of [params], long values, keys with dots, other tools' words.

Code: sweep/hyper_table, sweep/ranges, sweep/dotted_keys, generation/fill, sweep/search_table, index, slurm/draft
"""

from __future__ import annotations

import datetime
import tomllib
from pathlib import Path
from typing import Any

import pytest
from planned import Sweep
from small_project import Project

from resweep.errors import ConfigError, ResweepError
from resweep.generation import fill
from resweep.space import expand
from resweep.sweep import definition

DATES = """\
[hyper]
"when.from" = [2026-01-01, 2026-01-02T10:00:00]
"when.scale" = [inf, 1.5]
"when.big" = { choice = [9223372036854775807, 1] }
"params.lr, when.to" = [[0.1, 2026-03-01]]
[when]
from = 2025-01-01
scale = 0
big = 0
to = 2025-01-01
[search]
method = "random"
n = 8
"""


@pytest.mark.slow
def test_what_jsonnet_does_not_have_is_swept_outside_of_params(project: Project) -> None:
    """Dates, infinity and whole numbers of 64 bits arrive in the trial's TOML as they are; every view shows them."""
    project.write({"config/rnn.toml": DATES})
    project.generate().ok()
    tables = [tomllib.loads(path.read_text()) for path in project.paths().directory.glob("*/0/*.toml")]
    found = {(str(each["when"]["from"]), each["when"]["scale"], each["when"]["big"]) for each in tables}
    assert len(found) == 8
    assert {big for _, _, big in found} == {2**63 - 1, 1}
    assert {scale for _, scale, _ in found} == {float("inf"), 1.5}
    assert all(each["when"]["to"] == datetime.date(2026, 3, 1) for each in tables)
    assert "0 new trials, 8 kept, 0 orphaned" in project.generate().ok().out
    project.resweep("run", "rnn").ok()
    assert "8 trials: 8 finished" in project.resweep("status", "rnn").ok().out
    assert "9223372036854775807" in project.resweep("results", "rnn", "--format", "csv").ok().out
    for command in (["report", "rnn", "-o", "r.html"], ["verify", "rnn"], ["results", "rnn", "--format", "json"]):
        project.resweep(*command).ok()


@pytest.mark.parametrize("value", ["2026-01-01", "inf", "9223372036854775807"])
def test_params_take_what_jsonnet_has(value: str) -> None:
    """Swept alone, zipped with something else, in a choice, or as it stands; the message names the file."""
    for text in (
        f'[hyper]\n"params.a" = [{value}]\n',
        f'[hyper]\n"x.a, params.a" = [[{value}, {value}]]\n',
        f'[hyper]\n"params.a" = {{ choice = [{value}] }}\n[search]\nmethod = "random"\nn = 1\n',
        f"[params]\na = {value}\n",
    ):
        with pytest.raises(ConfigError, match=r"^x\.toml: .*params\.a"):
            definition.parse(text, "x.toml")


@pytest.mark.slow
@pytest.mark.parametrize("text", ['[hyper]\n"params.a-b" = [1]\n[params]\nlr = 1\n', "[params]\nlr = 1\nif = 2\n"])
def test_a_name_that_no_function_can_have_is_refused_with_its_file(tmp_path: Path, text: str) -> None:
    """Where it stands, and not in jsonnet's own words."""
    rnn = Sweep(tmp_path)
    rnn.text = text
    with pytest.raises(ResweepError, match=r"rnn\.toml: params\.(a-b|if): not a valid parameter name in jsonnet"):
        rnn.frozen()


@pytest.mark.slow
def test_long_values_are_cut_where_people_read_and_whole_where_programs_do(project: Project) -> None:
    """A hundred thousand letters make no line long; what they differ by at their ends is seen."""
    long = "x" * 100_000
    text = f'[hyper]\n"params.dropout" = ["a{long}y", "a{long}z"]\n[params]\nlr = 0.5\n'
    project.write({"config/rnn.toml": text})
    shown = [project.generate("--dry-run").ok().out, project.generate().ok().out]
    shown += [project.paths().jobs.read_text(), project.resweep("run", "rnn").ok().out]
    commands = (["status", "rnn"], ["results", "rnn"], ["results", "rnn", "--format", "markdown"], ["stop", "rnn"])
    shown += [project.resweep(*command).ok().out for command in commands]
    project.write({"config/rnn.toml": text.replace("y", "w")})
    shown.append(project.generate("--dry-run").ok().out)
    for each in shown:
        assert max(map(len, each.splitlines())) < 500, each[:300]
    assert "xxx ... xxx" in shown[0]
    assert 'xxxy"' in shown[0]
    assert f"a{long}y" in project.resweep("results", "rnn", "--format", "csv").ok().out


def points(text: str) -> list[dict[str, Any]]:
    """The configurations of a sweep's points."""
    asked = definition.parse(text, "x.toml")
    expand.check_keys(asked)
    with expand.Space(asked) as every:
        return [fill.configuration(asked, point) for point in every.points()]


def test_a_name_with_a_dot_stays_one_name() -> None:
    """Quoted in a table, as TOML has it; at the top of [hyper] a dot leads into a table."""
    tables = '[paths]\n"a.b" = 1\nc.d = 1\n'
    for key in ('[hyper.paths]\n"a.b" = [2]\n', "[hyper]\n'paths.\"a.b\"' = [2]\n"):
        assert points(key + tables) == [{"paths": {"a.b": 2, "c": {"d": 1}}}]
    assert points('[hyper]\n"paths.c.d" = [2]\n' + tables) == [{"paths": {"a.b": 1, "c": {"d": 2}}}]
    text = '[hyper.paths]\n"a.b" = [2, 3]\nc.d = [4, 5]\n[[hyper.exclude]]\npaths."a.b" = 2\npaths.c.d = 4\n'
    assert len(points(text + tables)) == 3
    replaced = definition.parse('[hyper.paths]\n"a.b" = [2]\n' + tables, "x.toml", ("hyper.paths.'a.b'=[8]",))
    assert replaced.hyper.keys == ['paths."a.b"']
    assert replaced.hyper.values('paths."a.b"') == [8]
    set_ = definition.parse(tables, "x.toml", ('paths."a.b"=7',))
    assert set_.config == {"paths": {"a.b": 7, "c": {"d": 1}}}


@pytest.mark.slow
def test_bayes_is_what_other_tools_call_tpe(tmp_path: Path) -> None:
    """It is taken, and a note says for what."""
    rnn = Sweep(tmp_path)
    rnn.text = (
        '[hyper]\n"params.lr" = { uniform = [0, 1] }\n[search]\nmethod = "Bayes"\nn = 2\n[results]\nmetric = "acc"\n'
    )
    frozen, _ = rnn.frozen()
    assert frozen.sweep.search.method == "tpe"
    assert any("search.method: Bayes runs as tpe" in note for note in fill.doubts(frozen))


@pytest.mark.slow
def test_a_dry_run_needs_no_answer_of_slurm(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would be submitted is shown as far as it can be known; a submission names the line that works here."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sbatch", "scontrol", "squeue", "sacctmgr", "sacct"):
        (folder / name).write_text("#!/bin/sh\necho 'error: Unable to contact slurm controller' >&2\nexit 1\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    project.write({"slurm-allennlp.sh": "#!/bin/bash\n#SBATCH --mem=1g\n"})
    project.generate("--slurm-job").ok()
    for arguments in ([], ["--canary"], ["--workers", "2"], ["--one-job-per-trial"]):
        shown = project.resweep("submit", "rnn", "--dry-run", *arguments).ok()
        assert "sbatch --parsable" in shown.out
        assert shown.err.count("Unable to contact slurm controller") == 1
        assert "shown without the site's limits and the jobs in its queue" in shown.err
    refused = project.resweep("submit", "rnn")
    assert refused.status == 2
    assert "`bash rnn-jobs.sh --here` runs the trials on this machine" in refused.err
    assert [path.name for path in project.paths().submissions.iterdir()] == [".lock"]
