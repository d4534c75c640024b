"""Benchmarks of speed and memory on this machine: `python -m tests.bench`."""
