"""What a model must keep to, tried on a few random glimpses before anything is trained."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from nogs_bench.errors import NogsError, place_of
from nogs_bench.tasks import Task

METHODS = {
    "start": "start(n)",
    "look": "look(state, patch, location)",
    "locate": "locate(state)",
    "classify": "classify(state)",
}
STATES = ("start", "look", "step")  # return a state, which the baseline reads too
LARGEST = 1e6  # of a logit; beyond it a cross-entropy means nothing
N = 2


def check_model(model: object, task: Task, name: str = "") -> None:
    """Raise `NogsError`, in one line, unless `model` keeps the contract of `GlimpseModel`.

    It is an `nn.Module` with the four methods, shapes and types; in eval mode what it says of an
    image depends on that image's state and glimpse alone, not on others in the batch or on earlier
    calls; logits are finite; `locate` can learn; `look` is `step` of `embed`, where it has them.
    """
    name = name or type(model).__name__
    if not isinstance(model, nn.Module):
        raise NogsError(f"model {name} is a {type(model).__name__}; it must be a torch nn.Module")
    missing = [part for part in METHODS if not callable(getattr(model, part, None))]
    if missing:
        wanted = ", ".join(METHODS.values())
        raise NogsError(f"model {name} has no method {missing[0]}; it needs {wanted}")
    if any(not isinstance(value, Tensor) for value in model.state_dict().values()):
        raise NogsError(
            f"model {name} keeps a state beside parameters and buffers (get_extra_state), which "
            "weights and checkpoints leave out; make it a buffer"
        )
    try:
        copy.deepcopy(model)
    except Exception as error:
        raise NogsError(f"model {name} cannot be copied (deepcopy){place_of(error)}") from error
    trial, training = _Trial(model, task, name), model.training
    model.eval()
    with torch.no_grad():
        state = trial.check_shapes()
        trial.check_independence()
        trial.check_embedding()
    if not reached(model, "locate", state, task.training.location_gradient):
        raise NogsError(
            f"model {name}: {METHODS['locate']} gets no gradient, so nothing would learn where "
            "to look; compute its logits from parameters, without detach, argmax or no_grad"
        )
    model.train(training)


def embeds(model: object) -> bool:
    """Whether the model's `embed` and `step` are its `look` in two parts.

    Not if a subclass has another `look` and inherits the parts.
    """
    if not all(callable(getattr(model, part, None)) for part in ("embed", "step")):
        return False
    if "embed" in vars(model):
        return True

    def depth(part: str) -> int:
        order = type(model).__mro__
        return next((at for at, kind in enumerate(order) if part in vars(kind)), len(order))

    return depth("look") >= min(depth("embed"), depth("step"))


def reached(model: nn.Module, method: str, state: Tensor, through_state: bool = False) -> set[str]:
    """Names of the parameters that `method` of a detached `state` depends on, frozen or not.

    With `through_state`, "state" is among them if it depends on that.
    """
    state = state.detach().clone().requires_grad_(through_state)
    named = {name: p for name, p in model.named_parameters() if p.is_floating_point()}
    frozen = [parameter for parameter in named.values() if not parameter.requires_grad]
    try:
        for parameter in frozen:
            parameter.requires_grad_()
        with torch.enable_grad():
            logits = getattr(model, method)(state)
        if not logits.requires_grad:
            return set()
        sought = named | ({"state": state} if through_state else {})
        gradients = torch.autograd.grad(logits.sum(), list(sought.values()), allow_unused=True)
        pairs = zip(sought, gradients, strict=True)
        return {name for name, gradient in pairs if gradient is not None}
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)


def _same(first: Tensor, second: Tensor) -> bool:
    """Up to the rounding of sums."""
    return torch.allclose(first, second, rtol=1e-3, atol=1e-4)


class _Trial:
    """Calls of a model with random glimpses, and what must hold of them."""

    def __init__(self, model: nn.Module, task: Task, name: str):
        self.model, self.task, self.name = model, task, name
        size = task.grid.glimpse_size
        generator = torch.Generator().manual_seed(0)

        def draw(*shape: int) -> Tensor:
            return torch.rand(N, *shape, generator=generator)

        self.glimpses = [(draw(task.channels, size, size), draw(2) * 2 - 1) for _ in range(2)]

    def check_shapes(self) -> Tensor:
        """Shapes, types and sizes of all that it gives; returns a state after a glimpse."""
        task = self.task
        state = self.call("start", N)
        after = self.call("look", state, *self.glimpses[0])
        if after.shape != state.shape:
            raise self.wrong(
                "look",
                f"returned a state of shape {tuple(after.shape)}, start one of "
                f"{tuple(state.shape)}; they must agree",
            )
        for method, size in (("locate", task.grid.cells), ("classify", len(task.classes))):
            logits = self.call(method, after)
            if tuple(logits.shape) != (N, size):
                raise self.wrong(
                    method,
                    f"must return logits ({N}, {size}) for {N} images, got {tuple(logits.shape)}",
                )
            if not torch.isfinite(logits).all() or logits.abs().max() > LARGEST:
                largest = float(logits.abs().max())
                raise self.wrong(
                    method, f"returned a logit of size {largest:g}; more than {LARGEST:g} is none"
                )
        return after

    def check_independence(self) -> None:
        """Whether each image's outcome is its own, and the same whenever it is asked for."""
        (patch, location), (other, elsewhere) = self.glimpses
        state = self.call("look", self.call("start", N), patch, location)
        mixed = [torch.cat([a[:1], b[1:]]) for a, b in ((patch, other), (location, elsewhere))]
        beside = self.call("look", self.call("start", N), *mixed)
        again = self.call("look", self.call("start", N), patch, location)
        swapped = torch.cat([state[:1], beside[1:]])
        for method, first, second in (
            ("look", state, beside),
            ("locate", self.call("locate", state), self.call("locate", swapped)),
            ("classify", self.call("classify", state), self.call("classify", swapped)),
        ):
            if not _same(first[0], second[0]):
                raise self.wrong(
                    method,
                    "gives an image something else when another image beside it in the batch "
                    "changes; each must be computed by itself",
                )
        before = {m: self.call(m, state) for m in ("locate", "classify")}
        self.call("look", beside, other, elsewhere)
        after = {m: self.call(m, state) for m in ("locate", "classify")}
        for method, first, second in (
            ("look", state, again),
            *((m, before[m], after[m]) for m in before),
        ):
            if not _same(first, second):
                raise self.wrong(
                    method,
                    "gives something else for the same state when it is called again; it must "
                    "depend on its arguments alone",
                )

    def check_embedding(self) -> None:
        if not embeds(self.model):
            return
        (patch, location), (other, elsewhere) = self.glimpses
        state = self.call("look", self.call("start", N), other, elsewhere)
        parts = self.call("step", state, self.call("embed", patch, location))
        if not _same(self.call("look", state, patch, location), parts):
            raise self.wrong("look", "is not step(state, embed(patch, location)), which it has too")

    def call(self, method: str, *arguments: object) -> Tensor:
        try:
            out = getattr(self.model, method)(*arguments)
        except Exception as error:
            raise self.wrong(method, f"failed{place_of(error)}") from error
        if not isinstance(out, torch.Tensor) or not out.dim() or len(out) != N:
            what = tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
            raise self.wrong(
                method, f"must return a tensor whose first dimension is n = {N}, got {what}"
            )
        of_state = method in STATES
        if out.dtype != torch.float32 if of_state else not out.is_floating_point():
            kind = "float32" if of_state else "floats"
            raise self.wrong(method, f"must return {kind}, got {out.dtype}")
        return out

    def wrong(self, method: str, what: str) -> NogsError:
        return NogsError(f"model {self.name}: {METHODS.get(method, method)} {what}")
