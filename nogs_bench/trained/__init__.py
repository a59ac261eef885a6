"""A trained network: kept, loaded, looked at, judged, shared.

In comes what a run of `evaluate` leaves (`RUN.safetensors`, beside its result); out come the module
itself, what it sees and believes of any image, test figures, pictures and pages, and files for the
Hub and for small devices.
"""

from nogs_bench.trained.cases import LookCase, cases_of
from nogs_bench.trained.folder import KeptRun, list_networks
from nogs_bench.trained.judging import Judgement, Policy, plot_judgement, test_network
from nogs_bench.trained.loading import HUB_FILE, TrainedNetwork, load_network
from nogs_bench.trained.looking import Looks, look_at
from nogs_bench.trained.picture import draw_look
from nogs_bench.trained.predicting import predict
from nogs_bench.trained.showing import look
from nogs_bench.trained.source import code_digest
from nogs_bench.trained.weights import (
    Kept,
    read_weights,
    save_weights,
    task_shape,
    weights_path,
)

__all__ = [
    "HUB_FILE",
    "Judgement",
    "Kept",
    "KeptRun",
    "LookCase",
    "Looks",
    "Policy",
    "TrainedNetwork",
    "cases_of",
    "code_digest",
    "draw_look",
    "list_networks",
    "load_network",
    "look",
    "look_at",
    "plot_judgement",
    "predict",
    "read_weights",
    "save_weights",
    "task_shape",
    "test_network",
    "weights_path",
]
