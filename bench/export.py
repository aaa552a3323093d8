"""What an export to TensorBoard costs: `resweep export --to tensorboard`, against TensorBoard's own writer in a loop.

    python bench/export.py [TRIALS]

The trials are those of bench/results.py, each with five epochs of two metrics beside its 24 numbers. The other side
opens the same files, knows where each is, and writes the same scalars with an EventFileWriter for each trial; it writes
no hyperparameters, and looks at no record. Start of Python included on both sides.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from pathlib import Path

import results

ROUNDS = 3
EPOCHS = 5
LOOP = """\
import json, os, sys
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

def scalars(path, step):
    with open(path) as file:
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in json.load(file).items()]
    return Event(wall_time=os.stat(path).st_mtime, step=step, summary=Summary(value=values))

for number, path in enumerate(open(sys.argv[1]).read().splitlines()):
    writer = EventFileWriter(f"theirs/{number}")
    for epoch in range(int(sys.argv[2])):
        writer.add_event(scalars(path.replace("metrics.json", f"metrics_epoch_{epoch}.json"), epoch))
    writer.add_event(scalars(path, int(sys.argv[2])))
    writer.close()
"""


def main() -> None:
    """Measure both sides in turn, and print the best of each."""
    trials = results.asked(2_000)
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        root = Path(home)
        files = results.listed(root, trials)
        for path in files:
            for epoch in range(EPOCHS):
                values = {"loss": 1 / (epoch + 1), "accuracy": epoch}
                path.with_name(f"metrics_epoch_{epoch}.json").write_text(json.dumps(values))
        time.sleep(4)  # what is a moment old is not kept
        best = {"ours": float("inf"), "theirs": float("inf")}
        for _ in range(ROUNDS):
            for name, command in {
                "ours": ("-m", "resweep", "export", "big", "--to", "tensorboard", "ours"),
                "theirs": ("-c", LOOP, "list", str(EPOCHS)),
            }.items():
                shutil.rmtree(root / name, ignore_errors=True)
                best[name] = min(best[name], results.seconds(root, *command))
        print(f"resweep export     {best['ours']:6.2f} s   ({trials:,} trials)")
        print(f"EventFileWriter    {best['theirs']:6.2f} s")
        print(f"ratio              {best['ours'] / best['theirs']:6.2f}")


if __name__ == "__main__":
    main()
