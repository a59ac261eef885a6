"""Which packages there are, by rule: `builders/` and `leaderboard/` install below `nogs_bench`."""

from setuptools import find_packages, setup

INSIDE = ("builders", "leaderboard")
found = [name for top in INSIDE for name in find_packages(include=(top, f"{top}.*"))]

setup(
    packages=find_packages(include=("nogs_bench", "nogs_bench.*"))
    + [f"nogs_bench.{name}" for name in found],
    package_dir={"nogs_bench": "nogs_bench"}
    | {f"nogs_bench.{name}": name.replace(".", "/") for name in found},
)
