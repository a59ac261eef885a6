"""A device that is not there: tensors that say they lie on `cuda:0` and are computed on the CPU.

As on a real one, tensors of two devices in one operation, a generator of the other device and
`numpy()` are errors. What would wait for the device is counted, and is an error in `no_waiting()`.
Where deterministic algorithms alone are wanted, what torch has none for on CUDA is an error.
Gradients and what `vmap` computes are not looked into.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

CUDA, CPU = torch.device("cuda:0"), torch.device("cpu")
WAITING = {
    "__bool__",
    "__float__",
    "__index__",
    "__int__",
    "allclose",
    "argwhere",
    "equal",
    "item",
    "masked_select",
    "nonzero",
    "tolist",
    "tensor",
    "unique",
    "unique_consecutive",
}
# What torch refuses on CUDA where deterministic algorithms alone are wanted: always, or if a
# gradient is to go through it.
UNDETERMINED = {"histc", "kthvalue", "median", "put_"}
UNDETERMINED_BACKWARD = {
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_with_indices",
    "grid_sample",
    "grid_sampler",
    "interpolate",
}
ANY_DEVICE = {
    "_has_compatible_shallow_copy_type",
    "copy_",
    "is_tensor",
    "can_cast",
    "result_type",
    "promote_types",
}


class Mixed(RuntimeError):
    """Two devices met."""


class Waits(RuntimeError):
    """Something waits for the device where nothing should."""


class Pretended(Tensor):
    """A tensor that says it lies on `cuda:0`."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _call(func, args, kwargs or {})


class Generator(torch.Generator):
    """A generator that remembers which device it was made for."""

    def __new__(cls, device: Any = "cpu") -> Generator:
        made = super().__new__(cls)
        made.claimed = torch.device(device)
        return made

    @property
    def device(self) -> torch.device:
        return CUDA if self.claimed.type == "cuda" else CPU


class Mode(TorchFunctionMode):
    """Sends every function of torch that this thread calls through `_call`."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _call(func, args, kwargs or {})


class Device:
    """What happens on the device, as a test sees it.

    - `waits`: how often something waited for it.
    - `saved`: how often the state of its random numbers was asked for.
    """

    def __init__(self) -> None:
        self.waits = self.saved = 0
        self.random = Generator("cuda")
        self._threads = threading.local()

    @contextmanager
    def no_waiting(self) -> Iterator[None]:
        """Whatever would wait for the device is an error meanwhile, as in a graph."""
        before, self._threads.strict = self.strict, True
        try:
            yield
        finally:
            self._threads.strict = before

    @property
    def strict(self) -> bool:
        return getattr(self._threads, "strict", False)

    def wait(self, what: str) -> None:
        self.waits += 1
        if self.strict:
            raise Waits(f"{what} waits for the device")

    def get_rng_state(self, device: Any = "cuda") -> Tensor:
        self.saved += 1
        return self.random.get_state()

    def set_rng_state(self, state: Tensor, device: Any = "cuda") -> None:
        self.random.set_state(state)


_device = Device()


@contextmanager
def pretended_device(monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    """`cuda:0` is there meanwhile, in this thread and those that begin."""
    global _device
    _device = device = Device()
    run = threading.Thread.run

    def run_pretending(self: threading.Thread) -> None:
        with Mode():
            run(self)

    def mapped(func: Any, *options: Any, **more: Any) -> Any:
        made = vmap(func, *options, **more)

        def call(*args: Any) -> Any:
            out = made(*tree_map(_plain, args))
            return tree_map(_pretend, out) if any(map(_ours, tree_leaves(args))) else out

        return call

    import nogs_bench.network.stacking as stacking

    vmap = stacking.vmap
    monkeypatch.setattr(stacking, "vmap", mapped)
    monkeypatch.setattr(threading.Thread, "run", run_pretending)
    monkeypatch.setattr(torch, "Generator", Generator)
    for name, value in {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "synchronize": lambda device=None: device_wait(device),
        "get_rng_state": device.get_rng_state,
        "set_rng_state": device.set_rng_state,
        "manual_seed": lambda seed: device.random.manual_seed(seed),
        "device": lambda device: nullcontext(),
        "get_device_name": lambda device=None: "a pretended device",
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    for kind in ("accelerator", "cuda"):  # as newer and older versions of torch call it
        name = f"_{kind}_graph_capture_health_check"
        monkeypatch.setattr(torch.optim.Optimizer, name, lambda self: None, raising=False)
    monkeypatch.setenv("NOGS_CUDA_GRAPHS", "0")
    overwrite = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        with Mode():
            yield device
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(overwrite)


def device_wait(device: Any = None) -> None:
    _device.wait("synchronize")


def _ours(x: Any) -> bool:
    return isinstance(x, Pretended)


def _pretend(x: Any) -> Any:
    """A tensor as one of the device."""
    return x.as_subclass(Pretended) if type(x) is Tensor else x


def _plain(x: Any) -> Any:
    """A tensor as one of the CPU."""
    if not isinstance(x, Pretended):
        return x
    with torch._C.DisableTorchFunctionSubclass():
        return x.as_subclass(Tensor)


def _call(func: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    """A function of torch, as the device's driver would answer."""
    name = getattr(func, "__name__", "")
    attribute = getattr(getattr(func, "__self__", None), "__name__", "")
    leaves = tree_leaves((args, kwargs))
    tensors = [x for x in leaves if isinstance(x, Tensor)]
    ours = any(map(_ours, tensors))
    with torch._C.DisableTorchFunctionSubclass():
        if any(map(torch._C._functorch.is_functorch_wrapped_tensor, tensors)):
            return func(*tree_map(_plain, args), **tree_map(_plain, kwargs))
        if name in OWN:
            return OWN[name](func, *args, **kwargs)
        if name == "__get__" and ours and attribute in ATTRIBUTES:
            return ATTRIBUTES[attribute]
        claimed = kwargs.get("device")
        there = ours if claimed is None else torch.device(claimed).type == "cuda"
        if not ours and not there:
            generator = kwargs.get("generator")
            if generator is not None and generator.device.type == "cuda":
                raise Mixed(f"{name}: a generator of cuda:0 for a tensor of the CPU")
            return func(*args, **kwargs)
        _check(name, args, leaves, tensors)
        if torch.are_deterministic_algorithms_enabled():
            _check_determined(name, kwargs, tensors)
        if claimed is not None:
            kwargs = kwargs | {"device": CPU}
        found = func(*args, **kwargs)
        if name in ("__set__", "backward") or (claimed is not None and not there):
            return found
        return found if isinstance(found, torch.Size) else tree_map(_pretend, found)


