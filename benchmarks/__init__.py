"""Benchmarks of every speed claim, as a ratio to the obvious alternative measured in the same run."""
