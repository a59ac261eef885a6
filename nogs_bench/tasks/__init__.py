"""The tasks that the package ships; importing this fills `nogs_bench.task.TASKS`."""

from nogs_bench.tasks import celeba_hq, cluttered_digits, cub, fashion_mnist

__all__ = ["celeba_hq", "cluttered_digits", "cub", "fashion_mnist"]
