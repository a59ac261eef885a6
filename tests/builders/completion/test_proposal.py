"""The proposal's evidence, against reconstructions written out pixel by pixel."""

import numpy as np
import pytest
import torch

from nogs_bench.builders.completion.evidence import FreeEvidence, ScheduledEvidence
from nogs_bench.builders.completion.pca import fit_pca
from nogs_bench.builders.completion.proposal import DROPPED, Proposal
from nogs_bench.tasks.geometry import GlimpseGrid

GRID = GlimpseGrid.even(16, 4, 2)
SHIFTS = (-1, 0, 2)


def waves(count: int, noise: float = 0.0) -> np.ndarray:
    """uint8 (count, 3, 16, 16): sums of 25 smooth patterns a colour, of falling size, and noise."""
    rng = np.random.default_rng(1)
    line = np.linspace(0, np.pi, 16)
    patterns = np.stack(
        [np.outer(np.cos(a * line), np.cos(b * line)) for a in range(5) for b in range(5)]
    )
    weights = rng.normal(size=(count, 3, 25)) * 0.7 ** np.arange(25)
    images = 128 + 30 * np.einsum("nck,kij->ncij", weights, patterns)
    return (images + noise * rng.normal(size=images.shape)).clip(0, 255).astype(np.uint8)


def written_out(pca, image, cells, variance, reversals):
    """Log-likelihoods of all copies, one window of one reconstruction at a time."""
    theirs = (pca.mean + pca.latents.astype(np.float64) @ pca.basis).reshape(-1, 3, 16, 16)
    mine = pca.reconstruct(image).reshape(3, 16, 16)
    log = []
    for copies in [theirs[..., ::-1] if mirrored else theirs for mirrored in reversals]:
        for copy in copies:
            total = 0.0
            for cell in cells:
                row, col = GRID.pixels[cell]
                gaps = [
                    copy[:, r : r + 4, c : c + 4] - mine[:, row : row + 4, col : col + 4]
                    for r in (row + shift for shift in SHIFTS)
                    for c in (col + shift for shift in SHIFTS)
                    if 0 <= r <= 12 and 0 <= c <= 12
                ]
                total += np.log(sum(np.exp(-(gap**2).sum() / (2 * variance)) for gap in gaps))
            log.append(total)
    return np.array(log)


@pytest.mark.parametrize("reversals", [(False,), (False, True)])
@pytest.mark.parametrize("components", [5, 60])
def test_evidence_is_that_of_the_reconstructions(components, reversals):
    """Windows of 48 pixels, with fewer and with more components than that."""
    images = waves(100, noise=4)
    pca = fit_pca(images, components)
    proposal = Proposal(pca, GRID, SHIFTS, reversals)
    evidence = FreeEvidence(len(images) * len(reversals))
    cells = (0, 17, 48)
    for cell in cells:
        proposal.observe(pca.latents_of(images[3]), cell, evidence)
    expected = written_out(pca, images[3], cells, 0.5, reversals)
    found = evidence.log_likelihood(0.5)
    # What is left out moves a squared distance by about `DROPPED` of itself.
    np.testing.assert_allclose(found, expected, atol=0.02, rtol=20 * DROPPED)


def test_a_smooth_window_needs_few_directions_and_loses_little():
    images = waves(3000)
    pca = fit_pca(images, 75)
    proposal = Proposal(pca, GRID, SHIFTS, (False,))
    part = proposal._directions(24, False)
    assert part.project.shape[1] < 75 / 2
    evidence = FreeEvidence(len(images))
    proposal.observe(pca.latents_of(images[0]), 24, evidence)
    expected = written_out(pca, images[0], (24,), 0.05, (False,))
    found = evidence.log_likelihood(0.05)
    best = set(np.argsort(-expected)[:300])
    assert len(best & set(np.argsort(-found)[:300])) >= 297


def test_a_bank_without_variance_is_equally_far_everywhere():
    images = np.full((20, 3, 16, 16), 7, np.uint8)
    proposal = Proposal(fit_pca(images, 4), GRID, SHIFTS, (False, True))
    evidence = FreeEvidence(40)
    proposal.observe(np.zeros(4, np.float32), 5, evidence)
    np.testing.assert_allclose(np.ptp(evidence.log_likelihood(1.0)), 0, atol=1e-6)


def test_a_cell_where_all_images_are_equal_tells_nothing():
    """As in a black border."""
    images = waves(100)
    images[:, :, :4, :4] = 0
    pca = fit_pca(images, 20)
    proposal = Proposal(pca, GRID, (0,), (False,))
    evidence = FreeEvidence(100)
    proposal.observe(pca.latents_of(images[3]), 0, evidence)
    np.testing.assert_allclose(np.ptp(evidence.log_likelihood(1.0)), 0, atol=1e-6)
    proposal.observe(pca.latents_of(images[3]), 24, evidence)
    assert evidence.log_likelihood(0.01).argmax() == 3


@pytest.mark.parametrize("moves", [1, 4])
def test_scheduled_evidence_is_free_evidence_at_the_schedules_sigmas(moves):
    rng = np.random.default_rng(0)
    sigmas = (0.5, 0.7, 1.3)
    free, scheduled = FreeEvidence(50), ScheduledEvidence(50, sigmas)
    for glimpse in range(5):
        distances = torch.from_numpy(rng.exponential(size=(moves, 50)).astype(np.float32))
        for evidence in (free, scheduled):
            evidence.begin(moves)
            evidence.put(0, distances[:, :30])
            evidence.put(30, distances[:, 30:])
        # The schedule's last sigma holds from there on.
        variance = sigmas[min(glimpse, 2)] ** 2
        np.testing.assert_allclose(
            scheduled.log_likelihood(variance), free.log_likelihood(variance), rtol=1e-4, atol=1e-4
        )
    with pytest.raises(ValueError, match="after 5 glimpses"):
        scheduled.log_likelihood(0.25)


def test_half_precision_and_order_of_chunks_change_little():
    images = waves(500, noise=2)
    logs = []
    for latents in (np.float32, np.float16):
        pca = fit_pca(images, 60, latents=latents)
        evidence = ScheduledEvidence(1000, (0.6,))
        Proposal(pca, GRID, SHIFTS, (False, True)).observe(pca.latents_of(images[0]), 10, evidence)
        logs.append(evidence.log_likelihood(0.36))
    np.testing.assert_allclose(logs[0], logs[1], atol=0.02)
