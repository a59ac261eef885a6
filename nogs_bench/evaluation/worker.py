"""`python -m nogs_bench.evaluation.worker`: does jobs that another process hands it.

Jobs come as lines of JSON on standard input. What happens goes out as lines of JSON on standard
output; whatever else a job prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable

REPORT_SECONDS = 0.2


def main() -> None:
    """Work until the input ends, which ends a job that is not done too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that `finally` is honoured
    with os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8") as out:
        os.dup2(2, 1)

        def send(event: str, **content: object) -> None:
            out.write(json.dumps({"event": event, **content}) + "\n")

        send("ready")
        lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=_read, args=(lines,), daemon=True).start()
        while (line := lines.get()) is not None:
            _do(line, send)


def _read(lines: queue.Queue[str | None]) -> None:
    """Pass on the input. It ends before the parent's signal only if the parent was killed: a worker
    that is at a job has nobody to do it for."""
    for line in sys.stdin:
        lines.put(line)
    lines.put(None)
    os.kill(os.getpid(), signal.SIGTERM)


def _do(line: str, send: Callable[..., None]) -> None:
    import torch

    from nogs_bench.errors import NogsError
    from nogs_bench.evaluation.jobs import Job
    from nogs_bench.evaluation.work import do

    last, what = 0.0, "a job"

    def report(done: int, note: str) -> None:
        nonlocal last
        if note or time.monotonic() - last >= REPORT_SECONDS:
            last = time.monotonic()
            send("progress", done=done, note=note)

    try:
        job = Job.from_json(json.loads(line))
        what = job.label
        if job.place.device == "cpu":
            torch.set_num_threads(1)
        do(job, report)
    except NogsError as error:
        send("failed", message=str(error))
    except Exception as error:
        traceback.print_exc()
        send("failed", message=f"{what} failed: {error!r}", log=True)
    else:
        send("done")


if __name__ == "__main__":
    main()
