"""Principal components against numpy's SVD."""

import numpy as np
import pytest

from blobs import blobs
from nogs_bench.builders.completion import pca as module
from nogs_bench.builders.completion.pca import Pca, fit_pca
from tiny import corner_images


def test_pca_is_the_svds():
    images = corner_images(0, 300).images
    pca = fit_pca(images, 10)
    flat = images.reshape(300, -1) / 255
    centred = flat - flat.mean(0)
    values = np.linalg.svd(centred, full_matrices=False)[1]
    np.testing.assert_allclose((pca.latents**2).sum(0), values[:10] ** 2, rtol=1e-3)
    np.testing.assert_allclose(pca.basis @ pca.basis.T, np.eye(10), atol=1e-5)
    assert pca.explained == pytest.approx((values[:10] ** 2).sum() / (values**2).sum(), rel=1e-4)
    whole = fit_pca(images, images[0].size)
    np.testing.assert_allclose(whole.reconstruct(images[3]), flat[3], atol=1e-3)


def test_iteration_finds_the_covariances_components():
    images = blobs(400)
    exact, iterated = fit_pca(images, 12, exact=True), fit_pca(images, 12, exact=False)
    assert iterated.explained == pytest.approx(float(exact.explained), rel=1e-3)
    # Cosines of the angles between the two subspaces.
    assert np.linalg.svd(exact.basis @ iterated.basis.T)[1].min() > 0.99
    np.testing.assert_allclose(iterated.basis @ iterated.basis.T, np.eye(12), atol=1e-4)
    np.testing.assert_allclose(exact.mean, iterated.mean, atol=1e-5)


class _Counting(np.ndarray):
    """An array that notes the most rows anyone has copied out of it at once."""

    most = 0

    def astype(self, *args, **kwargs):
        if self.ndim:
            _Counting.most = max(_Counting.most, len(self))
        return np.asarray(self).astype(*args, **kwargs)


@pytest.mark.parametrize("exact", [True, False])
def test_fitting_holds_one_batch_of_images(monkeypatch, exact):
    images = blobs(200)
    whole = fit_pca(images, 5, exact=exact)
    monkeypatch.setattr(module, "BATCH_PIXELS", 7 * images[0].size)
    _Counting.most = 0
    streamed = fit_pca(images.view(_Counting), 5, exact=exact)
    assert _Counting.most == 7
    np.testing.assert_allclose(streamed.latents, whole.latents, atol=1e-3)


def test_half_precision_states_its_error(tmp_path):
    images = blobs(300)
    single, half = fit_pca(images, 8), fit_pca(images, 8, latents=np.float16)
    assert single.rounding == 0
    assert half.latents.dtype == np.float16
    pixels = (single.latents - half.latents.astype(np.float32)) @ single.basis
    assert half.rounding == pytest.approx(np.sqrt((pixels**2).mean()), rel=1e-3)
    assert 0 < half.rounding < 1e-3
    half.save(tmp_path / "pca.safetensors")
    again = Pca.load(tmp_path / "pca.safetensors")
    for name, array in vars(half).items():
        np.testing.assert_array_equal(getattr(again, name), array)
