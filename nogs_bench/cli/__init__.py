"""The command line: thin commands over the functions of the same names.

Everything heavy is imported inside the command that needs it, so that `--help` is quick.
"""

from nogs_bench.cli import (
    boards,
    comparisons,
    datasets,
    figures,
    lists,
    networks,
    publishing,
    runs,
    weights,
)
from nogs_bench.cli.app import app

__all__ = [
    "app",
    "boards",
    "comparisons",
    "datasets",
    "figures",
    "lists",
    "main",
    "networks",
    "publishing",
    "runs",
    "weights",
]


def main() -> None:
    """Entry point of the `nogs-bench` program."""
    app()
