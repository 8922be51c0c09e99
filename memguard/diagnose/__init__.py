"""Why was it "Killed"? Lines -> events and clues -> one diagnosis. Everything in this room is pure.

stream.py      bytes of any log -> the lines that may matter, in bounded memory and time
lines.py       one line of any log format -> its message, time, host and program
kernel.py      what the kernel prints when it kills for memory -> events (block.py: one report as it grows)
userspace.py   everybody else: systemd, earlyoom, nohang, oomd here, and the door to
               batch.py (Slurm, LSF, PBS), containers.py (Kubernetes, Docker), jetsam.py (macOS), python.py (libraries)
clues.py       lines that mean something without proving a kill
commands.py    which script it was and what it read, as shells, systemd and tracebacks tell
collection.py  events of a whole log: in order, copies and reports joined, old ones slimmed
query.py       what the user asked about: a pid, a name, a time, an exit code
rules.py       events + last guarded run + counters + the machine's state -> the verdict
wording.py     the verdict in plain words
hints.py       what to do, cheapest first, with the exact command for this kind of cgroup (cgroups.py)
"""
