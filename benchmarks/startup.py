"""How long `import nogs_bench`, `nogs-bench --help`, completion and a load without network take.

Each is timed in fresh processes, in turn with a Python that does nothing, whose median is also
given. The load asks a port of 127.0.0.1 that accepts connections and never answers.

    python benchmarks/startup.py
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import socket
import subprocess
import sys
import time
from statistics import median

OFFLINE = "load without a network"  # fails, and says so
TARGETS = {
    "import nogs_bench": 0.2,
    "nogs-bench --help": 0.5,
    "a press of the tab key": 0.3,
    OFFLINE: 2.0,
}
PRESS = {"_NOGS_BENCH_COMPLETE": "complete_bash", "COMP_WORDS": "nogs-bench build f"}
CODE = {
    "python alone": "pass",
    "import nogs_bench": "import nogs_bench",
    "nogs-bench --help": "import sys; sys.argv = ['nogs-bench', '--help']; "
    "from nogs_bench.cli import main; main()",
    "a press of the tab key": f"import os, sys; os.environ |= {PRESS | {'COMP_CWORD': '2'}}; "
    "sys.argv = ['nogs-bench']; from nogs_bench.cli import main; main()",
    OFFLINE: "import nogs_bench; nogs_bench.load('nobody/nothing')",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=11)
    repeats = parser.parse_args().repeats
    seconds: dict[str, list[float]] = {name: [] for name in CODE}
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(128)
        env = {**os.environ, "HF_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        env.pop("HF_HUB_OFFLINE", None)
        for _ in range(repeats):
            for name, code in CODE.items():
                began = time.perf_counter()
                done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True)
                seconds[name].append(time.perf_counter() - began)
                if done.returncode and name != OFFLINE:
                    sys.exit(f"{name} failed: {done.stderr.decode()}")
    medians = {name: median(times) for name, times in seconds.items()}
    print(
        f"Median of {repeats} fresh processes, seconds; {platform.machine()}, "
        f"Python {platform.python_version()}"
    )
    for name, times in seconds.items():
        target = f"  target {TARGETS[name]}" if name in TARGETS else ""
        print(f"{name:24} {medians[name]:6.3f}  [{min(times):.3f}, {max(times):.3f}]{target}")
    print(json.dumps({"repeats": repeats, "median_seconds": medians, "targets": TARGETS}))


if __name__ == "__main__":
    main()
