"""The transformer over glimpses, beside timm's own over the whole image."""

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from nogs_bench.builders.posterior.glimpse_networks import make_glimpse_network
from nogs_bench.errors import NogsError
from nogs_bench.tasks.geometry import GlimpseGrid


def _images(n: int, size: int) -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.integers(256, size=(n, 3, size, size)).astype(np.uint8))


def test_all_patches_are_the_whole_image(tmp_path):
    """In any order; 10 x 10 patches of 16 pixels are what timm's own test_vit sees."""
    torch.manual_seed(0)
    theirs = timm.create_model("test_vit", num_classes=7).eval()
    torch.nn.init.normal_(theirs.pos_embed)
    torch.nn.init.normal_(theirs.head.weight)
    path = tmp_path / "weights.safetensors"
    save_file(theirs.state_dict(), path)
    mine = make_glimpse_network(f"tokens:test_vit@{path}", GlimpseGrid.even(160, 16, 16), 3, 7)
    mine.backbone.head = theirs.head
    mine.eval()
    images = _images(2, 160)
    order = torch.from_numpy(np.random.default_rng(1).permutation(100))
    with torch.inference_mode():
        expected = theirs((images.float() / 255 - 0.5) / 0.5)
        found = mine(images, order.expand(2, -1))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_a_glimpse_may_be_several_patches():
    """Four glimpses of 80 pixels, each 5 x 5 patches, are the whole image too."""
    torch.manual_seed(0)
    large = make_glimpse_network("tokens:test_vit", GlimpseGrid.even(160, 80, 80), 3, 7).eval()
    small = make_glimpse_network("tokens:test_vit", GlimpseGrid.even(160, 16, 16), 3, 7).eval()
    small.load_state_dict(large.state_dict())
    images = _images(2, 160)
    with torch.inference_mode():
        one = large(images, torch.arange(4).expand(2, -1))
        other = small(images, torch.arange(100).expand(2, -1))
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_where_a_glimpse_was_matters():
    grid = GlimpseGrid.even(48, 8, 4)
    network = make_glimpse_network("tokens:test_vit", grid, 3, 5).eval()
    torch.nn.init.normal_(network.backbone.pos_embed)
    flat = torch.full((1, 3, 48, 48), 99, dtype=torch.uint8)
    assert not torch.allclose(
        network(flat, torch.tensor([[0]])), network(flat, torch.tensor([[1]]))
    )


@pytest.mark.parametrize("name", ["test_resnet", "vit_medium_patch16_gap_256"])
def test_other_backbones_are_refused(name):
    with pytest.raises(NogsError, match="class token"):
        make_glimpse_network(f"tokens:{name}", GlimpseGrid.even(48, 8, 4), 3, 5)
