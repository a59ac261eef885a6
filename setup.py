"""Which packages there are, by rule: `builders/` and `leaderboard/` install below `nogs_bench`.

A folder without modules is a package of data; which files there are says MANIFEST.in.
"""

from setuptools import find_namespace_packages, setup

INSIDE = ("builders", "leaderboard")
NOT = ("*.__pycache__", "leaderboard.results")


def packages(top):
    return find_namespace_packages(include=(top, f"{top}.*"), exclude=NOT)


found = [name for top in INSIDE for name in packages(top)]

setup(
    packages=packages("nogs_bench") + [f"nogs_bench.{name}" for name in found],
    package_dir={"nogs_bench": "nogs_bench"}
    | {f"nogs_bench.{name}": name.replace(".", "/") for name in found},
)
