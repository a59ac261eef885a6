"""How long `nogs-bench build` takes and what memory it needs, from raw images to a dataset.

    python benchmarks/build.py [--task fashion-mnist] [--images 600]

Runs the command in a process of its own and samples the memory of it and its workers, twice a
second (the sum of their proportional set sizes; Linux). Prints the time, the peak, the quality of
the sequences, and last one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PERIOD = 0.5


def resident(process: int) -> int:
    """Bytes that a process and all its descendants hold, shared pages divided, from /proc."""
    family, total = {process}, 0
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents[int(entry.name)] = int(fields[1])
    while True:
        children = {child for child, parent in parents.items() if parent in family} - family
        if not children:
            break
        family |= children
    for member in family:
        try:
            status = Path(f"/proc/{member}/smaps_rollup").read_text()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        pss = [line for line in status.splitlines() if line.startswith("Pss:")]
        total += int(pss[0].split()[1]) * 1024 if pss else 0
    return total


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--task", default="fashion-mnist")
    arguments.add_argument("--images", default="600")
    arguments.add_argument("--out", help="keep the dataset here")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(given.out or folder) / "dataset"
        command = [sys.executable, "-c", "from nogs_bench.cli import main; main()", "build"]
        command += [given.task, "--images", given.images, "--out", str(out), "--json"]
        start, peak = time.perf_counter(), 0
        with (
            tempfile.TemporaryFile("w+") as said,
            subprocess.Popen(command, stdout=said) as process,
        ):
            while process.poll() is None:
                peak = max(peak, resident(process.pid))
                time.sleep(PERIOD)
            seconds = time.perf_counter() - start
            if process.returncode:
                sys.exit(process.returncode)
            said.seek(0)
            record = json.load(said)
    print(
        f"{given.task}, {given.images} images: {seconds / 60:.1f} min, peak {peak / 2**30:.2f} GiB"
    )
    for kind, rows in record["quality"].items():
        for name, values in rows.items():
            if name in ("accuracy", "cross_entropy", "entropy"):
                print(f"{kind:7} {name:14}", " ".join(f"{value:6.3f}" for value in values))
    result = {
        "task": given.task,
        "images": int(given.images),
        "minutes": round(seconds / 60, 2),
        "peak_gib": round(peak / 2**30, 2),
        "quality": record["quality"],
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
