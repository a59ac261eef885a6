"""Near-optimal glimpse sequences: a dataset and a benchmark for hard visual attention.

Names are imported when they are first used, so that `import nogs_bench` is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nogs_bench.builders.build import build as build
    from nogs_bench.builders.publish import publish as publish
    from nogs_bench.builders.publish import publish_all as publish_all
    from nogs_bench.builders.report import report as report
    from nogs_bench.errors import NogsError as NogsError
    from nogs_bench.evaluation import evaluate as evaluate
    from nogs_bench.geometry import GlimpseGrid as GlimpseGrid
    from nogs_bench.loading import load as load
    from nogs_bench.methods import METHODS as METHODS
    from nogs_bench.methods import Method as Method
    from nogs_bench.methods import register_method as register_method
    from nogs_bench.plots import plot_curves as plot_curves
    from nogs_bench.plots import plot_epe as plot_epe
    from nogs_bench.scoring import Scores as Scores
    from nogs_bench.scoring import score as score
    from nogs_bench.study_plots import plot_bars as plot_bars
    from nogs_bench.study_plots import plot_locations as plot_locations
    from nogs_bench.task import TASKS as TASKS
    from nogs_bench.task import Task as Task
    from nogs_bench.task import get_task as get_task
    from nogs_bench.task import register_task as register_task


_HOME = {
    "METHODS": "nogs_bench.methods",
    "Method": "nogs_bench.methods",
    "GlimpseGrid": "nogs_bench.geometry",
    "NogsError": "nogs_bench.errors",
    "Scores": "nogs_bench.scoring",
    "TASKS": "nogs_bench.task",
    "Task": "nogs_bench.task",
    "build": "nogs_bench.builders.build",
    "evaluate": "nogs_bench.evaluation",
    "get_task": "nogs_bench.task",
    "load": "nogs_bench.loading",
    "plot_curves": "nogs_bench.plots",
    "plot_epe": "nogs_bench.plots",
    "plot_bars": "nogs_bench.study_plots",
    "plot_locations": "nogs_bench.study_plots",
    "publish": "nogs_bench.builders.publish",
    "publish_all": "nogs_bench.builders.publish",
    "register_method": "nogs_bench.methods",
    "register_task": "nogs_bench.task",
    "report": "nogs_bench.builders.report",
    "score": "nogs_bench.scoring",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("nogs-bench")
    if name not in _HOME:
        raise AttributeError(f"module 'nogs_bench' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
