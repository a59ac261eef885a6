"""What docs/own-model.md promises is checked before anything is trained."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from corner_task import CORNER, Corners
from nogs_bench.errors import NogsError
from nogs_bench.network import HardAttentionNet, load_model, why_not
from nogs_bench.network.contract import check_model, embeds
from nogs_bench.network.fovea import Fovea, follow, fovea_of
from nogs_bench.network.model import ModelSource, location_parameters
from nogs_bench.tasks import Task


class HelpsItself(HardAttentionNet):
    def classify(self, state: Tensor) -> Tensor:
        return super().classify(state - state.mean(0))


class LooksTogether(HardAttentionNet):
    def look(self, state: Tensor, patch: Tensor, location: Tensor) -> Tensor:
        return super().look(state, patch - patch.mean(0), location)


class LocatesTogether(HardAttentionNet):
    def locate(self, state: Tensor) -> Tensor:
        return super().locate(state / state.norm())


class Remembers(HardAttentionNet):
    """`locate` of what was seen last, whatever the state."""

    def look(self, state: Tensor, patch: Tensor, location: Tensor) -> Tensor:
        self.seen = super().look(state, patch, location)
        return self.seen

    def locate(self, state: Tensor) -> Tensor:
        return super().locate(self.seen)


class Rolls(HardAttentionNet):
    def locate(self, state: Tensor) -> Tensor:
        return super().locate(state) + torch.rand(len(state), 1)


class Integers(HardAttentionNet):
    def classify(self, state: Tensor) -> Tensor:
        return super().classify(state).argsort(1)


class Halves(HardAttentionNet):
    def start(self, n: int) -> Tensor:
        return super().start(n).bfloat16()


class SaysMore(HardAttentionNet):
    def get_extra_state(self) -> dict[str, int]:
        return {"calls": 3}

    def set_extra_state(self, state: object) -> None: ...


class Locked(HardAttentionNet):
    def __init__(self, task: Task):
        super().__init__(task)
        self.lock = threading.Lock()


class Huge(HardAttentionNet):
    def classify(self, state: Tensor) -> Tensor:
        return super().classify(state) * 1e30


class NotANumber(HardAttentionNet):
    def locate(self, state: Tensor) -> Tensor:
        return super().locate(state) * float("nan")


class NoGradient(HardAttentionNet):
    def locate(self, state: Tensor) -> Tensor:
        with torch.no_grad():
            return super().locate(state)


class HalfChanged(HardAttentionNet):
    """Says that look is step of embed, and it is not."""

    def look(self, state: Tensor, patch: Tensor, location: Tensor) -> Tensor:
        return super().look(state, patch * 2, location)

    def embed(self, patch: Tensor, location: Tensor) -> Tensor:
        return super().embed(patch, location)

    def step(self, state: Tensor, embedding: Tensor) -> Tensor:
        return super().step(state, embedding * 3)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (HelpsItself, r"classify\(state\) gives an image something else when another image"),
        (LooksTogether, r"look\(.*\) gives an image something else when another image"),
        (LocatesTogether, r"locate\(state\) gives an image something else when another image"),
        (Remembers, r"locate\(state\) gives"),
        (Rolls, r"locate\(state\) gives"),
        (Integers, r"classify\(state\) must return floats, got torch\.int64"),
        (Halves, r"start\(n\) must return float32, got torch\.bfloat16"),
        (SaysMore, "keeps a state beside parameters and buffers"),
        (Locked, r"cannot be copied \(deepcopy\): TypeError"),
        (Huge, r"classify\(state\) returned a logit of size .*e\+"),
        (NotANumber, r"locate\(state\) returned a logit of size nan"),
        (NoGradient, r"locate\(state\) gets no gradient"),
        (HalfChanged, r"look\(.*\) is not step\(state, embed"),
    ],
)
def test_what_breaks_the_contract_is_refused(kind: type[nn.Module], message: str) -> None:
    torch.manual_seed(0)
    with pytest.raises(NogsError, match=f"model {kind.__name__}:? {message}") as caught:
        check_model(kind(CORNER), CORNER)
    assert "\n" not in str(caught.value)


class Doubles(HardAttentionNet):
    """Another `look`; `embed` and `step` are inherited, and not its own."""

    def look(self, state: Tensor, patch: Tensor, location: Tensor) -> Tensor:
        return super().look(state, 1 - patch, location)


def test_a_subclass_s_own_look_is_what_is_trained() -> None:
    model = Doubles(CORNER).eval()
    check_model(model, CORNER)
    assert embeds(HardAttentionNet(CORNER))
    assert not embeds(model)
    rows = Corners().load("train")
    images = torch.from_numpy(rows.images)
    from nogs_bench.network import ImageTensors

    fovea: Fovea = fovea_of(CORNER, ImageTensors(images, torch.from_numpy(rows.labels[:, 0]), None))
    numbers, cells = torch.arange(5), torch.tensor([[0, 1, 2, 3, 4], [8, 7, 6, 5, 4]])
    state = model.start(5)
    for at in cells:
        state = model.look(state, *fovea(numbers, at))
    torch.testing.assert_close(follow(model, fovea, numbers, cells), model.classify(state))


class Frozen(HardAttentionNet):
    def __init__(self, task: Task):
        super().__init__(task)
        self.glimpse.requires_grad_(False)


@pytest.mark.parametrize("protocol", ["scratch", "pretrained"])
@pytest.mark.parametrize("together", [1, 2])
def test_what_a_model_froze_stays_frozen(protocol: str, together: int, tmp_path: Path) -> None:
    import nogs_bench
    from nogs_bench.files import load_checkpoint  # noqa: F401
    from nogs_bench.network import MODELS

    kept: dict[str, Callable[[Task], nn.Module]] = dict(MODELS._entries)
    made: list[nn.Module] = []

    def make(task: Task) -> nn.Module:
        made.append(Frozen(task))
        return made[-1]

    MODELS._entries["frozen"] = make
    try:
        nogs_bench.evaluate(
            "frozen",
            CORNER,
            methods="ram",
            seeds=2,
            protocol=protocol,
            together=together,
            out=tmp_path,
            device="cpu",
            workers=1,
        )
    finally:
        MODELS._entries.clear()
        MODELS._entries.update(kept)
    from safetensors.torch import load_file

    from nogs_bench.randomness import derive

    files = sorted(tmp_path.glob("*.safetensors"))
    assert len(files) == 2
    for seed, file in enumerate(files):
        fresh = ModelSource("frozen", "0" * 64, Frozen).build(CORNER, derive(seed, "model"))
        trained = load_file(file)
        moved = [
            name
            for name, value in fresh.state_dict().items()
            if not torch.equal(next(v for k, v in trained.items() if k.endswith(name)), value)
        ]
        assert moved
        assert not [name for name in moved if name.startswith("glimpse.")]


def test_finding_the_location_network_leaves_frozen_what_was() -> None:
    model = Frozen(CORNER)
    assert location_parameters(model, CORNER) == {
        f"locator.{layer}.{kind}" for layer in (0, 2) for kind in ("weight", "bias")
    }
    assert not any(parameter.requires_grad for parameter in model.glimpse.parameters())
    assert all(parameter.requires_grad for parameter in model.core.parameters())


@pytest.mark.parametrize(
    "raised",
    ["KeyError('x')", "ZeroDivisionError", "NotImplementedError('two\\nlines')", "SystemError"],
)
def test_whatever_a_constructor_raises_is_one_line_with_its_place(
    raised: str, tmp_path: Path
) -> None:
    file = tmp_path / "net.py"
    file.write_text(f"class Net:\n    def __init__(self, task):\n        raise {raised}\n")
    source = load_model(f"{file}:Net")
    with pytest.raises(NogsError, match=r"model Net could not be made: .*net\.py, line 3\)") as e:
        source.build(CORNER, 0)
    assert "\n" not in str(e.value)


def test_scratch_lets_locate_learn_through_the_state_alone_where_the_task_does() -> None:
    class StateIsTheMap(HardAttentionNet):
        def locate(self, state: Tensor) -> Tensor:
            return state[:, :1].expand(-1, CORNER.grid.cells) * 1.0

    through = replace(CORNER, training=replace(CORNER.training, location_gradient=True))
    check_model(StateIsTheMap(through), through)
    with pytest.raises(NogsError, match="gets no gradient"):
        check_model(StateIsTheMap(CORNER), CORNER)


class Numbered(HardAttentionNet):
    """With a parameter of integers, which nothing trains."""

    def __init__(self, task: Task):
        super().__init__(task)
        self.order = nn.Parameter(torch.arange(4), requires_grad=False)


def test_parameters_that_are_not_numbers_to_learn_are_left_alone() -> None:
    check_model(Numbered(CORNER), CORNER)
    assert why_not(lambda seed: Numbered(CORNER), CORNER) is None
