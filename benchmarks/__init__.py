"""Measurements, side by side with the bare application in one run: `python -m benchmarks`."""
