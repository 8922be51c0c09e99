"""Ended by a signal from outside, and nothing says by whom: shells, exit codes, supervisors, workers. Pure.

Exit code 137 is any SIGKILL, so these leave the question open, and say what to look at next.
"""

from __future__ import annotations

from memguard.diagnose.clues import Pattern, pattern

__all__ = ["MESSAGES"]

_SIGKILL = "ended by SIGKILL: the out-of-memory killer sends it, and so do kill -9, docker stop and batch systems"
# "Killed" as bash says it in other languages: Chinese, German, Russian, Japanese, Korean, Polish, Italian, Dutch, Czech
_LOCALISED = (
    "已杀死",
    "已终止",
    "已經砍掉",
    "Getötet",
    "Убито",
    "強制終了",
    "죽었음",
    "Unicestwiony",
    "Ucciso",
    "Geveld",
    "Zabit (SIGKILL)",
    "Processus arrêté",
    "Tué",
    "Terminado (killed)",
    "Matado",
)
_EXIT = r"[Ee]xit(?:ed|s|ing)?[ _-]?(?:with )?(?:an )?(?:error )?(?:non-zero )?(?:return )?(?:[Cc]ode|[Ss]tatus)?"

MESSAGES: tuple[Pattern, ...] = (
    pattern(
        "worker-killed",
        "unclear",
        "a worker process was killed from outside; the message does not say by whom",
        r"BrokenProcessPool|process pool is not usable anymore|process pool was terminated abruptly"
        r"|TerminatedWorkerError|exit codes of the workers are \{SIGKILL\(-9\)"
        r"|subprocesses has ?abruptly died|DataLoader worker \(pid(?:\(s\))? (?P<pid>\d{1,10})\S{0,80}\) "
        r"(?:is killed by signal: Killed|exited unexpectedly)|terminated with signal SIGKILL|<Signals\.SIGKILL: 9>"
        r"|Worker process (?P<pid2>\d{1,10}) was killed by (?:signal 9|unknown signal)|KilledWorker: "
        r"|LocalTaskJob.{0,80}return code -9|Task exited with return code -9|Negsignal\.SIGKILL"
        r"|WorkerLostError|Worker exited prematurely: signal 9|killed by signal 9 :\(",
        "BrokenProcessPool",
        "process pool",
        "TerminatedWorkerError",
        "SIGKILL(-9)",
        "abruptly died",
        "DataLoader worker",
        "signal SIGKILL",
        "Signals.SIGKILL",
        "was killed by ",
        "KilledWorker",
        "return code -9",
        "Negsignal.SIGKILL",
        "WorkerLostError",
        "signal 9",
        source="multiprocessing, joblib, torch, Dask, Celery, Airflow, uWSGI",
        example="RuntimeError: DataLoader worker (pid 4024) is killed by signal: Killed.",
    ),
    pattern(
        "task-failed",
        "unclear",
        "a task of the job ended by itself with an error: what it printed last says why",
        r"error: \S{1,64}: tasks? [\d,-]{1,40}: Exited with exit code [1-9]",
        "Exited with exit code",
        source="srun",
        advice=(
            "read what that task printed last; where that is nothing, `sacct -j JOB -o JobID,State,ExitCode,MaxRSS`",
        ),
        example="srun: error: node07: task 3: Exited with exit code 1",
    ),
    pattern(
        "torch-elastic",
        "unclear",
        f"a process of the torch launcher was {_SIGKILL}",
        r"failed \(exitcode: -9\) local_rank: \d{1,5} \(pid: (?P<pid>\d{1,10})\)|exitcode\s{1,6}: -9 \(pid: "
        r"(?P<pid2>\d{1,10})\)|Signal 9 \(SIGKILL\) received by PID (?P<pid3>\d{1,10})|failed \(exitcode: -9\)"
        r"|exits with return code = -9",
        "exitcode",
        "Signal 9 (SIGKILL)",
        "return code = -9",
        source="torchrun, DeepSpeed, accelerate",
        example="torch.distributed.elastic.multiprocessing.api: [ERROR] failed (exitcode: -9) local_rank: 0 (pid: 41)",
    ),
    pattern(
        "bus-error",
        "unclear",
        "Bus error: a page of a mapped file could not be had, because /dev/shm is full or the file was cut meanwhile",
        r"^\s{0,20}Bus error|(?:^|\s)\d{1,10} Bus error\s|^zsh: bus error\s|: Bus error\b|SIGBUS|exitcode\s{0,6}: -7\b"
        r"|status=7/BUS|signal: bus error|signal 7\b",
        "Bus error",
        "bus error",
        "SIGBUS",
        "exitcode",
        "7/BUS",
        "signal 7",
        source="shells, srun, torchrun",
        advice=("see whether /dev/shm is full: `df -h /dev/shm`, `ls -lhS /dev/shm`",),
        example="srun: error: node07: task 289: Bus error (core dumped)",
    ),
    pattern(
        "gunicorn-timeout",
        "not-memory",
        "gunicorn ended its worker itself: it had not answered within the time limit",
        r"\[CRITICAL\] WORKER TIMEOUT \(pid:(?P<pid>\d{1,10})\)",
        "WORKER TIMEOUT",
        source="gunicorn",
        advice=("give a worker more time (`gunicorn --timeout 300`), or find out what it waits for",),
        example="[2024-11-05 09:25:59 +0000] [16] [CRITICAL] WORKER TIMEOUT (pid:17)",
    ),
    pattern(
        "gunicorn",
        "unclear",
        f"a worker of gunicorn was {_SIGKILL}",
        r"Worker \(pid:(?P<pid>\d{1,10})\) was sent SIGKILL|Worker with pid (?P<pid2>\d{1,10}) was terminated due to "
        r"signal 9\b",
        "was sent SIGKILL",
        "terminated due to signal 9",
        source="gunicorn",
        example="[2024-05-01 10:00:00 +0000] [7] [ERROR] Worker (pid:41) was sent SIGKILL! Perhaps out of memory?",
    ),
    pattern(
        "compiler",
        "unclear",
        f"the compiler was {_SIGKILL}",
        r"internal (?:compiler )?error: Killed \(program|Internal error: Killed \(program"
        r"|Killed signal terminated program|signal: 9, SIGKILL: kill",
        "rror: Killed (program",
        "Killed signal terminated",
        "SIGKILL: kill",
        source="gcc, cargo",
        advice=(
            "fewer compilers at a time: `make -j2`, `cargo build -j 2`",
            "ask the kernel whether it was memory: `sudo dmesg | memguard diagnose -`",
        ),
        example="g++: internal compiler error: Killed (program cc1plus)",
    ),
    pattern(
        "lambda-killed",
        "unclear",
        f"AWS Lambda's runtime was {_SIGKILL}; its REPORT line says how much memory was used, and how much was allowed",
        r"Runtime exited with error: (?:signal: killed|exit status 137)",
        "Runtime exited with error",
        source="AWS Lambda",
        advice=(
            "compare `Max Memory Used` with `Memory Size` in the REPORT line; where they are close, raise the latter",
        ),
        example="RequestId: 1 Error: Runtime exited with error: signal: killed",
    ),
    pattern(
        "kernel-died",
        "unclear",
        "the notebook's kernel died; Jupyter does not know why, and memory is only the most frequent reason",
        r"[Kk]ernel appears to have died|KernelRestarter: restarting kernel|DeadKernelError"
        r"|^\s{0,20}Kernel Restarting\s{0,20}$",
        "ernel appears to have died",
        "restarting kernel",
        "DeadKernelError",
        "Kernel Restarting",
        source="Jupyter",
        example="The kernel appears to have died. It will restart automatically.",
    ),
    pattern(
        "killed",
        "unclear",
        "somebody sent SIGKILL; a shell prints the same for the out-of-memory killer and for kill -9",
        r"^\s{0,20}\W{0,4}Killed(?:: 9)?\W{0,4}\s{0,20}$|^zsh: killed\s{1,8}(?P<command>\S.{0,300})"
        r"|(?:^|\s)(?P<pid>\d{1,10}) Killed(?:: 9)?(?:\s{1,40}(?P<command2>\S.{0,300})|\W|$)"
        r"|\]\S?\s{0,4}Killed(?:: 9)?(?:\s{1,40}(?P<command3>\S.{0,300})|\s|$)"
        r"|tasks? [\d,-]{1,40}: Killed\b|\]\s{1,4}[+-]?\s{0,4}(?P<pid2>\d{1,10}) killed\s{2,20}(?P<command4>\S.{0,300})"
        r"|Received \"killed\" signal|<stderr>:\s?Killed|terminated by (?:signal )?(?:9\b|SIGKILL)"
        r"|killed by signal 9\b|status=9/KILL"
        r"|signal 9 \(Killed\)|exited on signal 9\b|interrupted by signal 9\b|code=killed, signal=KILL"
        r"|[Ss]ignal:? (?:9|SIGKILL)\b|^(?:" + "|".join(_LOCALISED).replace("(", r"\(").replace(")", r"\)") + r")\b"
        r"|\d\s{1,4}(?:" + "|".join(_LOCALISED).replace("(", r"\(").replace(")", r"\)") + r")(?:\s|$)",
        "Killed",
        "killed",
        "ignal 9",
        "ignal: 9",
        "SIGKILL",
        "9/KILL",
        "=KILL",
        *_LOCALISED,
        source="shells (also in Chinese, German, French, …), systemd, supervisord, PHP-FPM, CircleCI",
        example="./run.sh: line 28:  8575 Killed                  python preprocess.py",
    ),
    pattern(
        "not-oom-killed",
        "unclear",
        "the container runtime noted OOMKilled: false. That rules memory out only for the container's own limit and "
        "its first process, not for a kill by the machine or of a child",
        r"\"?OOMKilled\"?\s{0,8}[:=]\s{0,8}(?:false|False)",
        "OOMKilled",
        source="Docker, Podman",
        advice=(
            "ask the host's kernel, which knows: `sudo dmesg | memguard diagnose -`",
            "see who stopped it: `docker events --since 24h --filter event=die --filter event=kill`",
        ),
        example='"OOMKilled": false,',
    ),
    pattern(
        "exit-137",
        "unclear",
        "137 is 128 + 9: ended by SIGKILL, whoever sent it (docker stop does too)",
        _EXIT + r"[\"']?(?: of the task.{0,80}was)?[\s:=(`]{1,12}(?:137|-137|-9)\b|status=137\b"
        r"|returned (?:a non-zero code: )?137\b|Exit(?:ed)? \(137\)"
        r"|[Rr]eturn code:? -9\b|^137$|\bcode 137\b|errno 137\b",
        "137",
        "eturn code",
        "tatus -9",
        "ode -9",
        source="shells, Docker, Kubernetes, Nextflow, PyCharm",
        example="Process `ALIGN (1)` terminated with an error exit status (137)",
    ),
    pattern(
        "terminated",
        "unclear",
        "143 is 128 + 15: asked to end by SIGTERM, as docker stop, a batch system's limits, earlyoom and people do",
        r"^\s{0,20}Terminated\s{0,20}$|(?:^|\s)\d{1,10} Terminated\s|^zsh: terminated\s"
        r"|[Ee]xit(?:ed)?[ _]?(?:with )?(?:[Cc]ode|[Ss]tatus)?[\"']?[\s:=(]{1,12}143\b|status=143\b|status=15/TERM",
        "Terminated",
        "zsh: terminated",
        "143",
        "15/TERM",
        source="shells, systemd",
        example="main process exited, code=exited, status=143",
    ),
)
