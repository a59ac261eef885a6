"""Bayesian optimisation of the location (the paper's future work), by BoTorch; the extra `bo`."""

from __future__ import annotations

from typing import Any

import numpy as np

from nogs_bench.builders.search.coarse import lattice
from nogs_bench.builders.search.searches import SEARCHES, Ask, Found, Problem, Steps
from nogs_bench.errors import NogsError

START = 16
BATCH = 4
SHARE = 0.3
STOP = 1e-3


@SEARCHES.register("bayesian")
def bayesian(problem: Problem) -> Steps:
    """A Gaussian process over the grid, and the cells where improvement on it is most expected.

    Begins with about `START` cells of a lattice; then, four at a time, those of greatest expected
    improvement get all completions, until less than 0.001 nats are expected of any, or 30 % of the
    cells are evaluated. `epe` is the process's mean where no cell was evaluated. Fitting takes
    a tenth of a second, so this pays where a cell's completions take longer, on large networks.
    Raises `NogsError` if BoTorch is not installed.
    """
    _check_installed()
    at = np.stack(np.unravel_index(np.arange(problem.cells), problem.shape), axis=1)
    where = at / np.maximum(np.array(problem.shape) - 1, 1)
    means, errors = np.full((2, problem.cells), np.nan)
    new = lattice(problem.shape, START)
    budget = max(len(new), round(SHARE * problem.cells))
    while True:
        values = yield Ask(new, np.arange(problem.samples))
        means[new] = values.mean(1)
        errors[new] = values.std(1) / np.sqrt(problem.samples)
        known = np.flatnonzero(np.isfinite(means))
        left = np.setdiff1d(np.arange(problem.cells), known)
        mean, improvement = _expected(where, known, means[known], errors[known])
        best = left[np.argsort(-improvement[left], kind="stable")][:BATCH]
        if not len(best) or improvement[best[0]] < STOP or len(known) >= budget:
            break
        new = np.sort(best)
    epe = np.where(np.isfinite(means), means, mean)
    return Found(int(known[means[known].argmin()]), epe.clip(min=0))


def _expected(
    where: np.ndarray, known: np.ndarray, means: np.ndarray, errors: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """float64 (cells,): the process's mean, and the improvement on the least one expected, nats.

    `where`: float64 (cells, 2) in 0 .. 1. The completions being common, most of a mean's error is
    all cells' alike; a tenth of its variance is taken for the cell's own.
    """
    import torch
    from botorch.acquisition import LogExpectedImprovement
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from botorch.models.transforms import Standardize
    from gpytorch.mlls import ExactMarginalLogLikelihood

    # Searches run in inference mode; the process's hyperparameters are fitted by gradient.
    with torch.inference_mode(False), torch.enable_grad():
        x, every = (torch.from_numpy(rows.copy()) for rows in (where[known], where))
        y = torch.from_numpy(-means.copy())[:, None]
        noise = torch.from_numpy(errors**2 / 10 + 1e-6)[:, None]
        model = SingleTaskGP(x, y, train_Yvar=noise, outcome_transform=Standardize(1))
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        with torch.no_grad():
            process: Any = model.posterior(every)
            acquisition = LogExpectedImprovement(model, best_f=y.max())
            improvement = acquisition(every[:, None]).exp()
            return -process.mean[:, 0].numpy(), improvement.numpy()


def _check_installed() -> None:
    try:
        import botorch  # noqa: F401
    except ImportError as error:
        raise NogsError(
            "--search bayesian needs BoTorch: pip install 'nogs-bench[bo]', or choose racing"
        ) from error
