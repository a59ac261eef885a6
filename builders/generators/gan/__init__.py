"""A small GAN that learns from the images of the task."""

from nogs_bench.builders.generators.gan import generator  # noqa: F401  (registers)
