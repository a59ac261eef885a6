"""The conditional GAN and HMC: closed forms, and images of one grey that a glimpse reveals."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from nogs_bench.builders.completion.conditional_gan import (
    ConditionalGanKind,
    GanSettings,
    train_conditional_gan,
)
from nogs_bench.builders.completion.hmc import Hmc, HmcKind, HmcQuery, HmcSettings
from nogs_bench.builders.completion.kinds import Fitting, fit_completion
from nogs_bench.builders.completion.latent_generator import VaeSettings, train_decoder
from nogs_bench.builders.completion.passes import Here
from nogs_bench.builders.completion.unet import PatchDiscriminator, UNet
from nogs_bench.errors import NogsError
from nogs_bench.images.labelled import LabelledImages
from nogs_bench.tasks.geometry import GlimpseGrid
from tiny import corner_task

GRID = GlimpseGrid.even(6, 4, 2)
TASK = replace(corner_task(), grid=GRID)
LEVELS = (30, 130, 230)


def _greys(count: int) -> LabelledImages:
    """6 x 6 images that are black, grey or white all over."""
    levels = np.random.default_rng(0).choice(LEVELS, size=(count, 1, 1, 1))
    images = np.broadcast_to(levels, (count, 1, 6, 6)).astype(np.uint8)
    return LabelledImages(images, np.zeros((count, 1), np.int64))


def _complete(completion, image, cell=3, count=12, seed=0):
    query = completion.query(image)
    query.observe(cell)
    return query.draw(count, np.random.default_rng(seed))


def _flat(level: int) -> np.ndarray:
    return np.full((1, 6, 6), level, np.uint8)


def _unlike_elsewhere(image: np.ndarray, cell: int = 3) -> np.ndarray:
    return np.where(GRID.masks[cell], image, 255 - image)


@pytest.mark.parametrize(("channels", "side"), [(1, 4), (3, 32)])
def test_networks_keep_their_shapes_and_see_every_pixel(channels, side):
    torch.manual_seed(0)
    network, images = UNet(channels, side, 16).eval(), torch.randn(2, channels, side, side)
    images.requires_grad_(True)
    made = network(images)
    assert made.shape == images.shape
    assert ((made >= 0) & (made <= 1)).all()
    made[0, 0, 0, 0].backward()
    assert (images.grad[0] != 0).all()
    assert (images.grad[1] == 0).all()
    logits = PatchDiscriminator(channels, 4)(images, made)
    assert logits.shape == (2, 1, side // 4, side // 4)


@pytest.fixture(scope="module")
def gan():
    settings = GanSettings(steps=150, width=8, learning_rate=2e-3)
    return train_conditional_gan(TASK, _greys(60), 0, "cpu", settings)


@pytest.fixture(scope="module")
def decoder():
    settings = VaeSettings(learning_rate=5e-3, latent=2, width=8, steps=400, batch_size=32)
    return train_decoder(_greys(60), 0, "cpu", settings)


def test_the_gan_continues_the_grey_it_sees(gan):
    made = [_complete(gan, _flat(level)).images.mean() for level in LEVELS]
    np.testing.assert_allclose(made, LEVELS, atol=35)
    prior = gan.prior(5, np.random.default_rng(0))
    assert prior.images.shape == (5, 1, 6, 6)
    assert (prior.labels == -1).all()


def test_the_gan_sees_the_glimpse_alone_and_repeats_itself_by_seed(gan):
    image = _flat(130)
    images = _complete(gan, image).images
    np.testing.assert_array_equal(images, _complete(gan, _unlike_elsewhere(image)).images)
    assert (images != _complete(gan, image, seed=1).images).any()


def test_the_decoder_draws_the_levels(decoder):
    images = decoder(torch.randn(300, 2, generator=torch.Generator().manual_seed(0)))
    means, spread = images.mean((1, 2, 3)) * 255, images.std((1, 2, 3)) * 255
    assert spread.mean() < 20
    # The levels' mean is 130 and their standard deviation 82.
    assert means.mean() == pytest.approx(130, abs=45)
    assert means.std() == pytest.approx(82, abs=40)


class _Linear:
    """A generator whose posterior is Gaussian: image = A z + 0.5."""

    latent = 3

    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        self.matrix = torch.randn(36, 3, generator=generator) * 0.2

    def __call__(self, z):
        return (z @ self.matrix.T + 0.5).view(-1, 1, 6, 6)


def test_chains_sample_the_closed_form_posterior():
    linear, image = _Linear(), _flat(200)
    settings = HmcSettings(step_size=0.2, steps=8, warmup=60)
    query = HmcQuery(Hmc(TASK, linear, "cpu", settings), image)
    # A cell looked at twice counts twice.
    cells = [0, 3, 3]
    for cell in cells:
        query.observe(cell)
    rows = torch.cat(
        [torch.from_numpy(GRID.masks[cell].reshape(-1)).nonzero()[:, 0] for cell in cells]
    )
    matrix = linear.matrix[rows]
    precision = torch.eye(3) + matrix.T @ matrix / settings.sigma**2
    covariance = precision.inverse()
    gap = torch.full((len(rows),), 200 / 255 - 0.5)
    mean = covariance @ matrix.T @ gap / settings.sigma**2
    z = query.latents(1000, np.random.default_rng(0))
    torch.testing.assert_close(z.mean(0), mean, atol=0.08, rtol=0)
    torch.testing.assert_close(torch.cov(z.T), covariance, atol=0.08, rtol=0)


def test_hmc_finds_the_grey_it_sees_and_sees_nothing_else(decoder):
    hmc = Hmc(TASK, decoder, "cpu", HmcSettings(sigma=0.1, steps=10, warmup=30))
    for level in LEVELS:
        drawn = _complete(hmc, _flat(level), count=10)
        assert drawn.images.mean() == pytest.approx(level, abs=30)
        assert 1 <= drawn.effective_samples <= 10
    before = torch.random.get_rng_state()
    again = _complete(hmc, _unlike_elsewhere(_flat(LEVELS[-1])), count=10)
    np.testing.assert_array_equal(again.images, drawn.images)
    assert torch.equal(before, torch.random.get_rng_state())


def test_without_glimpses_hmc_draws_from_the_prior(decoder):
    hmc = Hmc(TASK, decoder, "cpu", HmcSettings())
    blind = hmc.query(_flat(0)).draw(40, np.random.default_rng(3))
    np.testing.assert_array_equal(blind.images, hmc.prior(40, np.random.default_rng(3)).images)
    assert blind.sigma == np.inf


def test_missing_pyro_is_one_line_before_any_training(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyro", None)
    with pytest.raises(NogsError, match=r"nogs-bench\[hmc\]"):
        fit_completion("hmc", TASK, _greys(10))


def test_a_chain_s_states_come_in_random_order(monkeypatch):
    """Whoever takes the first few completions must not get one stretch of the chain."""
    pytest.importorskip("pyro")
    from nogs_bench.builders.completion import hmc as module

    chain = torch.arange(64.0)[:, None]
    monkeypatch.setattr(module, "_run_chain", lambda *arguments: chain)
    monkeypatch.setattr(module, "_chain_sample_size", lambda z: 8.0)

    class Kept:
        """A decoder that keeps the latent vectors it is asked for."""

        latent = 1

        def __call__(self, z):
            kept.append(z)
            return torch.zeros(len(z), 1, 6, 6)

    kept: list[torch.Tensor] = []
    _complete(Hmc(TASK, Kept(), "cpu"), _flat(30), count=64)
    order = torch.cat(kept)[:, 0]
    assert sorted(order.tolist()) == chain[:, 0].tolist()
    shuffled = order.numpy() - order.numpy().mean()
    assert abs((shuffled[1:] * shuffled[:-1]).mean() / shuffled.var()) < 0.3


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (ConditionalGanKind(), GanSettings(steps=3, width=4, learning_rate=1e30)),
        (HmcKind(), VaeSettings(steps=3, width=4, learning_rate=1e30)),
    ],
)
def test_a_network_that_diverges_is_one_line_and_no_file(kind, settings, tmp_path, monkeypatch):
    monkeypatch.setattr(type(kind), "settings", settings)
    bank = _greys(40)
    with pytest.raises(NogsError, match="diverged: its weights are not finite"):
        kind.make(tmp_path / "w", Fitting(TASK, bank, 0, "cpu", Here(bank.images)))
    assert not list(tmp_path.iterdir())
