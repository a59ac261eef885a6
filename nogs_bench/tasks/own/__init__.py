"""A task of images of one's own: every number chosen by a rule, from the images and the time.

In comes a folder or the name of a dataset; it is looked through (`facts`), each rule chooses its
number (`choosing`), and out comes a `Task`, or the Python file of one.
"""

from nogs_bench.tasks.own.kinds import (
    choices_of,
    is_source,
    source_specs,
    task_file,
    task_of,
    with_choices,
)
from nogs_bench.tasks.own.rules import (
    MINUTES,
    RULES,
    Choice,
    Chosen,
    Rule,
    choose,
    reckoned,
    reckoned_evaluation,
)

__all__ = [
    "MINUTES",
    "RULES",
    "Choice",
    "Chosen",
    "Rule",
    "choices_of",
    "choose",
    "is_source",
    "reckoned",
    "reckoned_evaluation",
    "source_specs",
    "task_file",
    "task_of",
    "with_choices",
]
