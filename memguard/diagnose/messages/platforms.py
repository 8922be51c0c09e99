"""Platforms and supervisors that stop a program for its memory, or report it: one entry for each message. Pure."""

from __future__ import annotations

from memguard.diagnose.clues import Pattern, killer, reporter

__all__ = ["MESSAGES"]


MESSAGES: tuple[Pattern, ...] = (
    killer(
        "kubelet",
        "the kubelet, not the kernel, evicted the pod, because the node was short of memory",
        r"low on resource: memory(?:\..{0,80}?Container (?P<task>[\w.-]{1,80}) was using (?P<used>\d{1,15}Ki))?"
        r"|had condition: \[MemoryPressure\]",
        "low on resource: memory",
        "[MemoryPressure]",
        source="Kubernetes",
        advice=(
            "ask for what it needs: `resources.requests.memory` near the real use, so that the pod lands where there "
            "is room and is evicted last",
            "see who fills the node: `kubectl top pods -A --sort-by=memory`",
        ),
        example="Message: The node was low on resource: memory. Container main was using 6200000Ki, request is 1Gi",
    ),
    killer(
        "cloud-run",
        "Cloud Run, not the kernel, ended the instance: it had passed its memory limit",
        r"[Mm]emory limit of (?P<limit>[\d.]{1,10} ?[KMGT]i?B?) exceeded with (?P<used>[\d.]{1,10} ?[KMGT]i?B?) used"
        r"|container instance was found to be using too much memory and was terminated"
        r"|Exceeded (?:soft|hard) memory limit of (?P<limit2>\d{1,8} [KMGT]i?B) with (?P<used2>\d{1,8} [KMGT]i?B)",
        "emory limit of",
        "using too much memory",
        source="Google Cloud Run, Cloud Functions, App Engine",
        advice=("raise the limit: `gcloud run services update SERVICE --memory 2Gi`, or fewer requests at a time",),
        example="Memory limit of 512 MiB exceeded with 530 MiB used. Consider increasing the memory limit",
    ),
    killer(
        "heroku",
        "Heroku, not the kernel, killed the dyno: it had passed twice its memory quota (R15)",
        r"(?:heroku\[(?P<unit>[\w.-]{1,40})\]: )?Error R15 \(Memory quota vastly exceeded\)",
        "Memory quota vastly exceeded",
        source="Heroku",
        advice=("hold less, fewer workers (`heroku config:set WEB_CONCURRENCY=1`), or a larger dyno",),
        example="2024-05-01T10:00:00.000000+00:00 heroku[worker.1]: Error R15 (Memory quota vastly exceeded)",
    ),
    killer(
        "lambda",
        "AWS Lambda, not the kernel of a machine of yours, ended the function: it had used all of its memory",
        r"(?i:error ?type)\W{1,6}Runtime\.OutOfMemory",
        "Runtime.OutOfMemory",
        source="AWS Lambda",
        advice=("raise the function's memory: `aws lambda update-function-configuration --memory-size 2048 …`",),
        example="Error Type: Runtime.OutOfMemory",
    ),
    reporter(
        "build-service",
        "the build service reports that the build's container had passed its memory limit",
        r"build has exceeded the memory limit of (?P<limit>[\d.]{1,8} ?[KMGT]B?)|[Cc]ontainer '\S{1,40}' exceeded "
        r"memory limit",
        "exceeded the memory limit",
        "exceeded memory limit",
        source="CircleCI, Bitbucket",
        advice=(
            "fewer jobs at a time in the build, or a larger size (CircleCI: `resource_class`, Bitbucket: `size: 2x`)",
        ),
        example="Your build has exceeded the memory limit of 4G on 1 container.",
    ),
    reporter(
        "render",
        "the hosting service reports that the instance had used all of its memory",
        r"[Rr]an out of memory \(used over (?P<limit>[\d.]{1,8} ?[KMGT]i?B?)\)",
        "ut of memory (used over",
        source="Render",
        advice=("hold less, or take a larger instance type",),
        example="Ran out of memory (used over 512MB) while running your code.",
    ),
    reporter(
        "system-oom",
        "the kubelet reports that the node itself ran out of memory, and the kernel killed the process",
        r"System OOM encountered, victim process: (?P<task>.{1,64}?), pid: (?P<pid>\d{1,10})",
        "System OOM encountered",
        source="Kubernetes",
        advice=(
            "give every pod of the node `resources.limits.memory`, so that the one that grows is the one that ends",
            "see who fills the node: `kubectl top pods -A --sort-by=memory`",
        ),
        example="Warning  SystemOOM  System OOM encountered, victim process: python, pid: 1234",
    ),
    reporter(
        "ecs",
        "the container's runtime reports an out-of-memory kill in the container: its memory limit was reached",
        r"OutOfMemoryError: Container killed due to memory usage|container init was OOM-killed"
        r"|process within container (?P<unit>[0-9a-f]{6,64})\b.{0,200}? died due to OOM",
        "Container killed due to memory",
        "was OOM-killed",
        "died due to OOM",
        source="Amazon ECS, AWS Batch, runc",
        advice=("raise the limit: `memory` in the task definition, in the container's and the task's",),
        example='"reason": "OutOfMemoryError: Container killed due to memory usage",',
    ),
    killer(
        "lmkd",
        "Android's low memory killer, not the kernel's, killed the process",
        r"(?:lowmemorykiller|lmkd?).{0,40}?Kill(?:ing)? '(?P<task>.{1,80}?)' \((?P<pid>\d{1,10})\)"
        r"(?:.{0,80}?to free (?P<used>\d{1,12}kB))?",
        "lowmemorykiller",
        "oom_score_adj ",
        source="Android",
        advice=("hold less while in the background; `adb shell dumpsys meminfo` shows who holds what",),
        example="I lowmemorykiller: Kill 'com.example.app' (1793), uid 10446, oom_score_adj 0 to free 140528kB rss, "
        "37404kB swap",
    ),
    killer(
        "talos",
        "Talos, not the kernel, killed a whole cgroup, because memory was short",
        r"Sending SIGKILL to cgroup.{0,400}?\"cgroup\": \"(?P<unit>[^\"]{1,300})\"|OOM controller triggered",
        "SIGKILL to cgroup",
        "OOM controller triggered",
        source="Talos Linux",
        advice=("give the pods memory requests and limits, so that the one that grows is the one that ends",),
        example='Sending SIGKILL to cgroup {"component": "controller-runtime", "cgroup": "/kubepods/besteffort/pod1"}',
    ),
    killer(
        "pm2",
        "PM2, not the kernel, restarted the process: it had passed its --max-memory-restart",
        r"(?:Process|App)? ?(?P<task>\S{1,60}) restarted because it exceeds --max-memory-restart value "
        r"\(current_memory=(?P<used>\d{1,15}) max_memory_limit=(?P<limit>\d{1,15})",
        "--max-memory-restart",
        source="PM2",
        advice=("raise PM2's own limit: `pm2 start APP --max-memory-restart 1G`",),
        example="[PM2][WORKER] Process 2 restarted because it exceeds --max-memory-restart value "
        "(current_memory=46522368 max_memory_limit=33554432 [octets])",
    ),
    reporter(
        "colab",
        "Google Colab ended the notebook: the session had used all of its RAM",
        r"Your session crashed after using all available RAM",
        "session crashed after",
        source="Google Colab",
        advice=("choose a runtime with more RAM, or work on the text in slices",),
        example="Your session crashed after using all available RAM.",
    ),
    reporter(
        "kaggle",
        "Kaggle ended the notebook: the notebook asked for more memory than there is",
        r"Your notebook tried to allocate more memory than is available",
        "more memory than is available",
        source="Kaggle",
        advice=("choose a runtime with more RAM, or work on the text in slices",),
        example="Your notebook tried to allocate more memory than is available. It has restarted.",
    ),
    reporter(
        "systemd",
        "systemd reports that the out-of-memory killer ended a process of the unit",
        r"Finished with result: oom-kill",
        "result: oom-kill",
        source="systemd-run",
        example="Finished with result: oom-kill",
    ),
)
