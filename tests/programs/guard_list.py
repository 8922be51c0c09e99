"""Hostile: a list of ints that grows: 2 GiB in the end."""
ids = []
while len(ids) < 50_000_000: ids.extend(range(len(ids), len(ids) + 100_000))  # CULPRIT
