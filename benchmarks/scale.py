"""Two Ray workers against one local process, and against workers that are killed time and again.

    python benchmarks/scale.py [--images 200] [--kill-seconds 4]

Annotates images of `cluttered-digits` with a briefly trained posterior three times, from the same
finished stages: by one local process, by two Ray actors, and by two actors of which one is killed
every few seconds. Throughput is of annotation alone, from when every worker has done a shard to the
end of the last. All must give the same bytes. Needs two idle cores: the load of the machine stands
beside the ratio, which says little without them. Last comes one line of JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from nogs_bench import get_task
from nogs_bench.builders.pipeline import build

BASE = get_task("cluttered-digits")
TASK = replace(BASE, avp=replace(BASE.avp, epochs=1, images=4000))
SETTINGS: dict[str, Any] = {"bank_images": 4000, "samples": 400, "device": "cpu"}
AIM = 1.7


def digest(out: Path) -> str:
    """Of the dataset's own files."""
    state = hashlib.sha256()
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        name = path.relative_to(out).as_posix()
        if not name.startswith(".build"):
            state.update(name.encode() + path.read_bytes())
    return state.hexdigest()


def shards_a_second(out: Path, workers: int) -> float:
    """Of the time from when every worker has done a shard to the end of the last."""
    times = sorted(path.stat().st_mtime for path in out.glob(".build/sequences-*/*.safetensors"))
    return (len(times) - workers) / (times[-1] - times[workers - 1])


def actors() -> list[int]:
    """Process ids of the Ray actors that this process has, also through others."""
    found, parents = [], {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            stat = (entry / "stat").read_text().rpartition(")")[2].split()
            parents[int(entry.name)] = int(stat[1])
            if (entry / "cmdline").read_bytes().startswith(b"ray::_Actor"):
                found.append(int(entry.name))

    def ours(process: int) -> bool:
        while process not in (0, os.getpid()):
            process = parents.get(process, 0)
        return process != 0

    return [process for process in found if ours(process)]


@contextlib.contextmanager
def killing(seconds: float) -> Iterator[list[int]]:
    """Kill one of the actors every few seconds; gives those killed so far."""
    killed: list[int] = []
    over, chance = threading.Event(), random.Random(0)

    def kill() -> None:
        while not over.wait(seconds):
            if alive := actors():
                killed.append(chance.choice(alive))
                with contextlib.suppress(ProcessLookupError):
                    os.kill(killed[-1], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--images", type=int, default=200)
    arguments.add_argument("--kill-seconds", type=float, default=4.0)
    given = arguments.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder, "prepared")
        build(TASK, prepared, images=given.images, part="999998/999999", **SETTINGS)
        runs = {"one local process": ("local", 1), "two Ray workers": ("ray", 2)}
        rates, digests, load = {}, {}, os.getloadavg()[0]
        for name, (executor, workers) in runs.items():
            out = Path(folder, executor)
            shutil.copytree(prepared, out)
            for shard in out.glob(".build/sequences-*/*"):
                shard.unlink()
            build(
                TASK,
                out,
                images=given.images,
                executor=executor,
                workers=workers,
                **SETTINGS,
            )
            rates[name], digests[name] = shards_a_second(out, workers), digest(out)
        out = Path(folder, "killed")
        shutil.copytree(prepared, out)
        for shard in out.glob(".build/sequences-*/*"):
            shard.unlink()
        start = time.perf_counter()
        with killing(given.kill_seconds) as killed:
            build(TASK, out, images=given.images, executor="ray", workers=2, **SETTINGS)
        name = f"two Ray workers, one killed every {given.kill_seconds:g} s"
        rates[name], digests[name] = shards_a_second(out, 2), digest(out)
        seconds = time.perf_counter() - start
    ratio = rates["two Ray workers"] / rates["one local process"]
    for each, rate in rates.items():
        print(f"{each:45} {rate:6.3f} shards/s   {digests[each][:16]}")
    print(f"{ratio:.2f} times (aim {AIM}), load before {load:.1f}; {len(killed)} killed")
    result = {
        "ratio": round(ratio, 3),
        "aim": AIM,
        "same_bytes": len(set(digests.values())) == 1,
        "killed": len(killed),
        "killed_seconds": round(seconds, 1),
        "load": load,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
