"""A task of images of one's own: every number chosen by a rule, from the images and the time.

In comes a folder or the name of a dataset; it is looked through (`facts`), each rule chooses its
number (`choosing`), and out comes a `Task`, or the Python file of one.
"""

from nogs_bench.tasks.own.kinds import (
    BY_NAME,
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
    is_uneven,
    reckoned,
    reckoned_evaluation,
)

__all__ = [
    "BY_NAME",
    "MINUTES",
    "RULES",
    "Choice",
    "Chosen",
    "Rule",
    "choices_of",
    "choose",
    "is_source",
    "is_uneven",
    "reckoned",
    "reckoned_evaluation",
    "source_specs",
    "task_file",
    "task_of",
    "with_choices",
]
