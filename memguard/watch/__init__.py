"""The guard: a small process that watches a tree of processes and acts before the kernel's OOM killer does.

policy.py decides (pure), sampler.py measures, actions.py acts, journal.py remembers, launch.py starts the script,
loop.py joins them. Everything here runs in the watcher, which must stay below 15 MiB: no numpy, no rich, no subprocess.
"""