def _check(name: str, args: Any, leaves: list[Any], tensors: list[Tensor]) -> None:
    if name in ("numpy", "__array__"):
        raise TypeError("can't convert cuda:0 device type tensor to numpy; copy it to the CPU")
    if name in WAITING:
        _device.wait(name)
    if name == "repeat_interleave" and len(tensors) > 1:
        _device.wait(name)  # how long its result is
    if name in ("__getitem__", "__setitem__"):
        key = args[1] if isinstance(args[1], tuple) else (args[1],)
        if any(isinstance(k, list) or getattr(k, "dtype", None) == torch.bool for k in key):
            _device.wait("such an index")
    if name == "where" and not all(isinstance(x, Tensor) for x in (None, None, *args)[-2:]):
        _device.wait("where")  # it counts, or copies a number to the device
    for x in leaves:
        if isinstance(x, torch.Generator) and x.device.type != "cuda":
            raise Mixed(f"{name}: a generator of the CPU for a tensor of cuda:0")
    if name not in ANY_DEVICE and name != "__set__":
        for x in tensors:
            if not _ours(x) and x.dim():
                raise Mixed(f"{name}: tensors on two devices, cuda:0 and cpu {tuple(x.shape)}")
    if name == "copy_" and len({*map(_ours, tensors)}) > 1:
        _device.wait("copying between the devices")


def _check_determined(name: str, kwargs: Any, tensors: list[Tensor]) -> None:
    learned = torch.is_grad_enabled() and any(x.requires_grad for x in tensors)
    if name == "interpolate" and kwargs.get("mode", "nearest") == "nearest":
        return
    weighted = name == "bincount" and any(x.is_floating_point() for x in tensors)
    if name in UNDETERMINED or weighted or (learned and name in UNDETERMINED_BACKWARD):
        raise RuntimeError(f"{name}_cuda does not have a deterministic implementation, but you set")


def _to(func: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """`Tensor.to` between devices."""
    target, others = kwargs.pop("device", None), []
    for value in args:
        if isinstance(value, str | torch.device):
            target = torch.device(value)
        elif isinstance(value, Tensor):
            target = CUDA if _ours(value) else CPU
            others.append(value.dtype)
        elif isinstance(value, torch.dtype):
            others.append(value)
    goes = _ours(x) if target is None else torch.device(target).type == "cuda"
    if goes == _ours(x):
        found = func(x, *others, **kwargs)
        return _pretend(found) if goes else found
    if not (kwargs.get("non_blocking") and goes):
        _device.wait("copying between the devices")
    moved = func(x, *others, **(kwargs | {"copy": True}))
    return moved.as_subclass(Pretended if goes else Tensor)


def _deep_copy(func: Any, x: Tensor, memo: dict[int, Any]) -> Tensor:
    if not _ours(x):
        return func(x, memo)
    if id(x) not in memo:
        copy = x.detach().clone().as_subclass(Pretended).requires_grad_(x.requires_grad)
        if getattr(x, "_is_param", False):
            copy._is_param = True
        memo[id(x)] = copy
    return memo[id(x)]


def _pin(func: Any, x: Tensor, *args: Any) -> Tensor:
    return x.clone()


OWN: dict[str, Callable[..., Any]] = {
    "to": _to,
    "cpu": lambda func, x: _to(Tensor.to, x, CPU),
    "cuda": lambda func, x, *args: _to(Tensor.to, x, CUDA),
    "__deepcopy__": _deep_copy,
    "pin_memory": _pin,
}
ATTRIBUTES = {"device": CUDA, "is_cuda": True, "is_cpu": False}


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    """The pretended device, for a test."""
    with pretended_device(monkeypatch) as there:
        yield there
