"""What a way of training is, and how one is named, found and changed in its settings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, get_args

from torch import Tensor

from nogs_bench.errors import NogsError
from nogs_bench.methods.losses import label_at_each_step, partially_supervised
from nogs_bench.methods.rows import NEEDS, Rows
from nogs_bench.own_code import load_object, own_files, source_digest
from nogs_bench.registry import Registry
from nogs_bench.results import Teaching, number_name

# In the order in which a result says them.
TEACHINGS: tuple[Teaching, ...] = get_args(Teaching)


def constant(iteration: int, iterations: int) -> float:
    """Supervision as strong at the end as at the start."""
    return 1.0


def fading(iteration: int, iterations: int) -> float:
    """From 1 at the start linearly to 0 half-way, and 0 from there on."""
    return max(0.0, 1 - 2 * iteration / iterations)


@dataclass(frozen=True)
class Method:
    """One way of training a hard-attention network.

    **Arguments**

    - `name`: what `--methods` and results call it.
    - `description`: one line.
    - `reference`: where it is from.
    - `sequences`: which glimpse sequences supervise the location network: NAME or NAME:ARGUMENT of
      `nogs_bench.training.supervision.SEQUENCES`; None means none.
    - `schedule`: a function of (iteration from 0, iterations of the run). It gives a factor, at
      least 0, of the task's supervision weight. Where it is 0, images with a sequence train like
      all others.
    - `pretraining_glimpses`: where pre-training looks: a name in `nogs_bench.training.GLIMPSES`.
      None: what the protocol says (`Pretraining.glimpses`).
    - `needs_pretraining`: whether the method would be the same as another without pre-training.
      Protocols without it then refuse the method.
    - `objective`: a pure function of `Rows`, and of the method's `settings` by name. It gives the
      loss: a scalar of one run, or float (R,) of R runs. No run may depend on another's rows. It
      must not wait for the device: no `.item()`, no branch on a tensor.
    - `needs`: which further fields of `Rows` the objective uses: names in
      `nogs_bench.methods.NEEDS`. The others are not computed.
    - `settings`: numbers that the objective takes as keyword arguments.
    - `each_step`: weight of the label's cross-entropy after every glimpse (mean over t), added to
      the objective. 0 leaves it out.
    - `passes`: steps of the optimiser for each batch, all at the glimpses of the first.
    - `rate`: factor of the protocol's learning rate, unless the caller gives a learning rate.
    - `teaching`: what teaches beside the label after the last glimpse: names in `TEACHINGS`. None:
      what follows from the other arguments.

    Raises `NogsError` if these do not fit each other.
    """

    name: str
    description: str
    reference: str
    sequences: str | None = None
    schedule: Callable[[int, int], float] = constant
    pretraining_glimpses: str | None = None
    needs_pretraining: bool = False
    objective: Callable[..., Tensor] = partially_supervised
    needs: frozenset[str] | set[str] = frozenset()
    settings: Mapping[str, float] = field(default_factory=dict)
    each_step: float = 0.0
    passes: int = 1
    rate: float = 1.0
    teaching: tuple[Teaching, ...] | None = None

    def __post_init__(self) -> None:
        needs = frozenset(self.needs)
        object.__setattr__(self, "needs", needs | ({"beliefs"} if self.each_step else set()))
        if unknown := sorted(needs - NEEDS.keys()):
            raise NogsError(
                f"method {self.name} needs {unknown[0]!r}; there are {', '.join(NEEDS)}"
            )
        if needs & OF_SEQUENCES and self.sequences != "near-optimal":
            raise NogsError(
                f"method {self.name} needs {min(needs & OF_SEQUENCES)}, which the images with near-"
                "optimal sequences have: give it sequences='near-optimal'"
            )
        if not float(self.passes).is_integer() or self.passes < 1 or not self.rate > 0:
            raise NogsError(f"method {self.name}: passes must be at least 1, rate more than 0")
        object.__setattr__(self, "passes", int(self.passes))
        try:
            inspect.signature(self.objective).bind(None, **self.settings)
        except (TypeError, ValueError) as error:
            raise NogsError(
                f"method {self.name}: its objective is called with Rows and "
                f"{', '.join(self.settings) or 'nothing else'}: {error}"
            ) from error
        if self.teaching is None:
            object.__setattr__(self, "teaching", self._teaching())

    @property
    def supervised(self) -> bool:
        """Whether any image supervises the location network."""
        return self.sequences is not None

    @property
    def options(self) -> dict[str, float]:
        """All settings that `NAME:SETTING=NUMBER` changes, with their values."""
        return {**self.settings, **{name: getattr(self, name) for name in OPTIONS}}

    def loss(self, rows: Rows) -> Tensor:
        """float ([R]): what a step makes less."""
        loss = self.objective(rows, **self.settings)
        return loss + self.each_step * label_at_each_step(rows) if self.each_step else loss

    def alike(self, other: Method) -> bool:
        """Whether one call of `loss` does for both."""
        return _computed(self) == _computed(other)

    def changed(self, options: Mapping[str, float]) -> Method:
        """The method with other settings, and a name that says which.

        `options`: settings of the objective, or `each_step`, `passes`, `rate`. Raises `NogsError`
        at any other.
        """
        fields: dict[str, Any] = {}
        settings = dict(self.settings)
        for name, value in options.items():
            if name in settings:
                settings[name] = value
            elif name in OPTIONS:
                fields[name] = (
                    int(value) if name == "passes" and float(value).is_integer() else value
                )
            else:
                known = ", ".join((*settings, *OPTIONS))
                raise NogsError(f"method {self.name} has no setting {name!r}; it has {known}")
        named = "".join(f"+{name}-{number_name(value)}" for name, value in options.items())
        # What teaches may follow from the settings.
        own = self.teaching if self.teaching != self._teaching() else None
        return replace(self, name=self.name + named, settings=settings, teaching=own, **fields)

    def _teaching(self) -> tuple[Teaching, ...]:
        said: dict[Teaching, bool] = {
            "labels": bool(self.each_step),
            "sequences": self.supervised,
            "maps": "maps" in self.needs,
            "beliefs": bool(self.needs & {"posterior", "sequence_posterior"}),
        }
        return tuple(name for name in TEACHINGS if said[name])


# How a changed method is called: `Method.changed`.
_CHANGE = re.compile(r"\+([a-z_]+)-(-?[\d.]+(?:e[-+]?\d+)?)")
_CHANGED = re.compile(rf"([^:]+?)((?:{_CHANGE.pattern})+)")
OF_SEQUENCES = frozenset({"sequence_posterior", "maps"})
OPTIONS = ("each_step", "passes", "rate")


def _computed(method: Method) -> tuple[Any, ...]:
    settings = tuple(sorted(method.settings.items()))
    return method.objective, settings, method.needs, method.each_step, method.passes


METHODS: Registry[Method] = Registry("method", group="nogs_bench.methods")


def register_method(method: Method) -> Method:
    """Make `method` known by its name. Returns it."""
    return METHODS.add(method.name, method)


def place_of(name: str) -> tuple[int, str]:
    """What to sort methods' names by: the registry's order, and then others by name."""
    names = METHODS.names()
    return (names.index(name) if name in names else len(names)), name


def find_method(spec: str) -> Method:
    """The method that `spec` names: NAME or FILE.py:NAME, then any number of :SETTING=NUMBER.

    For example `ram`, `ram-taught:weight=20:each_step=1`, `my_method.py:METHOD`. What results call
    a changed method, `ram-taught+weight-20+each_step-1`, is understood too. Raises `NogsError` if
    there is no such method or setting, or a file's method has a registered one's name.
    """
    head, told = _told(spec)
    if ":" in head:
        method = load_object(head, "method")
        if not isinstance(method, Method):
            raise NogsError(f"{head} is a {type(method).__name__}, not a nogs_bench.Method")
        if method.name in METHODS.names():
            raise NogsError(f"{head} is called {method.name!r}, as a registered method; rename it")
    else:
        method = METHODS[head]
    options = {}
    for text in told:
        name, _, value = text.partition("=")
        try:
            options[name] = float(value)
        except ValueError as error:
            raise NogsError(f"method {spec}: {text} is not SETTING=NUMBER") from error
    return method.changed(options) if options else method


def unchanged(spec: str) -> str:
    """What `spec` names without the settings that it changes: NAME or FILE.py:NAME."""
    return _told(spec)[0]


def recorded_method(name: str) -> Method | None:
    """The registered method, or a changed one, that a result names; None of any other."""
    try:
        return None if ":" in name else find_method(name)
    except NogsError:
        return None


def named_settings(name: str) -> dict[str, float]:
    """The settings that the name of a changed method says: `{"rate": 2.0}` of ps-nogs+rate-2."""
    changed = _CHANGED.fullmatch(name)
    told = _CHANGE.findall(changed[2]) if changed else ()
    return {setting: float(value) for setting, value in told}


def recorded_settings(method: Method) -> dict[str, float]:
    """The settings that results name: the method's own, and what it changes in training."""
    settings = dict(method.settings)
    if method.each_step:
        settings["each_step"] = method.each_step
    if method.passes != 1:
        settings["passes"] = method.passes
    return settings


