"""Hostile: a list of ints that grows for ever."""
ids = []
while True: ids.extend(range(len(ids), len(ids) + 100_000))  # CULPRIT
