"""Why was it "Killed"? Lines -> events and clues -> one diagnosis. Everything in this room is pure.

stream.py      bytes of any log -> the lines that may matter, in bounded memory and time
lines.py       one line of any log format -> its message, time, host and program
log_reader.py  what a reader of a log format offers: TRIGGERS, feed(), close()
readers/       one file for each kind of log -> events, and the one list of them (readers/__init__.py):
               kernel (block: one report as it grows), systemd, earlyoom, nohang, facebook_oomd,
               batch (Slurm, LSF, PBS), containers (Kubernetes, Docker), jetsam (macOS),
               libraries (Ray, Dask, notebooks), messages (the entries of messages/ that kill or report a kill)
messages/      what other programs say in one line, one entry for each message
clues.py       what an entry of messages/ is, and how a clue is read from a line
wrapping.py    what stands around a log that was passed on: quotes, stamps, colours
commands.py    which script ran and what it read, as shells, systemd and tracebacks show it
collection.py  all events of a log: in order, copies and reports joined, old ones without their details
query.py       what the user asked about: a pid, a name, a time, an exit code
choice.py      which of several kills or clues is the answer
rules.py       events + last guarded run + counters + the machine's state -> the verdict
wording.py     the verdict in plain words (kill_wording.py: a kill)
hints.py       what to do, cheapest first, with the exact command for this kind of cgroup (cgroups.py)
"""
