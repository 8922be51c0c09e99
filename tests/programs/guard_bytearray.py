"""Hostile: a bytearray that doubles, so that each step touches as much as all before: 2 GiB in the end."""
buffer = bytearray(b"x" * 4096)
while len(buffer) < 2 << 30: buffer = buffer * 2  # CULPRIT
