"""Hostile: a bytearray that doubles, so that each step touches as much as all before."""
buffer = bytearray(b"x" * 4096)
while True: buffer = buffer * 2  # CULPRIT
