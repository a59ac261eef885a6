"""How a task's sequences are built: `AvpTraining` and `Annotation`, parts of its `Task`."""

from __future__ import annotations

from dataclasses import dataclass

from nogs_bench.tasks.values import COUNT, NUMBER, SHARE, settle


@dataclass(frozen=True)
class AvpTraining:
    """How the attentional variational posterior is trained (section 4, appendix B.1).

    - `network`: name in `builders.posterior.AVP_NETWORKS` (`timm:NAME`), which see the
      masked image, or in `builders.posterior.GLIMPSE_NETWORKS` (`tokens:NAME`),
      which see the glimpses.
    - `images`: distinct training images; a task with a sampler composes them afresh each epoch.
    - `warmup`: share of the epochs, from the first on, that show up to 3T glimpses instead of T
      (not in the paper). What the whole looks like is learned sooner than what a part means.
    - `mirrored`: whether half of the training images, drawn anew each epoch, are reversed left to
      right, their cells with them. For labels that a mirror does not change.
    - `teacher`: a network, named like `network`, that is trained first in the same way; what it
      says of each training image, seen at the same cells, is learned beside the label. Empty: none.
    - `distillation`: the teacher's share of the loss, 0 .. 1; the label has the rest.
    - `rounds`: how often the AVP is trained again, with sequences that it has itself chosen among
      the random ones (not in the paper): it is asked about chosen glimpses.
    - `chosen_images`: how many of its training images it chooses sequences for in each round.
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


@dataclass(frozen=True)
class Annotation:
    """How glimpse sequences are built (section 4, appendices A.3 and B.5).

    - `images`: how many training images are annotated, from index 0 on.
    - `reserved`: how many training images, from index 0 on, are kept out of the AVP's training
      set and the bank; at least the annotated ones always are.
    - `bank_images`: size of the bank of images that completions are retrieved from.
    - `criterion`: `"entropy"` (equation 6) or `"cross-entropy"` (needs a labelled bank).
    - `search`: how the grid is searched, in `nogs_bench.builders.search.SEARCHES`.
    - `samples`: N, completions behind an EPE estimate after the first step; `first_samples`: at
      the first step, which all images share: at most, of the bank's images, for cells that race.
    - `completion`: what completes images, in `nogs_bench.builders.completion.COMPLETIONS`. The
      settings from here to `proposal_shifts`, but for `observed`, are of `"retrieval"`.
    - `components`: latent dimensions of the PCA proposal; 0 compares pixels over the whole bank.
    - `retrieved`: K1, images drawn from the proposal and reweighted exactly.
    - `sigma`: standard deviation of the Gaussian relaxation for t = 2 .. T, in units of pixel
      values 0 .. 1; empty: set by bisection so that the effective sample size is
      `effective_samples`. With both, `sigma` is the exact likelihood's and the proposal's is set
      by bisection (appendix A.3.3, CUB).
    - `mirrored`: whether each bank image is compared left to right reversed too (A.3.3).
    - `shifts`, `proposal_shifts`: pixels by which a bank image is moved, down and across alike,
      the likelihoods of all moves being summed (A.3.3), exactly and in the proposal.
    - `observed`: `"sample"` shows the AVP the completion's own pixels at earlier glimpses, as
      equation 6 says; `"pasted"` the image's.
    - `together`: whether the AVP computes once what completions with pasted pixels share: several
      times quicker, and rounded differently.
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
        settle(self, "annotation", counts | dict.fromkeys(names, NUMBER))
