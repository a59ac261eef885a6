"""`python -m nogs_bench.worker`: does jobs that another process hands it.

Jobs come as lines of JSON on standard input. What happens goes out as lines of JSON on standard
output; whatever else a job prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable

REPORT_SECONDS = 0.2


def main() -> None:
    """Work until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that `finally` is honoured
    with os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8") as out:
        os.dup2(2, 1)

        def send(event: str, **content: object) -> None:
            out.write(json.dumps({"event": event, **content}) + "\n")

        for line in sys.stdin:
            _do(line, send)


def _do(line: str, send: Callable[..., None]) -> None:
    import torch

    from nogs_bench.errors import NogsError
    from nogs_bench.jobs import Job
    from nogs_bench.work import do

    job = Job.from_json(json.loads(line))
    if job.place.device == "cpu":
        torch.set_num_threads(1)
    last = 0.0

    def report(done: int, note: str) -> None:
        nonlocal last
        if note or time.monotonic() - last >= REPORT_SECONDS:
            last = time.monotonic()
            send("progress", done=done, note=note)

    try:
        do(job, report)
    except NogsError as error:
        send("failed", message=str(error))
    except Exception as error:
        traceback.print_exc()
        send("failed", message=f"{job.label} failed: {error!r}", log=True)
    else:
        send("done")


if __name__ == "__main__":
    main()
