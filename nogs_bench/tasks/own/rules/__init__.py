"""A task's numbers, each chosen by one rule from the images and the time there is.

In come `Facts` and what is set by hand; out comes `Chosen`, every number with its reason.
"""

from nogs_bench.tasks.own.rules.choosing import RULES, choose, choose_about, set_by_hand
from nogs_bench.tasks.own.rules.rates import reckoned, reckoned_evaluation
from nogs_bench.tasks.own.rules.rule import MINUTES, Choice, Chosen, Rule
from nogs_bench.tasks.own.rules.training import is_uneven

__all__ = [
    "MINUTES",
    "RULES",
    "Choice",
    "Chosen",
    "Rule",
    "choose",
    "choose_about",
    "is_uneven",
    "reckoned",
    "reckoned_evaluation",
    "set_by_hand",
]
