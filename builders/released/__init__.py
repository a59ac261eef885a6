"""The sequences that the paper's authors released, as dataset folders.

In comes their archive; it is checked against the tasks' grids; out come 41 datasets.
"""

from nogs_bench.builders.released.datasets import import_released

__all__ = [
    "import_released",
]
