"""FineGAN: the public checkpoint's names and shapes, and the network against its definition."""

import numpy as np
import pytest
import torch

from nogs_bench.builders.generators.finegan.generator import FineGan, read_finegan
from nogs_bench.builders.generators.finegan.network import FineGanNetwork, FineGanSizes
from nogs_bench.errors import NogsError
from tiny import corner_task


def public_table(gf=64, z=100, parents=20, children=200, residual=2):
    """Names and shapes of `netG_birds.pth`, as the module `G_NET` of its code lays them out."""
    table = {}

    def norm(name, n):
        for part in ("weight", "bias", "running_mean", "running_var"):
            table[f"{name}.{part}"] = (n,)

    def conv_norm(name, conv, before, after):
        table[f"{name}.{conv}.weight"] = (after, before, 3, 3)
        norm(f"{name}.{conv + 1}", after)

    for net, codes in (("h_net1_bg", children), ("h_net1", parents)):
        table[f"{net}.fc.0.weight"] = (gf * 16 * 4 * 4 * 2, z + codes)
        norm(f"{net}.fc.1", gf * 16 * 4 * 4 * 2)
        widths = [gf * 16, gf * 8, gf * 4, gf * 2, gf, gf]
        for step in range(1, 6):
            conv_norm(f"{net}.upsample{step}", 1, widths[step - 1], 2 * widths[step])
    for net, width, codes in (("h_net2", gf, parents), ("h_net3", gf // 2, children)):
        conv_norm(f"{net}.jointConv", 0, width + codes, 2 * width)
        for block in range(residual):
            conv_norm(f"{net}.residual.{block}.block", 0, width, 2 * width)
            conv_norm(f"{net}.residual.{block}.block", 3, width, width)
        conv_norm(f"{net}.samesample", 0, width, width)
    table["img_net1_bg.img.0.weight"] = (3, gf, 3, 3)
    for net, width in (("img_net2", gf // 2), ("img_net3", gf // 4)):
        table[f"{net}.img.0.weight"] = (3, width, 3, 3)
        table[f"{net}_mask.img.0.weight"] = (1, width, 3, 3)
    return table


SMALL = {"gf": 4, "z": 5, "parents": 2, "children": 6, "residual": 1}


def random_weights(table):
    stream = torch.Generator().manual_seed(0)
    weights = {name: torch.randn(shape, generator=stream) for name, shape in table.items()}
    for name, value in weights.items():
        if name.endswith("running_var"):
            value.abs_().add_(0.5)
        elif value.ndim > 1:
            value.div_(value[0].numel() ** 0.5)
    return weights


@pytest.fixture
def file(tmp_path):
    # As torch.nn.DataParallel saves it, without the counters that torch 0.4 did not write.
    path = tmp_path / "netG_birds.pth"
    weights = random_weights(public_table(**SMALL))
    torch.save({f"module.{name}": value for name, value in weights.items()}, path)
    return path


def test_full_size_network_has_the_public_names_and_shapes():
    with torch.device("meta"):
        network = FineGanNetwork(FineGanSizes())
    ours = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    counters = {name for name in ours if name.endswith("num_batches_tracked")}
    assert {name: ours[name] for name in set(ours) - counters} == public_table()


def test_sizes_are_read_off_the_checkpoint(file):
    assert read_finegan(file).sizes == FineGanSizes(4, 5, 2, 6, 1)


def correlate(x, weight):
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    views = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return np.einsum("nihwrc,oirc->nohw", views, weight)


def reference(weights, z, child, parents, children):
    """The image of the child stage, in numpy, straight from the layout's names."""
    w = {name: value.double().numpy() for name, value in weights.items()}

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    def norm(x, name):
        shape = (1, -1) + (1,) * (x.ndim - 2)
        mean, variance, scale, shift = (
            w[f"{name}.{part}"].reshape(shape)
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / np.sqrt(variance + 1e-5) * scale + shift

    def glu(x):
        half = x.shape[1] // 2
        return x[:, :half] * sigmoid(x[:, half:])

    def block(x, name, conv=0):
        return glu(norm(correlate(x, w[f"{name}.{conv}.weight"]), f"{name}.{conv + 1}"))

    def initial(net, code):
        x = np.concatenate([code, z], 1) @ w[f"{net}.fc.0.weight"].T
        x = glu(norm(x, f"{net}.fc.1")).reshape(len(z), -1, 4, 4)
        for step in range(1, 6):
            x = block(x.repeat(2, 2).repeat(2, 3), f"{net}.upsample{step}", 1)
        return x

    def following(net, x, code):
        spread = np.broadcast_to(code[:, :, None, None], (*code.shape, *x.shape[2:]))
        x = block(np.concatenate([spread, x], 1), f"{net}.jointConv")
        at = f"{net}.residual.0.block"
        inner = norm(correlate(block(x, at), w[f"{at}.3.weight"]), f"{at}.4")
        return block(x + inner, f"{net}.samesample")

    def layer(net, x):
        return np.tanh(correlate(x, w[f"{net}.img.0.weight"]))

    def mask(net, x):
        return sigmoid(correlate(x, w[f"{net}_mask.img.0.weight"]))

    child_code = np.eye(children)[child]
    parent_code = np.eye(parents)[child // (children // parents)]
    background = layer("img_net1_bg", initial("h_net1_bg", child_code))
    shape = following("h_net2", initial("h_net1", parent_code), parent_code)
    m = mask("img_net2", shape)
    parent = layer("img_net2", shape) * m + background * (1 - m)
    look = following("h_net3", shape, child_code)
    m = mask("img_net3", look)
    return layer("img_net3", look) * m + parent * (1 - m)


def test_network_equals_numpy(file):
    network = read_finegan(file)
    weights = random_weights(public_table(**SMALL))
    z, child = np.random.default_rng(1).normal(size=(2, 5)), np.array([1, 4])
    expected = reference(weights, z, child, parents=2, children=6)
    found = network(torch.from_numpy(z).float(), torch.from_numpy(child))
    assert expected.shape == (2, 3, 128, 128)
    assert expected.std() > 0.05
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_any_range_gives_the_same_images(file):
    generator = FineGan(file, corner_task(), "cpu")
    whole = generator.sample(3, 0, 18)
    assert whole.images.shape == (18, 1, 12, 12)
    assert (whole.labels == -1).all()
    np.testing.assert_array_equal(generator.sample(3, 15, 3).images, whole.images[15:])
    assert (generator.sample(4, 0, 18).images != whole.images).any()


def test_another_checkpoint_is_refused(tmp_path, file):
    torch.save({"layer.weight": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(NogsError, match="no checkpoint of FineGAN"):
        read_finegan(tmp_path / "other.pth")
    weights = torch.load(file, weights_only=True)
    weights["module.h_net3.samesample.0.weight"] = torch.zeros(2, 9, 3, 3)
    torch.save(weights, file)
    with pytest.raises(NogsError, match=r"h_net3.samesample.0.weight has shape \(2, 9, 3, 3\)"):
        read_finegan(file)
