"""What W&B's own client reads of an export, and would send.

Code: export/wandb
"""

from __future__ import annotations

import gzip
import http.server
import json
import math
import os
import shutil
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from exported import BEGAN, four, give, runs
from hypothesis import given
from hypothesis import strategies as st
from small_project import Project

from resweep.export import wandb


def records(content: bytes) -> list[bytes]:
    """The records of a log of LevelDB, read by the format's own description; every checksum holds."""
    found, record, place = [], b"", 7
    while len(content) - place >= 7:
        if 32768 - place % 32768 < 7:
            place += 32768 - place % 32768
            continue
        checksum, length, kind = struct.unpack_from("<IHB", content, place)
        piece = content[place + 7 : place + 7 + length]
        assert zlib.crc32(bytes([kind]) + piece) == checksum
        record, place = record + piece, place + 7 + length
        if kind in (1, 4):
            found.append(record)
            record = b""
    assert place == len(content)
    return found


@given(st.lists(st.integers(0, 100_000)))
def test_records_are_framed_as_leveldb_frames_them(sizes: list[int]) -> None:
    """Whatever their sizes, records come out of the blocks as they went in."""
    every = [bytes([size % 251]) * size for size in sizes]
    assert records(wandb.HEADER + b"".join(wandb._framed(every))) == every


class Server:
    """Answers W&B's client as its server does, as far as a run needs, and keeps what it was told."""

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, Any]] = {}
        self.files: dict[str, dict[str, Any]] = {}
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # the library's name
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                said = json.dumps(server.answer(self.path, json.loads(body))).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_: object) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """What the server says to one request."""
        if path.endswith("/file_stream"):
            told = self.files.setdefault(path.split("/")[-2], {"history": {}})
            for name, file in body.get("files", {}).items():
                for place, line in enumerate(file["content"], file["offset"]):
                    if "history" in name:
                        told["history"][place] = json.loads(line)
                    else:
                        told["summary"] = json.loads(line)
            told |= {key: body[key] for key in ("complete", "exitcode") if key in body}
            return {}
        query, given_ = body.get("query", ""), body.get("variables", {})
        if "upsertBucket" in query:
            known = self.runs.setdefault(given_["name"], {})
            known |= {key: value for key, value in given_.items() if value is not None}
            project = {"name": given_["project"], "entity": {"name": "me"}}
            bucket = {"id": "1", "name": given_["name"], "config": "{}", "historyLineCount": 0, "project": project}
            return {"data": {"upsertBucket": {"bucket": bucket, "inserted": True}}}
        if "createRunFiles" in query:
            return {"data": {"createRunFiles": {"runID": "1", "uploadHeaders": [], "files": []}}}
        return {"data": {}}


@pytest.fixture
def server() -> Iterator[Server]:
    """A server of our own on this machine."""
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


def sync(server: Server, directory: Path, home: Path) -> str:
    """`wandb sync` of everything in an export, with W&B's own client."""
    settings = {"WANDB_BASE_URL": server.url, "WANDB_API_KEY": "a" * 40, "WANDB_ERROR_REPORTING": "false"}
    program = "import sys; from wandb.cli.cli import cli; cli(sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", program, "sync", "--yes", str(directory / "wandb")],
        env={**os.environ, **settings, "HOME": str(home)},
        cwd=home,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return done.stdout + done.stderr


@pytest.mark.slow
def test_wandb_sends_what_was_exported(swept: Project, tmp_path: Path, server: Server) -> None:
    """W&B's client reads each run and tells its server the values, curves, numbers, times, group and end."""
    wandb.write(tmp_path / "out", runs(four(swept)), "a project")
    sync(server, tmp_path / "out", tmp_path)
    expected = {run.key: run for run in runs(swept)}
    assert server.runs.keys() == expected.keys()
    first = next(run for run in expected.values() if run.number == 1)
    told = server.runs[first.key]
    assert (told["project"], told["groupName"], told["displayName"]) == ("a project", "rnn", "rnn#1")
    config = {name: each["value"] for name, each in json.loads(told["config"]).items()}
    assert {name: config[name] for name in first.config} == first.config
    assert config["resweep"]["started"] == "2026-11-20T10:00:00+00:00"
    sent = server.files[first.key]
    rows = [sent["history"][place] for place in sorted(sent["history"])]
    assert [(row["_step"], row["loss"], row["acc"]) for row in rows] == [(1, 1.0, 0.1), (2, 0.5, 0.2), (4, 0.25, 0.4)]
    assert [row["_timestamp"] for row in rows] == pytest.approx([BEGAN + 100 / 3, BEGAN + 200 / 3, BEGAN + 100])
    assert {name: sent["summary"][name] for name in first.summary} == first.summary
    assert (sent["summary"]["_runtime"], sent["summary"]["_wandb"]["runtime"]) == (100, 100)
    assert {run.number: server.files[key]["exitcode"] for key, run in expected.items()} == {1: 0, 2: 0, 3: 1}


