"""The tasks that the package ships; importing this fills `nogs_bench.task.TASKS`.

One module for each family of tasks, in the order in which they are listed.
"""

from importlib import import_module

FAMILIES = ("cluttered_digits", "fashion_mnist", "cluttered_fashion", "celeba_hq", "cub")

for _family in FAMILIES:
    import_module(f"nogs_bench.tasks.{_family}")
