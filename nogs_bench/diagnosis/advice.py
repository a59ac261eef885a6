"""What of the facts will hurt, and what to do about it: one small function for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nogs_bench.diagnosis.facts import Facts
from nogs_bench.registry import Registry

GIB = 2**30
LEAST_DISK, LEAST_MEMORY = 5 * GIB, 2 * GIB


@dataclass(frozen=True)
class Advice:
    """What is wrong, and what to do."""

    wrong: str
    do: str


# A function from facts to what it finds wrong in them.
ADVICE: Registry[Callable[[Facts], Iterator[Advice]]] = Registry("advice")


@ADVICE.register("libraries")
def _libraries(facts: Facts) -> Iterator[Advice]:
    absent = [name for name, found in facts.versions.items() if found is None]
    if absent:
        yield Advice(f"{', '.join(absent)} not installed", "pip install nogs-bench again")


@ADVICE.register("threads")
def _threads(facts: Facts) -> Iterator[Advice]:
    pools = {"torch": facts.threads} | {pool.name: pool.threads for pool in facts.pools}
    many = {name: count for name, count in pools.items() if count > facts.cores}
    if many:
        said = ", ".join(f"{name} takes {count}" for name, count in many.items())
        yield Advice(
            f"more threads than the {facts.cores} cores this process may use ({said}): they wait "
            "for each other",
            f"export OMP_NUM_THREADS={facts.cores}, or 1 beside other work",
        )


@ADVICE.register("space")
def _space(facts: Facts) -> Iterator[Advice]:
    for folder in facts.folders:
        if not folder.writable:
            yield Advice(
                f"{folder.what}, {folder.path}, cannot be written to",
                "change its permissions, or choose another (HF_HOME, NOGS_BENCH_CACHE, TMPDIR)",
            )
        elif folder.free < LEAST_DISK:
            yield Advice(
                f"{folder.free / GIB:.1f} GiB are free for {folder.what}, {folder.path}",
                "free some: a build of all images of a task takes some GiB",
            )


@ADVICE.register("memory")
def _memory(facts: Facts) -> Iterator[Advice]:
    if facts.memory_free is not None and facts.memory_free < LEAST_MEMORY:
        yield Advice(
            f"{facts.memory_free / GIB:.1f} GiB of memory are free",
            "end other programs, or give --workers 1",
        )


@ADVICE.register("gpu")
def _gpu(facts: Facts) -> Iterator[Advice]:
    if facts.driver is None or facts.devices:
        return
    if facts.cuda is None:
        yield Advice(
            f"NVIDIA's driver {facts.driver} is here, and torch was built without CUDA",
            "install torch from the index that pytorch.org names for your CUDA",
        )
    else:
        yield Advice(
            f"torch, built for CUDA {facts.cuda}, finds no GPU with driver {facts.driver}"
            + (f" ({facts.gpu_warning})" if facts.gpu_warning else ""),
            "update the driver, or install a torch for an older CUDA; see CUDA_VISIBLE_DEVICES too",
        )


@ADVICE.register("hub")
def _hub(facts: Facts) -> Iterator[Advice]:
    if facts.hub is not None:
        yield Advice(
            f"the Hub is not reached: {facts.hub}",
            "load and publish need it; building and evaluating what is here does not",
        )
