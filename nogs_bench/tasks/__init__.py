"""The tasks that the package ships; importing this fills `nogs_bench.task.TASKS`."""

from nogs_bench.tasks import cluttered_digits, fashion_mnist

__all__ = ["cluttered_digits", "fashion_mnist"]
