"""Calls in forked children of a warm process, which kill themselves at a given moment.

`python victim.py` reads lines of JSON: `{"call", "out", "seconds" or "events"}`. A child dies by
SIGKILL after so many seconds, or at its so many-th event: a file beside or below `out` opened,
renamed or removed, or a folder made. Writes the exit status of each; `OUT.log` holds the work that
was begun, `OUT.done` events and seconds of a call that was not killed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "tempfile.mkstemp")


def log(out: Path, line: str) -> None:
    """Work that was begun, on record before it is."""
    with open(f"{out}.log", "a") as file:
        file.write(f"{line}\n")


def build(out: Path) -> None:
    from nogs_bench.builders.pipeline import workspace as stage
    from nogs_bench.builders.pipeline.command import build as call
    from nogs_bench.builders.posterior.training import epochs
    from nogs_bench.builders.search import shards
    from tiny import corner_task

    shards.SHARD = 6
    annotate, batches, replacing = shards._annotate, epochs.batches_of, stage.replacing
    shards._annotate = lambda load, shard: log(out, f"shard {shard.start}") or annotate(load, shard)
    epochs.batches_of = lambda *given: log(out, f"epoch {given[3]}") or batches(*given)
    stage.replacing = lambda path: log(out, f"stage {path.name}") or replacing(path)
    try:
        call(corner_task(), out, workers=1, device="cpu")
    finally:
        shards._annotate, epochs.batches_of, stage.replacing = annotate, batches, replacing


def evaluate(out: Path) -> None:
    from corner_task import CORNER
    from nogs_bench.evaluation.command import evaluate as call
    from nogs_bench.training import runstate

    runstate.CHECKPOINT_SECONDS = 0.0
    save = runstate.RunState.save_if_due

    def logged(self):
        """What follows a point of the curve: training up to the next one, or testing."""
        save(self)
        log(out, f"{self.path.parent.name} from {self.iteration}")

    runstate.RunState.save_if_due = logged
    try:
        call(task=CORNER, methods="ram", seeds=2, protocol="pretrained", out=out, workers=1)
    finally:
        runstate.RunState.save_if_due = save


CALLS = {"build": build, "evaluate": evaluate}


def _child(request: dict) -> None:
    out = Path(request["out"])
    with open(f"{out}.err", "a") as errors:
        os.dup2(errors.fileno(), 1)
        os.dup2(errors.fileno(), 2)
    events = 0

    def count(event: str, given: tuple) -> None:
        nonlocal events
        if (
            event in EVENTS
            and str(given[0]).startswith(f"{out.parent}/")
            and ".log" not in given[0]
        ):
            events += 1
            if events == request.get("events"):
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    if "seconds" in request:
        limit = request["seconds"]
        threading.Timer(limit, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
    began = time.monotonic()
    CALLS[request["call"]](out)
    Path(f"{out}.done").write_text(json.dumps([events, time.monotonic() - began]))
    sys.stderr.flush()
    os._exit(0)


def main() -> None:
    # Imports and first calls once for all children.
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as nowhere:
        errors, sys.stderr = sys.stderr, nowhere
        for name, call in CALLS.items():
            call(Path(folder, name))
        sys.stderr = errors
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            try:
                _child(json.loads(line))
            finally:
                import traceback

                traceback.print_exc()
                os._exit(1)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
