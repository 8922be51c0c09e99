"""What to ask Slurm, Ray or Kubernetes for, so that a plan fits the job that they start. Pure.

    memory − max(64 MiB, memory / 10) ≥ the plan's high end + the guard's own process,  up to the next 64 MiB

The high end, since a job that is killed at the expected peak half the time is no use. Then the margin that memguard
itself keeps below a limit of the kernel's (records/limits.py): page tables, the job's shell and what the kernel keeps
for its files count against a cgroup, too, and a guard has to act before the kernel does. With it `memguard estimate`
inside that job says `fits`.
"""

from __future__ import annotations

from memguard.records.estimate import Estimate, Scheduler
from memguard.records.limits import kernel_margin
from memguard.records.script import ScriptEstimate
from memguard.units import MIB

__all__ = ["GUARD", "ask", "ask_for"]

GUARD = 16 * MIB  # memguard run's own process: 14.7 MiB, as README says
_STEP = 64 * MIB


def ask_for(estimate: Estimate, check: str | None = None) -> Scheduler:
    """For the script where there is one; else for the plan that `check` names, or for the next command's: streaming."""
    script = estimate.script if isinstance(estimate, ScriptEstimate) else None
    if script is not None:
        return ask(script.path, script.plan.peak.high)
    name = check or "stream"
    return ask(name, next(plan.peak.high for plan in estimate.plans if plan.name == name))


def ask(plan: str, peak: int) -> Scheduler:
    """`peak`: bytes at most."""
    need = peak + GUARD
    # The two sides of the margin: a fixed part, and a tenth of what is asked for.
    memory = max(need + kernel_margin(0), -(-need * 10 // 9))
    memory = -(-memory // _STEP) * _STEP
    size = f"{memory // MIB}Mi"
    return Scheduler(
        plan=plan,
        peak=peak,
        memory=memory,
        slurm=f"--mem={memory // MIB}M",
        ray=f"memory={memory}",
        kubernetes=f"resources: {{requests: {{memory: {size}}}, limits: {{memory: {size}}}}}",
    )