@pytest.mark.slow
def test_exporting_again_leaves_what_was_sent_alone(swept: Project, tmp_path: Path, server: Server) -> None:
    """The second export writes nothing, and W&B's client finds nothing to send; what changed is sent again, same id."""
    first, *_ = four(swept).entries()
    out = tmp_path / "out"
    assert wandb.write(out, runs(swept), "p").new == 3
    sync(server, out, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    tally = wandb.write(out, runs(swept), "p")
    assert (tally.new, tally.changed, tally.same) == (0, 0, 3)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    server.runs.clear()
    sync(server, out, tmp_path)
    assert not server.runs
    metrics = Path(swept.paths().place(first.name).output, "metrics.json")
    metrics.write_text('{"loss": 0.125}')
    tally = wandb.write(out, runs(swept), "p")
    assert (tally.new, tally.changed, tally.same) == (0, 1, 2)
    sync(server, out, tmp_path)
    assert list(server.runs) == [run.key for run in runs(swept) if run.number == 1]


def test_a_trial_that_began_anew_is_the_same_run(swept: Project, tmp_path: Path) -> None:
    """A failed trial that another attempt finished takes the place of what was exported of it before."""
    first = swept.entries()[0]
    give(swept, first, curve=[{"step": 1, "a": 1.0}], state="failed")
    wandb.write(tmp_path / "out", runs(swept), "p")
    (failed,) = (tmp_path / "out/wandb").iterdir()
    shutil.rmtree(swept.paths().place(first.name).attempts)
    give(swept, first, {"a": 1}, started="2026-11-20T11:00:00+00:00", ended="2026-11-20T11:01:00+00:00")
    assert wandb.write(tmp_path / "out", runs(swept), "p").changed == 1
    (finished,) = (tmp_path / "out/wandb").iterdir()
    assert finished.name != failed.name
    assert finished.name.rpartition("-")[2] == failed.name.rpartition("-")[2]


@pytest.mark.slow
def test_hostile_values_reach_wandb_as_it_takes_them(swept: Project, tmp_path: Path, server: Server) -> None:
    """NaN and infinity are W&B's texts for them; names, long texts and many points arrive whole."""
    first, *_ = swept.entries()
    names = ["../../up", "a\nb", "\ud800", "_step", "_wandb", "</script>"]
    table = {**dict.fromkeys(names, 1), "nan": math.nan, "inf": -math.inf, "list": [1, None], "none": None}
    give(swept, first, {**table, "text": "x" * 100_000}, [{"step": step, "a": math.nan} for step in range(3000)])
    wandb.write(tmp_path / "out", runs(swept), "a/b:c")
    sync(server, tmp_path / "out", tmp_path)
    ((key, told),) = server.runs.items()
    assert "/" not in told["project"]
    sent = server.files[key]
    assert (len(sent["history"]), sent["history"][5]["a"]) == (3000, "NaN")
    assert (sent["summary"]["nan"], sent["summary"]["inf"]) == ("NaN", "-Infinity")
    assert (sent["summary"]["list"], len(sent["summary"]["text"])) == ([1, None], 100_000)


def test_curves_of_two_axes_are_rows_of_their_own(swept: Project, tmp_path: Path) -> None:
    """Epochs and the log's lines have no common step: each row has its axis as a value, and the steps count."""
    from resweep.results.metrics import Curve

    curves = [Curve("a", "epoch", (1, 2), (0.1, 0.2), (10.0, 20.0)), Curve("b", "line", (1,), (5,), (15.0,))]
    found = list(wandb._rows(curves, 0.0))
    assert [(row["_step"], row.get("epoch"), row.get("line")) for row in found] == [
        (0, 1, None),
        (1, None, 1),
        (2, 2, None),
    ]
