"""What is fixed about a benchmark task, in its one `Task`.

In come geometry, splits, hyperparameters and reference figures, one file a family; out come tasks
by name. Importing the room fills `TASKS`.
"""

from importlib import import_module

from nogs_bench.tasks.geometry import GlimpseGrid
from nogs_bench.tasks.handcrafted import hand_crafted_glimpses
from nogs_bench.tasks.loading import check_images, load_split, sample_images
from nogs_bench.tasks.naming import task_names
from nogs_bench.tasks.own import (
    BY_NAME,
    RULES,
    Choice,
    Chosen,
    choices_of,
    is_source,
    is_uneven,
    reckoned,
    reckoned_evaluation,
    source_specs,
    task_file,
    task_of,
    with_choices,
)
from nogs_bench.tasks.settings import merged_settings, read_settings, split_short, with_settings
from nogs_bench.tasks.task import (
    JUDGED_BY,
    TASKS,
    Annotation,
    AvpTraining,
    Convergence,
    Pretraining,
    Task,
    Training,
    TrainingProtocol,
    get_task,
    recorded_task,
    register_task,
    renew_task,
)
from nogs_bench.tasks.values import ANY, COUNT, NUMBER, settled

__all__ = [
    "ANY",
    "BY_NAME",
    "COUNT",
    "JUDGED_BY",
    "NUMBER",
    "RULES",
    "TASKS",
    "Annotation",
    "AvpTraining",
    "Choice",
    "Chosen",
    "Convergence",
    "GlimpseGrid",
    "Pretraining",
    "Task",
    "Training",
    "TrainingProtocol",
    "celeba_10k",
    "celeba_hq",
    "check_images",
    "choices_of",
    "cluttered_digits",
    "cluttered_fashion",
    "cub",
    "cub_100",
    "fashion_mnist",
    "get_task",
    "hand_crafted_glimpses",
    "is_source",
    "is_uneven",
    "load_split",
    "merged_settings",
    "read_settings",
    "reckoned",
    "reckoned_evaluation",
    "recorded_task",
    "register_task",
    "renew_task",
    "sample_images",
    "settled",
    "source_specs",
    "split_short",
    "task_file",
    "task_names",
    "task_of",
    "utkface",
    "with_choices",
    "with_settings",
]

FAMILIES = (
    "cluttered_digits",
    "fashion_mnist",
    "cluttered_fashion",
    "celeba_10k",
    "utkface",
    "cub_100",
    "celeba_hq",
    "cub",
)

for _family in FAMILIES:  # in the order in which they are listed
    import_module(f"nogs_bench.tasks.families.{_family}")
TASKS.seal()
