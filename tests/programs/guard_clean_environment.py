"""A daemon with an environment of its own that has left the tree by a double fork, and grows to argv[1] MB."""
import os, sys, time

if "DAEMON" in sys.argv:
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
    rows = []
    for _ in range(int(sys.argv[2])):
        rows.append(bytearray(b"x" * 1_000_000))
        time.sleep(0.005)
    time.sleep(60)
    os._exit(0)
if os.fork() == 0:
    os.execve(sys.executable, [sys.executable, __file__, "DAEMON", *sys.argv[1:]], {"PATH": os.defpath})
os.wait()
time.sleep(float(sys.argv[2]))
