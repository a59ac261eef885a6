"""Many searches at once, so that the posterior always computes full batches.

The searches of all images (and labels) at the same step run side by side. In each round what they
ask for is gathered, pairs of (completion, cell) that are known already are left out, and the rest
goes to the posterior in batches across images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nogs_bench.builders.posterior import EmbeddedBank, Posterior, Prepared, prepare
from nogs_bench.builders.search.epe import Criterion, StepEpe
from nogs_bench.builders.search.searches import Ask, Found, Problem, Search, Steps
from nogs_bench.registry import Registry

PAIRS_AT_ONCE = 512
PRECISIONS: Registry[torch.dtype] = Registry("precision")
PRECISIONS.add("float32", torch.float32)
PRECISIONS.add("bfloat16", torch.bfloat16)


@dataclass(frozen=True)
class Evaluator:
    """Where and how posteriors are computed.

    - `precision`: in `PRECISIONS`; `"bfloat16"` computes what autocast lets it in bfloat16. What
      is averaged is float32 or wider always.
    - `embedded`: the glimpses of the bank whose images all completions of `search` are, as they
      are or reversed; None: whatever completions show is computed.
    """

    posterior: Posterior
    criterion: Criterion
    target: int
    device: str = "cpu"
    precision: str = "float32"
    embedded: EmbeddedBank | None = None

    @torch.inference_mode()
    def search(
        self, search: Search, steps: Sequence[StepEpe], shape: tuple[int, int]
    ) -> tuple[list[dict[int, Found]], list[int]]:
        """Run the searches of `steps`, all with prefixes of one length, to their ends.

        **Returns** what each step found, by target, and how many posteriors each took.
        """
        with self._precision():
            batch = _Batch(self, steps, self.embedded)
            running: dict[tuple[int, int], Steps] = {}
            asks: dict[tuple[int, int], Ask] = {}
            found: list[dict[int, Found]] = [{} for _ in steps]
            for number, step in enumerate(steps):
                for target in step.targets:
                    key = number, target
                    running[key] = search(step.problem(shape))
                    asks[key] = next(running[key])
            while asks:
                batch.answer(
                    [[a for (n, _), a in asks.items() if n == k] for k in range(len(steps))]
                )
                for key, ask in list(asks.items()):
                    number, target = key
                    try:
                        asks[key] = running[key].send(steps[number].answer(target, ask))
                    except StopIteration as end:
                        found[number][target] = end.value
                        del asks[key]
        return found, batch.evaluations

    @torch.inference_mode()
    def search_pieces(
        self, search: Search, pieces: Sequence[StepEpe], shape: tuple[int, int]
    ) -> tuple[dict[int, Found], int]:
        """One search for each target, over completions too many to be prepared at once.

        `pieces` hold them one after the other, all without a prefix. Each is prepared when it is
        asked about, so that searches should ask for completions in their order.
        """
        sizes = np.array([piece.samples for piece in pieces])
        starts = sizes.cumsum() - sizes
        running = {t: search(Problem(shape, int(sizes.sum()))) for t in pieces[0].targets}
        asks = {target: next(steps) for target, steps in running.items()}
        found: dict[int, Found] = {}
        evaluations = 0
        with self._precision():
            while asks:
                answers: dict[int, list[np.ndarray]] = {target: [] for target in asks}
                for piece, start in zip(pieces, starts, strict=True):
                    parts = {t: _within(ask, start, piece.samples) for t, ask in asks.items()}
                    wanted = [part for part in parts.values() if len(part.completions)]
                    if wanted:
                        batch = _Batch(self, [piece])
                        batch.answer([wanted])
                        evaluations += batch.evaluations[0]
                    for target, part in parts.items():
                        answers[target].append(piece.answer(target, part))
                for target, told in answers.items():
                    try:
                        asks[target] = running[target].send(np.concatenate(told, axis=1))
                    except StopIteration as end:
                        found[target] = end.value
                        del asks[target]
        return found, evaluations

    def _precision(self) -> torch.autocast:
        dtype = PRECISIONS[self.precision]
        return torch.autocast(
            torch.device(self.device).type, torch.bfloat16, enabled=dtype == torch.bfloat16
        )


def _within(ask: Ask, start: int, count: int) -> Ask:
    """What an ask wants of completions `start .. start + count - 1`, which must come in order."""
    chosen = ask.completions[(ask.completions >= start) & (ask.completions < start + count)]
    return Ask(ask.cells, chosen - start)


class _Batch:
    """The steps' completions, one after the other, as the posterior sees them."""

    def __init__(
        self,
        evaluator: Evaluator,
        steps: Sequence[StepEpe],
        embedded: EmbeddedBank | None = None,
    ):
        self.evaluator, self.steps = evaluator, steps
        self.evaluations = [0] * len(steps)
        device = evaluator.device
        sizes = torch.tensor([len(step.images) for step in steps])
        self.offsets = (sizes.cumsum(0) - sizes).tolist()
        labels = np.concatenate([step.labels for step in steps])
        self.labels = torch.from_numpy(labels).to(device)
        each = torch.from_numpy(np.stack([step.prefix for step in steps]))
        prefix = each.repeat_interleave(sizes, dim=0).to(device)
        self.prepared: Prepared
        if embedded is not None:
            copies = [step.copies for step in steps if step.copies is not None]
            assert len(copies) == len(steps), "a completion that draws no images of the bank"
            self.prepared = embedded.prepare(np.concatenate(copies), prefix)
        else:
            images = np.concatenate([step.images for step in steps])
            shown = [step.observed for step in steps if step.observed is not None]
            observed = torch.from_numpy(np.stack(shown)) if len(shown) == len(steps) else None
            self.prepared = prepare(
                evaluator.posterior,
                torch.from_numpy(images).to(device),
                prefix,
                None if observed is None else observed.repeat_interleave(sizes, dim=0).to(device),
            )
        self.at_once = getattr(self.prepared, "pairs_at_once", PAIRS_AT_ONCE)

    def answer(self, asks: Sequence[list[Ask]]) -> None:
        """Make known to each step all that is asked of it."""
        missing = [
            step.missing(wanted) if wanted else None
            for step, wanted in zip(self.steps, asks, strict=True)
        ]
        parts = [(n, *pairs) for n, pairs in enumerate(missing) if pairs and len(pairs[0])]
        if not parts:
            return
        rows = np.concatenate([self.offsets[n] + completions for n, completions, _ in parts])
        cells = np.concatenate([cells for _, _, cells in parts])
        device = self.evaluator.device
        chunks = zip(
            torch.from_numpy(rows).to(device).split(self.at_once),
            torch.from_numpy(cells).to(device).split(self.at_once),
            strict=True,
        )
        # Fetched from the device once: between chunks, it need not wait.
        every = torch.cat([self._nats(*chunk) for chunk in chunks], dim=1).cpu().numpy()
        start = 0
        for number, completions, cells in parts:
            stop = start + len(cells)
            step = self.steps[number]
            step.tell(completions, cells, every[self._places(step), start:stop])
            self.evaluations[number] += len(cells)
            start = stop

    def _nats(self, rows: Tensor, cells: Tensor) -> Tensor:
        """float32 (targets, m): the criterion's value for every target of any step."""
        criterion, labels = self.evaluator.criterion, self.labels[rows]
        return torch.stack(
            [
                criterion(log.float()[None], labels[:, target])[0]
                for target, log in zip(self._targets, self._logs(rows, cells), strict=True)
            ]
        )

    def _logs(self, rows: Tensor, cells: Tensor) -> list[Tensor]:
        if self._targets == [self.evaluator.target]:
            return [self.prepared.log_posterior(rows, cells)]
        prepared: Any = self.prepared
        logs = prepared.log_posteriors(rows, cells)
        return [logs[target] for target in self._targets]

    @property
    def _targets(self) -> list[int]:
        return sorted({target for step in self.steps for target in step.targets})

    def _places(self, step: StepEpe) -> list[int]:
        return [self._targets.index(target) for target in step.targets]
