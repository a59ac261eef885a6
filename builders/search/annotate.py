"""Near-optimal glimpse sequences: algorithm 1, repeated for t = 1 .. T, for many images at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch

from nogs_bench.builders.completion import Belief, Completion, Query
from nogs_bench.builders.posterior import EmbeddedBank, Posterior
from nogs_bench.builders.search.epe import CRITERIA, StepEpe
from nogs_bench.builders.search.lockstep import Evaluator
from nogs_bench.builders.search.observed import WAYS, Glimpsed
from nogs_bench.builders.search.racing import first_race
from nogs_bench.builders.search.searches import SEARCHES, Found, Search
from nogs_bench.device import give_memory_back
from nogs_bench.tasks import Task

GROUP = 20
FIRST_AT_ONCE = 2000
# At most, of completions that no bank holds.
FIRST_GENERATED = 1000
GROUP_BYTES = 2**28


@dataclass(frozen=True)
class Sequences:
    """The near-optimal glimpse sequences of n images, for each of k labels.

    - `cells`: int64 (n, k, T), grid indices.
    - `epe`: float64 (n, k, T), nats, the estimate at each chosen cell when it was chosen.
    - `bounds`: float64 (n, k, T), nats, `Found.bound` of each choice.
    - `maps`: float16 (n, k, T, cells), nats, the estimates at all cells.
    - `effective_samples`: float64 (n, k, T), of the completions' weights.
    - `evaluations`: int64 (n,), posteriors computed, each of all labels.
    """

    cells: np.ndarray
    epe: np.ndarray
    bounds: np.ndarray
    maps: np.ndarray
    effective_samples: np.ndarray
    evaluations: np.ndarray


@dataclass
class Annotator:
    """Chooses glimpses for images of one task, or several of one family, greedily by EPE.

    Which completions an image gets depends on (seed, its number, t, its glimpses so far) alone.
    What it gets together with others differs from what it gets alone by rounding at most, since
    the posterior computes in other batches; the same images together give the same bytes.

    **Arguments**

    - `targets`: the family's labels to annotate for (default: the task's own). Labels whose
      sequences agree so far share completions and posteriors.
    - `device`: where the posterior computes; `precision`, `embedded`: see
      `builders.search.Evaluator`.
    """

    task: Task
    posterior: Posterior
    completion: Completion
    seed: int
    device: str = "cpu"
    precision: str = "float32"
    targets: tuple[int, ...] = ()
    embedded: EmbeddedBank | None = None

    def __post_init__(self) -> None:
        self.targets = self.targets or (self.task.target,)
        criterion = CRITERIA[self.task.annotation.criterion]
        self.evaluator = Evaluator(
            self.posterior,
            criterion,
            self.task.target,
            self.device,
            self.precision,
            self.embedded,
        )
        self.observed = WAYS[self.task.annotation.observed]

    def first_step(self, search: Search = first_race) -> list[Found]:
        """The first glimpse, of each target: nothing has been seen, so all images share it.

        One choice for all of them: it is raced (`first_race`) over `first_samples` images of the
        bank, or all of it. Its map is also the saliency of equation (17). `search`: another one.
        """
        rng = np.random.default_rng([self.seed, 0])
        drawn = self.completion.prior(self._first_samples, rng)
        grid, nothing = self.task.grid, np.empty(0, np.int64)
        pieces = [
            StepEpe(drawn.part(slice(s, s + FIRST_AT_ONCE)), nothing, self.targets, grid.cells)
            for s in range(0, len(drawn.images), FIRST_AT_ONCE)
        ]
        found, _ = self.evaluator.search_pieces(search, pieces, grid.shape)
        return [found[target] for target in self.targets]

    def annotate(
        self, images: np.ndarray, numbers: Sequence[int], first: Sequence[Found]
    ) -> Sequences:
        """The sequences of images, uint8 (n, channels, image_size, image_size).

        `numbers` are their indices in the training split; `first` the outcome of `first_step`.

        While one group of images is searched, the next one's completions are drawn; those of two
        groups are held at most.
        """
        size = self._group_size
        groups = [
            [
                _Image(self, image, number, first)
                for image, number in zip(images[s : s + size], numbers[s : s + size], strict=True)
            ]
            for s in range(0, len(images), size)
        ]
        search = SEARCHES[self.task.annotation.search]
        turns = [group for _ in range(2, self.task.T + 1) for group in groups]
        with ThreadPoolExecutor(1) as drawing:

            def draw(group: list[_Image]) -> Future[list[StepEpe]]:
                return drawing.submit(lambda: [step for image in group for step in image.draw()])

            drawn = draw(turns[0]) if turns else None
            for number, group in enumerate(turns, 1):
                assert drawn is not None
                steps, following = drawn.result(), turns[number : number + 1]
                drawn = None
                if following and following[0] is not group:
                    drawn = draw(following[0])
                found, evaluations = self.evaluator.search(search, steps, self.task.grid.shape)
                outcome = zip(steps, found, evaluations, strict=True)
                for image in group:
                    image.take(outcome)
                del steps, outcome
                if size < GROUP // 2:  # of small images it would cost more than it gives
                    give_memory_back()
                if following and drawn is None:
                    drawn = draw(following[0])
        return self._gathered([image for group in groups for image in group])

    def step(
        self,
        query: Query,
        image: np.ndarray,
        prefix: np.ndarray,
        targets: tuple[int, ...],
        rng: np.random.Generator,
        samples: int = 0,
    ) -> StepEpe:
        """A next glimpse to be chosen for an image, whose `query` has observed `prefix`, int64
        (t - 1,), over `samples` completions (0: the task's)."""
        task, settings = self.task, self.task.annotation
        belief = partial(self._belief, image, prefix, targets[0])
        at = Glimpsed(image, task.grid.masks[prefix].any(0), belief)
        drawn = self.observed.draw(query, samples or settings.samples, rng, at)
        shared = image if self.observed.pasted and settings.together else None
        return StepEpe(drawn, prefix, targets, task.grid.cells, shared)

    def _belief(self, image: np.ndarray, prefix: np.ndarray, target: int) -> Belief:
        pixels = torch.from_numpy(np.ascontiguousarray(image))[None].to(self.device)
        cells = torch.from_numpy(prefix)[None].to(self.device)
        posterior: Any = self.posterior
        if target == self.task.target:
            log = posterior.log_posterior(pixels, cells)
        else:
            log = posterior.log_posteriors(pixels, cells)[target]
        return Belief(target, log[0].float().cpu().numpy())

    def _gathered(self, images: list[_Image]) -> Sequences:
        found = [[image.found[target] for target in self.targets] for image in images]
        sizes = [[image.sizes[target] for target in self.targets] for image in images]
        cells, epe, bounds = (
            np.array([[[value(step) for step in steps] for steps in labels] for labels in found])
            for value in (lambda s: s.cell, lambda s: s.epe[s.cell], lambda s: s.bound)
        )
        maps = [[[step.epe for step in steps] for steps in labels] for labels in found]
        return Sequences(
            cells=cells,
            epe=epe,
            bounds=bounds,
            maps=np.array(maps).astype(np.float16),
            effective_samples=np.array(sizes),
            evaluations=np.array([image.evaluations for image in images]),
        )

    @property
    def _first_samples(self) -> int:
        support = self.completion.support
        most = FIRST_GENERATED if np.isinf(support) else support
        return int(min(self.task.annotation.first_samples, most))

    @property
    def _group_size(self) -> int:
        """How many images are searched together: what their completions and nats leave room for.

        A shard's, on a CPU; half of them on an accelerator, which computes while the other half's
        completions are drawn.
        """
        task = self.task
        most = GROUP if torch.device(self.device).type == "cpu" else GROUP // 2
        pixels = task.channels * task.image_size**2
        each = task.annotation.samples * len(self.targets) * (pixels + 4 * task.grid.cells)
        return int(np.clip(GROUP_BYTES // each, 1, most))


@dataclass
class _Branch:
    """Labels of an image whose sequences are the same so far."""

    prefix: tuple[int, ...]
    targets: tuple[int, ...]
    query: Query | None = None


@dataclass
class _Image:
    """An image under way: what was found so far for each target, and the branches that go on."""

    annotator: Annotator
    image: np.ndarray
    number: int
    first: Sequence[Found]
    evaluations: int = 0
    found: dict[int, list[Found]] = field(default_factory=dict)
    sizes: dict[int, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        targets = self.annotator.targets
        self.found = {target: [step] for target, step in zip(targets, self.first, strict=True)}
        self.sizes = {target: [float(self.annotator._first_samples)] for target in targets}
        self.branches = self._split(_Branch((), targets))

    def draw(self) -> list[StepEpe]:
        """The completions of every branch, given its glimpses."""
        steps = []
        for branch in self.branches:
            if branch.query is None:
                branch.query = self.annotator.completion.query(self.image)
                for cell in branch.prefix[:-1]:
                    branch.query.observe(cell)
            branch.query.observe(branch.prefix[-1])
            t = len(branch.prefix) + 1
            rng = np.random.default_rng([self.annotator.seed, 1, self.number, t])
            prefix = np.array(branch.prefix)
            steps.append(self.annotator.step(branch.query, self.image, prefix, branch.targets, rng))
        return steps

    def take(self, outcome: Iterator[tuple[StepEpe, dict[int, Found], int]]) -> None:
        """Take what was found for the steps that `draw` returned, in their order."""
        branches = []
        for branch in self.branches:
            step, found, evaluations = next(outcome)
            self.evaluations += evaluations
            for target in branch.targets:
                self.found[target].append(found[target])
                self.sizes[target].append(step.effective_samples)
            branches += self._split(branch)
        self.branches = branches

    def _split(self, branch: _Branch) -> list[_Branch]:
        """A branch by its targets' last cells; the first part goes on with the query."""
        apart = self.annotator.observed.pasted
        by_cell: dict[tuple[int, int], list[int]] = {}
        for target in branch.targets:
            key = self.found[target][-1].cell, target if apart else 0
            by_cell.setdefault(key, []).append(target)
        parts = [
            _Branch((*branch.prefix, cell), tuple(targets))
            for (cell, _), targets in by_cell.items()
        ]
        parts[0].query = branch.query
        return parts
