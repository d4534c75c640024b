"""Speed and memory, side by side, all of it on this machine: `python -m tests.bench`."""
