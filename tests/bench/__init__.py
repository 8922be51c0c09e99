"""Benchmarks: `python -m tests.bench NAME`, one module each with a `main(arguments) -> int`. They print ratios."""
