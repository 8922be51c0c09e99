"""Hostile: a shell's child, which starts a Python that grows."""
import subprocess
import sys

CODE = "x = []\nwhile True: x.append(bytes(1000))"
subprocess.run(["sh", "-c", '"$0" -c "$1"; true', sys.executable, CODE])
