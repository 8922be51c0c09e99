"""Hostile: one call into C that does not return before it holds 2.4 GiB; no handler of Python's runs meanwhile."""
import itertools

ids = list(itertools.islice(itertools.count(1000), 60_000_000))  # CULPRIT
