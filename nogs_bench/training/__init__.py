"""One run, or several of a kind together: pre-training, training, validation, test.

In come networks, images, and what a method supervises them with; out come weights and the curves of
a result. `SEQUENCES` holds where the glimpses that supervise come from.
"""

from nogs_bench.training.heuristic import first_step_map, map_digest
from nogs_bench.training.known import worth_keeping
from nogs_bench.training.learner import Learner, Run, Trainee, network_of
from nogs_bench.training.metrics import CHUNK, complexity, measure, policy_classifier, step_costs
from nogs_bench.training.objectives import NOTHING, Lessons
from nogs_bench.training.pretraining import (
    GLIMPSES,
    Pretrainee,
    load_pretrained,
    pretrain,
)
from nogs_bench.training.runstate import saved_runs
from nogs_bench.training.supervision import Material, make_sequences, supervising
from nogs_bench.training.trainer import Report, Watch, train_together

__all__ = [
    "CHUNK",
    "GLIMPSES",
    "NOTHING",
    "Learner",
    "Lessons",
    "Material",
    "Pretrainee",
    "Report",
    "Run",
    "Trainee",
    "Watch",
    "complexity",
    "first_step_map",
    "load_pretrained",
    "make_sequences",
    "map_digest",
    "measure",
    "network_of",
    "policy_classifier",
    "pretrain",
    "saved_runs",
    "step_costs",
    "supervising",
    "train_together",
    "worth_keeping",
]

GLIMPSES.seal()
