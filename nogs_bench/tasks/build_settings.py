"""How a task's sequences are built: `AvpTraining` and `Annotation`, parts of its `Task`."""

from __future__ import annotations

from dataclasses import dataclass

from nogs_bench.registry import require_whole
from nogs_bench.tasks.values import COUNT, NUMBER, SHARE, settle


@dataclass(frozen=True)
class AvpTraining:
    """How the attentional variational posterior is trained (section 4, appendix B.1).

    The AVP is the network that says how likely each label is, given some glimpses.

    - `network`: a name in `nogs_bench.builders.posterior.AVP_NETWORKS` (such as `timm:NAME`),
      whose networks see the masked image, or in `GLIMPSE_NETWORKS` (such as `tokens:NAME`), whose
      networks see the glimpses alone.
    - `epochs`: passes over the training images. The epoch of the least validation cross-entropy
      is kept.
    - `batch_size`: images in a batch.
    - `learning_rate`: the highest of AdamW's one-cycle schedule.
    - `images`: how many distinct training images. A task with a sampler composes them anew for each
      epoch.
    - `warmup`: share of the epochs, from the first on, that show up to 3T glimpses instead of T
      (not in the paper). What the whole looks like is learned sooner than what a part means.
    - `mirrored`: whether half of the training images, drawn anew each epoch, are reversed left to
      right, together with their cells. Only for labels that a mirror does not change.
    - `teacher`: a network, named like `network`, that is trained first in the same way. The AVP
      then learns its probabilities for each training image, seen at the same cells, beside the
      label. Empty: no teacher.
    - `distillation`: the teacher's share of the loss, 0 .. 1. The label has the rest.
    - `rounds`: how often the AVP is trained again on glimpses that it chose itself (not in the
      paper). A build asks it about chosen glimpses, not about random ones.
    - `chosen_images`: for how many of its training images it chooses sequences in each round.
    - `chosen_share`: share of each later batch that is seen at the cells of such sequences, 0 .. 1.
    """

    network: str
    epochs: int
    batch_size: int = 64
    learning_rate: float = 1e-4
    images: int = 0
    warmup: float = 0.0
    mirrored: bool = False
    teacher: str = ""
    distillation: float = 0.5
    rounds: int = 0
    chosen_images: int = 1500
    chosen_share: float = 0.05

    def __post_init__(self) -> None:
        counts = dict.fromkeys(("epochs", "batch_size", "chosen_images"), COUNT)
        numbers = dict.fromkeys(("learning_rate", "images", "rounds"), NUMBER)
        shares = dict.fromkeys(("warmup", "distillation", "chosen_share"), SHARE)
        settle(self, "AVP training", counts | numbers | shares)
        require_whole("AVP network", self.network)


OBSERVED = ("sample", "pasted")


@dataclass(frozen=True)
class Annotation:
    """How glimpse sequences are built (section 4, appendices A.3 and B.5).

    A completion is a whole image that agrees with the glimpses so far. The EPE of a place is the
    uncertainty that a glimpse there is expected to leave.

    **What is annotated**

    - `images`: how many training images get a sequence, from index 0 on.
    - `reserved`: how many training images, from index 0 on, neither train the AVP nor are in the
      bank. The annotated ones never do, whatever this says.

    **The search**

    - `criterion`: what is made least: `"entropy"` (equation 6) or `"cross-entropy"`, which needs
      a bank with labels.
    - `search`: how the grid is searched: a name in `nogs_bench.builders.search.SEARCHES`.
    - `samples`: N, how many completions an EPE estimate averages, from the second glimpse on.
    - `first_samples`: how many images of the bank the race for the first glimpse uses at most.
      All images share this glimpse.
    - `observed`: which pixels the AVP sees at the earlier glimpses of a completion: the
      completion's own (`"sample"`, equation 6) or the annotated image's (`"pasted"`).
    - `together`: whether what completions with pasted pixels share is computed once. This is
      several times quicker, and rounded differently.

    **Completions**

    - `completion`: the kind: a name in `nogs_bench.builders.completion.COMPLETIONS`. The settings
      below are of `"retrieval"`, which draws images from a bank (A.3.3).
    - `bank_images`: how many images the bank holds.
    - `components`: dimensions of the PCA by which the proposal compares images. With 0 there is no
      proposal: pixels are compared over the whole bank.
    - `retrieved`: K1, how many images are drawn from the proposal and then weighted exactly.
    - `sigma`: standard deviation of the Gaussian that compares pixels, for t = 2 .. T, in pixel
      values from 0 to 1. If empty, it is found so that the effective sample size is
      `effective_samples`. With both, `sigma` is that of the exact weights, and the proposal's is
      found so (as for CUB in A.3.3).
    - `effective_samples`: the effective sample size to aim at, (sum w)^2 / sum w^2 of the weights.
    - `mirrored`: whether each bank image is also compared reversed left to right (A.3.3).
    - `shifts`, `proposal_shifts`: by how many pixels a bank image is moved, down and across alike,
      for the exact weights and for the proposal. The likelihoods of all moves are summed (A.3.3).
    """

    images: int
    bank_images: int
    criterion: str = "entropy"
    search: str = "halving"
    samples: int = 200
    first_samples: int = 100_000
    completion: str = "retrieval"
    components: int = 256
    retrieved: int = 1000
    sigma: tuple[float, ...] = ()
    effective_samples: float = 0.0
    observed: str = "sample"
    together: bool = True
    reserved: int = 0
    mirrored: bool = False
    shifts: tuple[int, ...] = (0,)
    proposal_shifts: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        counts = dict.fromkeys(("images", "samples", "first_samples", "retrieved"), COUNT)
        names = ("bank_images", "components", "effective_samples", "reserved")
        ranges = counts | dict.fromkeys(names, NUMBER)
        settle(self, "annotation", ranges, {"observed": OBSERVED})

    def first_completions(self, bank: int) -> int:
        """How many completions the first step has, from `bank` images: reversed ones count too."""
        return min(self.first_samples, bank * (2 if self.mirrored else 1))
