"""An attempt that is taken for lost and runs on: the next one has what it wrote, and takes nothing away from it.

Code: launcher/attempt
"""

from __future__ import annotations

import json
import os
import time

import pytest
from launched import Trial, silent, until

# writes on and on, by the path that it was given, and says where that fails
WRITES = """mkdir -p "$out/deep"; ln -sfn deep "$out/link"; touch "$root/started-$RESWEEP_ATTEMPT"
while [ ! -e "$root/go-$RESWEEP_ATTEMPT" ]; do echo x >> "$out/deep/lines" || exit 3; sleep 0.05; done
"""


@pytest.fixture
def resuming(trial: Trial) -> Trial:
    """A trial of a sweep with on_retry = "resume", whose training writes until it is told to end."""
    options = trial.project.paths().run_options
    options.write_text(json.dumps({**json.loads(options.read_text()), "on_retry": "resume"}))
    trial.train(WRITES)
    return trial


def test_the_output_of_an_attempt_that_may_still_run_is_copied(resuming: Trial) -> None:
    """On another host, without a sign of life: it goes on to write where it did, and the next one has a copy."""
    first = resuming.start()
    until((resuming.project.root / "started-1").exists)
    with silent(first):
        group = resuming.record()["group"]
        resuming.edit_record(host="elsewhere")
        for name in ("heartbeat", "record.json"):
            os.utime(resuming.directory() / name, (1, 1))
        second = resuming.start()
        until((resuming.project.root / "started-2").exists)
    output = resuming.directory(2) / "output"
    assert (output / "link").is_symlink()
    assert (output / "deep" / "lines").exists()
    assert not (resuming.directory(2) / "output.part").exists()
    lines = resuming.directory(1) / "output" / "deep" / "lines"
    before = lines.stat().st_size
    until(lambda: lines.stat().st_size > before)
    (resuming.project.root / "go-2").touch()
    second.communicate(timeout=60)
    assert resuming.state == "finished"
    assert resuming.record(2)["resumed"] == 1
    (resuming.project.root / "go-1").touch()
    said = first.communicate(timeout=60)[0]
    assert "this one does not count" in said
    assert group


def test_the_output_of_an_attempt_whose_end_is_known_is_moved(resuming: Trial) -> None:
    """A copy of what nobody writes to any more would only fill the disk."""
    first = resuming.start()
    until((resuming.project.root / "started-1").exists)
    time.sleep(0.2)
    first.terminate()
    first.communicate(timeout=60)
    number = (resuming.directory(1) / "output").stat().st_ino
    second = resuming.start()
    until((resuming.project.root / "started-2").exists)
    assert (resuming.directory(2) / "output").stat().st_ino == number
    assert not (resuming.directory(1) / "output").exists()
    (resuming.project.root / "go-2").touch()
    second.communicate(timeout=60)
    assert resuming.state == "finished"
