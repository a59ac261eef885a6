"""Python in a copy of the repository, where the package is installed but not editable."""

from __future__ import annotations

import subprocess
import sys

from places import ROOT

CODE = """
import sys

sys.meta_path = [each for each in sys.meta_path if "editable" not in repr(each).lower()]
sys.path = [each for each in sys.path if "__editable__" not in each]
import nogs_bench, nogs_bench.leaderboard

print(nogs_bench.__file__, nogs_bench.build.__module__, nogs_bench.leaderboard.__file__)
"""


def test_all_rooms_are_found_there() -> None:
    """`pip install .` leaves a copy whose `nogs_bench` folder hides the installed package."""
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True, check=True
    )
    here, build, leaderboard = done.stdout.split()
    assert here == str(ROOT / "nogs_bench" / "__init__.py")
    assert build == "nogs_bench.builders.pipeline.command"
    assert leaderboard == str(ROOT / "leaderboard" / "__init__.py")
