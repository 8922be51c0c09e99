"""The guard: a small process that watches a tree of processes and acts before the kernel's OOM killer does.

Who asks for it, and what is to happen at the end:
run.py         `memguard run`: our own child           foreign.py    `memguard watch PID`: somebody else's job
guard.py       `memguard.guard()`, limited.py around each call of a function; beside.py is its watcher, a process beside
portable.py    where there is no /proc

The loop and its parts:
loop.py        sample → decide → act, until the tree has ended; Hooks are what the callers do in their own way
tree.py        the watched tree: measured, held, stopped, let run
shutdown.py    its end: evidence, last words, nothing left
options.py     what was asked for; timing.py how long each step may take; pause.py --on-limit pause
journal.py     what a run leaves on disk; notes.py what the loop writes there; progress.py the live line

decide/        when to act, pure: policy.py (the ladder), forecast.py (memory at the end of the input), which
               forecast_tracker.py keeps up to date
measure/       sampler.py (the tree and its limits), shared_memory.py (what is in no process), inputs.py (which files)
kernel/        what holds the tree when the guard is late: cgroup_plan.py → cgroup_limit.py (cgroup_files.py: v1, v2;
               scope.py: systemd), data_limit.py (RLIMIT_DATA: --fence); sentinel.py outlives a watcher that was killed
agents/        the Pythons of the tree: listening.py (who has the agent), requests.py (one request, its answers),
               session.py (all of a run), flush.py (callbacks at checkpoints), dead_workers.py (a Pool that hangs);
               who held the memory: stacks.py + holder.py + source.py → culprit.py, outside_stack.py without an agent
process/       actions.py (signals to a tree), launch.py (fork and exec), root.py (its topmost process), jobs.py (what
               may be watched), signals.py (the watcher's own), failure.py (when the guard itself fails)

What the watcher imports must keep it below 15 MiB: no numpy, rich, subprocess, logging, ctypes, pathlib. The
__init__.py of the sub-rooms are empty.
"""
