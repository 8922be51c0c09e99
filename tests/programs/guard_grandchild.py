"""Hostile: a shell's child, a Python that grows, two generations down."""
import os
import subprocess
import sys

script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "guard_list.py")
subprocess.run(["sh", "-c", '"$0" "$1"; true', sys.executable, script])