def names_method(spec: str) -> bool:
    """Whether `spec` names a method in a file. Raises `NogsError` if it names nothing there."""
    head, _ = _parts(spec)
    return ":" in head and isinstance(load_object(head, "model or method"), Method)


def method_source(spec: str, *used: Callable[..., Any]) -> str | None:
    """sha256 of the file that a method of one's own is defined in, with what it imports of the
    user's (`own_code.source_digest`); None of one that comes with a package.

    Of a method that a file of the user's registers, the file of its objective and schedule.
    `used`: functions that the method uses beside; those of the user's count too.
    """
    file, separator, _ = _parts(spec)[0].rpartition(":")
    if separator:
        return source_digest(file, *own_files(*used))
    method = find_method(spec)
    files = own_files(method.objective, method.schedule, *used)
    return source_digest(*files) if files else None


def _told(spec: str) -> tuple[str, list[str]]:
    """The method that `spec` changes, and the settings, as SETTING=NUMBER."""
    head, told = _parts(spec)
    changed = _CHANGED.fullmatch(head) if head not in METHODS.names() else None
    if changed and changed[1] in METHODS.names():
        return changed[1], [f"{name}={value}" for name, value in _CHANGE.findall(changed[2])]
    return head, told


def _parts(spec: str) -> tuple[str, list[str]]:
    """What names the method, and what changes its settings."""
    parts = spec.split(":")
    return ":".join(p for p in parts if "=" not in p), [p for p in parts if "=" in p]
