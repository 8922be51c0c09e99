"""Why was it "Killed"? Lines -> events -> one diagnosis. Everything in this room is pure.

stream.py     bytes of any log -> the lines that may matter, in bounded memory
lines.py      one line of any log format -> its message, time, host and program
kernel.py     what the kernel prints when it kills for memory -> events
userspace.py  what everybody else prints: other killers' events, and signs that prove less
collection.py events of a whole log: copies joined, old ones slimmed
rules.py      events + last guarded run + counters -> the verdict
wording.py    the verdict in plain words
advice.py     what to do, cheapest first, with the exact command for this kind of cgroup
"""
