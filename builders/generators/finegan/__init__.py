"""FineGAN checkpoints as image generators."""

from nogs_bench.builders.generators.finegan import generator  # noqa: F401  (registers)
