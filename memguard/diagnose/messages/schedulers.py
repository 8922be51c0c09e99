"""Batch systems and clusters that kill for memory, or report it: one entry for each message. Pure.

Slurm's own wordings, which belong together, are in readers/batch.py.
"""

from __future__ import annotations

from memguard.diagnose.clues import Pattern, killer, reporter

__all__ = ["MESSAGES"]

_SIZE = r"[\d.]{1,12} ?[KMGT]?i?[Bb]?"
_YARN = (
    "leave more room beside the heap: `spark.executor.memoryOverhead=2g`, or fewer cores for each executor",
    "more and smaller partitions: `spark.sql.shuffle.partitions`, `repartition`",
)
_PBS = ("ask for more: `qsub -l select=1:mem=SIZE …` (or the resource that the message names)",)
_CONDOR = ("ask for more in the submit file: `request_memory = 8GB`, then `condor_release JOB` or submit again",)

MESSAGES: tuple[Pattern, ...] = (
    killer(
        "yarn-virtual",
        "YARN, not the kernel, killed the container: it had passed its limit of virtual memory, which is no RAM in use",
        r"(?:containerID=(?P<unit>[\w.-]{1,80})\]? )?is running (?:[\d.]{1,20}B )?beyond (?:the )?"
        r"'?(?:virtual|VIRTUAL)'? memory limits?\b"
        r"(?:.{0,120}?; (?P<used>[\d.]{1,10} [KMGT]B) of (?P<limit>[\d.]{1,10} [KMGT]B) virtual)?"
        r"|Container killed by YARN for exceeding (?:virtual )?memory limits\.? (?P<used2>[\d.]{1,10} [KMGT]B) of "
        r"(?P<limit2>[\d.]{1,10} [KMGT]B) virtual memory used",
        " memory limit",
        source="YARN, Spark",
        advice=(
            "let YARN not count it: `yarn.nodemanager.vmem-check-enabled=false` in yarn-site.xml, or a larger "
            "`yarn.nodemanager.vmem-pmem-ratio`",
        ),
        example="Container [pid=1,containerID=container_1_2] is running beyond virtual memory limits. Current usage: "
        "264 MB of 1 GB physical memory used; 2.8 GB of 2.1 GB virtual memory used. Killing container.",
    ),
    killer(
        "yarn",
        "YARN, not the kernel, killed the container: it had passed its memory limit",
        r"Container killed by YARN for exceeding (?:\w{1,10} )?memory limits\.? (?:(?P<used>[\d.]{1,10} [KMGT]B) of "
        r"(?P<limit>[\d.]{1,10} [KMGT]B) physical memory used)?"
        r"|(?:containerID=(?P<unit>[\w.-]{1,80})\]? )?is running (?:[\d.]{1,20}B )?beyond (?:the )?'?"
        r"(?:physical|PHYSICAL)'? memory limits?\.? (?:Current usage: (?P<used2>[\d.]{1,10} [KMGT]B) "
        r"of (?P<limit2>[\d.]{1,10} [KMGT]B))?",
        "killed by YARN",
        " memory limit",
        source="YARN, Spark",
        advice=_YARN,
        example="WARN YarnSchedulerBackend$YarnSchedulerEndpoint: Container killed by YARN for exceeding memory "
        "limits. 5.6 GB of 5.5 GB physical memory used. Consider boosting spark.yarn.executor.memoryOverhead.",
    ),
    killer(
        "pbs",
        "PBS, not the kernel, killed the job: it had passed its memory limit",
        r"PBS: job killed: (?:v|p|pv)?mem (?:job total )?(?P<used>\d{1,15}[kmgt]?b?) exceeded limit "
        r"(?P<limit>\d{1,15}[kmgt]?b?)|Job exceeded a memory resource limit \("
        r"|job killed due to exceeding (?:mem|memory|vmem)|MOAB_INFO:\s{1,4}job exceeded (?:mem|memory)",
        "PBS: job killed",
        "memory resource limit",
        "to exceeding mem",
        "to exceeding vmem",
        "job exceeded mem",
        source="PBS, Torque, Moab",
        advice=_PBS,
        example="=>> PBS: job killed: mem job total 21000000kb exceeded limit 20971520kb",
    ),
    killer(
        "lsf",
        "LSF, not the kernel, killed the job: it had reached its memory usage limit",
        r"TERM_MEMLIMIT:",
        "TERM_MEMLIMIT",
        source="LSF",
        advice=("ask for more: `bsub -M SIZE -R 'rusage[mem=SIZE]' …`",),
        example="TERM_MEMLIMIT: job killed after reaching LSF memory usage limit.",
    ),
    killer(
        "sge",
        "Grid Engine, not the kernel, killed the job: it had passed its memory limit",
        r"exceeds job (?:hard|soft|master hard|slave hard) limit \"[hs]_vmem\"(?: of queue \S{1,80})?"
        r"(?: \((?P<used>\d{1,20}(?:\.\d{1,6})?) > limit:(?P<limit>\d{1,20}(?:\.\d{1,6})?)\))?",
        '_vmem"',
        source="Grid Engine",
        advice=("ask for more: `qsub -l h_vmem=SIZE …` (for each slot)",),
        example='job 17.1 exceeds job hard limit "h_vmem" of queue "all.q@n1" (5368709120.00000 > limit:4294967296.0)',
    ),
    killer(
        "htcondor",
        "HTCondor, not the kernel, held the job: it had passed its memory limit",
        r"[Jj]ob has gone over (?:cgroup )?memory limit of (?P<limit>\d{1,12} (?:megabytes|Mb|MB))"
        r"(?:\.\s{1,4}(?:Peak|Last measured) usage: (?P<used>\d{1,12} megabytes))?"
        r"|put on hold by SYSTEM_PERIODIC_HOLD due to memory usage (?P<used2>\d{1,15})"
        r"|[Mm]emory usage exceeded (?:request_memory|RequestMemory|the limit)|MemoryUsage > RequestMemory",
        "memory limit of ",
        "emory usage exceeded",
        "due to memory usage",
        "MemoryUsage > Req",
        source="HTCondor",
        advice=_CONDOR,
        example="Error from slot1_1@n1: Job has gone over cgroup memory limit of 2048 megabytes. "
        "Last measured usage: 2041 megabytes.  Consider resubmitting with a higher request_memory.",
    ),
    reporter(
        "flux",
        "Flux reports an out-of-memory kill in the job's cgroup",
        r"oom: Memory cgroup out of memory: killed \d{1,6} tasks? on (?P<unit>[\w.-]{1,80}?)"
        r"\.?$",
        "oom: Memory cgroup",
        source="Flux",
        advice=("ask for more memory or more nodes: `flux submit -N2 …`, or fewer tasks on a node",),
        example="9.496s: flux-shell[0]: ERROR: oom: Memory cgroup out of memory: killed 1 task on node1.",
    ),
)
