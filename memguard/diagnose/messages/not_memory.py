"""What ends programs and is no shortage of memory: crashes, disks, time, processes, cards, probes. Pure."""

from __future__ import annotations

from memguard.diagnose.clues import Pattern, pattern

__all__ = ["MESSAGES"]

_CRASH = ("find the crash: `python -X faulthandler prepare.py`, and read the last frames",)
_PROCESSES = (
    "fewer threads: `OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1`, fewer workers",
    "see and raise the limit on processes: `ulimit -u`; systemd: TasksMax=; Docker: `--pids-limit`; "
    "a batch system: ask for the cores that you use",
)
_TIME = ("ask for more time", "or take the faster way: `memguard tokenize FILE -o DIR`")
_SPACE = ("free space where it writes: `df -h`", "see how much disk each plan takes: `memguard estimate FILE`")
_CARD = ("a smaller batch, a smaller model, or a card with more memory; RAM and swap do not help",)

MESSAGES: tuple[Pattern, ...] = (
    pattern(
        "segfault",
        "not-memory",
        "a crash: the program touched an address that is not its own (a bug, not a lack of memory)",
        r"segfault at |[Ss]egmentation fault|SIGSEGV|[Ee]xit(?:ed)?(?: with)?(?: code| status)?[:= ]{1,8}(?:139|-11)\b"
        r"|status=11/SEGV|signal 11\b|exitcode\s{0,6}: -11\b",
        "segfault at ",
        "egmentation fault",
        "SIGSEGV",
        "139",
        "11/SEGV",
        "signal 11",
        "exitcode",
        source="kernel, shells, torchrun",
        advice=_CRASH,
        example="RuntimeError: DataLoader worker (pid 77) is killed by signal: Segmentation fault.",
        loose=True,
    ),
    pattern(
        "heap-corruption",
        "not-memory",
        "the program spoiled its own heap and was ended by the C library (a bug, not a lack of memory)",
        r"double free or corruption|free\(\): (?:invalid|double free)|malloc\(\): .{0,40}corrupt|malloc\(\): invalid"
        r"|corrupted (?:size vs\. prev_size|double-linked list)|munmap_chunk\(\): invalid|heap corruption detected",
        "double free or",
        "free(): ",
        "malloc(): ",
        "corrupted ",
        "munmap_chunk",
        "heap corruption",
        source="glibc",
        advice=_CRASH,
        example="malloc(): unsorted double linked list corrupted\nAborted (core dumped)",
    ),
    pattern(
        "process-limit",
        "not-memory",
        "a limit on the number of processes or threads was reached, which is another one than memory",
        r"pthread_create.{0,60}(?:Resource temporarily unavailable|资源暂时不可用)"
        r"|RLIMIT_NPROC -?\d|fork rejected by pids controller|can't start new thread"
        r"|fork: (?:retry: )?Resource temporarily unavailable|unable to create (?:new )?native thread"
        r"|low on resource: pids|had condition: \[PIDPressure\]|TERM_(?:THREAD|PROCESS)LIMIT"
        r"|unable to create worker thread|failed to create new OS thread"
        r"|BlockingIOError: \[Errno 11\]",
        "pthread_create",
        "RLIMIT_NPROC",
        "pids controller",
        "start new thread",
        "fork: ",
        "native thread",
        "worker thread",
        "low on resource: pids",
        "PIDPressure",
        "TERM_THREADLIMIT",
        "TERM_PROCESSLIMIT",
        "new OS thread",
        "[Errno 11]",
        source="kernel, OpenBLAS, Python, JVM, shells",
        advice=_PROCESSES,
        example="OpenBLAS blas_thread_init: pthread_create failed for thread 2 of 64: Resource temporarily unavailable",
    ),
    pattern(
        "open-files",
        "not-memory",
        "the limit on open files was reached; each batch in shared memory is one, too",
        r"Too many open files|\[Errno 24\]|unable to open shared memory object(?!.{0,160}No space left)"
        r"|received 0 items of ancdata",
        "Too many open files",
        "[Errno 24]",
        "shared memory object",
        "items of ancdata",
        source="kernel, torch",
        advice=(
            "raise the limit: `ulimit -n 65536`; systemd: LimitNOFILE=; Docker: `--ulimit nofile=65536`",
            "torch: `torch.multiprocessing.set_sharing_strategy('file_system')`",
        ),
        example="OSError: [Errno 24] Too many open files: 'train.bin'",
        loose=True,
    ),
    pattern(
        "gpu-memory",
        "not-memory",
        "the memory of the graphics card was full, not the RAM: a smaller batch or model helps, more RAM does not",
        r"CUDA out of memory|CUDA error: out of memory|OutOfMemoryError: (?:CUDA|HIP|XPU)|HIP out of memory"
        r"|MPS backend out of memory|CUDA_ERROR_OUT_OF_MEMORY|cuMemAlloc\w{0,10} failed|cudaErrorMemoryAllocation"
        r"|[Aa]llocator \(?GPU_\d|device:GPU:\d{1,2} by allocator|CUBLAS_STATUS_ALLOC_FAILED|cudaMalloc failed"
        r"|gpu_\S{0,40}allocator|hipErrorOutOfMemory"
        r"|RESOURCE_EXHAUSTED: Out of memory (?:while trying to allocate|allocating)|NPU out of memory"
        r"|HSA_STATUS_ERROR_OUT_OF_RESOURCES|OutOfDeviceMemory",
        "CUDA",
        "HIP out of memory",
        "MPS backend out of memory",
        "OutOfMemoryError: ",
        "cuMemAlloc",
        "cudaError",
        "llocator ",
        "allocator.cc",
        "CUBLAS_STATUS",
        "cudaMalloc",
        "hipError",
        "RESOURCE_EXHAUSTED",
        "NPU out of memory",
        "HSA_STATUS",
        "OutOfDeviceMemory",
        source="torch, TensorFlow, JAX",
        advice=_CARD,
        example="torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.70 GiB",
    ),
    pattern(
        "disk-quota",
        "not-memory",
        "the batch system ended the job because it had used up its disk quota",
        r"exceeding (?:jobfs|disk|scratch)\b.{0,20}quota|ephemeral local storage usage exceeds"
        r"|low on resource: (?:ephemeral-storage|inodes|imagefs|nodefs)|had condition: \[DiskPressure\]"
        r"|gone over disk (?:limit|request)",
        " quota",
        "ephemeral",
        "low on resource: ",
        "DiskPressure",
        "over disk",
        source="Kubernetes, PBS, HTCondor",
        advice=("write less, or ask for more disk", "see how much disk each plan takes: `memguard estimate FILE`"),
        example="Message: The node was low on resource: ephemeral-storage. Container main was using 21000000Ki",
    ),
    pattern(
        "disk-full",
        "not-memory",
        "the disk (or a quota on it) was full",
        r"No space left on device|Disk quota exceeded|[Nn]ot enough (?:free )?space on the disk",
        "No space left on device",
        "Disk quota exceeded",
        "space on the disk",
        source="everybody",
        advice=_SPACE,
        example="OSError: [Errno 28] No space left on device: '/data/train.bin'",
    ),
    pattern(
        "time-limit",
        "not-memory",
        "the batch system ended it at its time limit",
        r"DUE TO TIME LIMIT|TERM_RUNLIMIT|TERM_CPULIMIT|walltime \d{1,12} exceeded limit|CPU time limit exceeded"
        r"|exceeded wall-?clock limit|exceeded walltime|h_rt\b.{0,40}exceeded",
        "DUE TO TIME LIMIT",
        "TERM_RUNLIMIT",
        "TERM_CPULIMIT",
        "walltime",
        "CPU time limit exceeded",
        "exceeded wall",
        "h_rt",
        source="Slurm, LSF, PBS, SGE",
        advice=_TIME,
        example="slurmstepd: error: *** JOB 12 ON node1 CANCELLED AT 2024-04-20T09:09:37 DUE TO TIME LIMIT ***",
    ),
    pattern(
        "cpu-limit",
        "not-memory",
        "the batch system ended it because it used more processors than it had asked for",
        r"PBS: job killed: (?:ncpus|cput) \S{1,20} exceeded limit",
        "PBS: job killed",
        source="PBS",
        advice=("ask for the cores that it uses, or use fewer: `OMP_NUM_THREADS=N`, fewer workers",),
        example="=>> PBS: job killed: ncpus 12.5 exceeded limit 8 (sum)",
    ),
    pattern(
        "not-started",
        "not-memory",
        "the batch system did not accept the job: no machine has what was asked for, or it is more than allowed",
        r"Memory specification can not be satisfied|Requested node configuration is not available"
        r"|Batch job submission failed|Unable to allocate resources: |Insufficient (?:memory|cpu)\b.{0,80}nodes are"
        r"|nodes are available: .{0,80}Insufficient memory",
        "can not be satisfied",
        "node configuration",
        "submission failed",
        "Unable to allocate resources",
        "Insufficient ",
        source="Slurm, Kubernetes",
        advice=("ask for less, or for another partition: `sinfo -o '%P %m %c'`, `kubectl describe nodes`",),
        example="sbatch: error: Memory specification can not be satisfied",
    ),
    pattern(
        "probe",
        "not-memory",
        "Kubernetes ended the container because it no longer answered its liveness or startup probe",
        r"(?:failed|Failed) (?:liveness|startup) probe, will be restarted|(?:Liveness|Startup) probe failed:",
        "liveness probe",
        "startup probe",
        "Liveness probe",
        "Startup probe",
        source="Kubernetes",
        advice=("give it more time: `timeoutSeconds`, `failureThreshold` of the livenessProbe",),
        example="Container web failed liveness probe, will be restarted",
    ),
    pattern(
        "stop-timeout",
        "not-memory",
        "systemd itself ended it: it was asked to stop and did not within its time",
        r"State '(?:stop|final)-\w{1,20}' timed out|[Ss]topping timed out\. (?:Killing|Terminating)"
        r"|stopping timed out|Failed with result 'timeout'|Active: failed \(Result: timeout\)"
        r"|Killing process \d{1,10} \(.{0,64}\) with signal SIGKILL",
        "timed out",
        "result 'timeout'",
        "(Result: timeout)",
        "with signal SIGKILL",
        source="systemd",
        advice=("give it more time to stop (`TimeoutStopSec=`), or see why it does not end at SIGTERM",),
        example="prep.service: State 'stop-sigterm' timed out. Killing.",
    ),
    pattern(
        "cancelled",
        "not-memory",
        "somebody cancelled the job, or the batch system took its machine for another one",
        r"CANCELLED AT .{1,40} DUE TO (?:PREEMPTION|NODE FAILURE)|CANCELLED AT [\dT:-]{10,30} ?\*|TERM_OWNER"
        r"|reason\"?:\s{1,8}\"?(?:Evicted|Preempted)\b|DeadlineExceeded",
        "CANCELLED AT",
        "TERM_OWNER",
        "Evicted",
        "Preempted",
        "DeadlineExceeded",
        source="Slurm, LSF, Kubernetes",
        advice=("ask who cancelled it: `sacct -j JOB`, `kubectl describe pod`",),
        example="slurmstepd: error: *** JOB 12 ON node1 CANCELLED AT 2024-05-01T10:00:00 ***",
    ),
    pattern(
        "tiktoken-stack",
        "not-memory",
        "tiktoken's regex engine ran out of stack on one very long run of text without a break; RAM is not short",
        r"PanicException.{0,120}StackOverflow",
        "PanicException",
        source="tiktoken",
        advice=(
            "let no run without a break reach tiktoken: `memguard tokenize FILE -o DIR` cuts safely, "
            "or names the offset",
        ),
        example="pyo3_runtime.PanicException: called `Result::unwrap()` on an `Err` value: RuntimeError(StackOverflow)",
    ),
)
