"""`build`: bank, posterior, first step, sequences and dataset, each stage a file that is made once.

In come a `BuildPlan` and an executor; out comes the dataset folder. A stage's file is named by a
digest of all that it depends on, so that a build that was stopped goes on.
"""

from nogs_bench.builders.pipeline.chosen import cheaply
from nogs_bench.builders.pipeline.command import build, made_folders
from nogs_bench.builders.pipeline.making import prepare
from nogs_bench.builders.pipeline.plan import BuildPlan, check_plan, check_settings
from nogs_bench.builders.pipeline.posteriors import POSTERIORS, TrainedAvp, check_images
from nogs_bench.builders.pipeline.stages import Stages, glimpses_kept
from nogs_bench.builders.pipeline.workspace import Workspace

__all__ = [
    "POSTERIORS",
    "BuildPlan",
    "Stages",
    "TrainedAvp",
    "Workspace",
    "build",
    "cheaply",
    "check_images",
    "check_plan",
    "check_settings",
    "glimpses_kept",
    "made_folders",
    "prepare",
]
