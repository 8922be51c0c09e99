"""Memory that was refused, and /dev/shm that was full: the program ends by itself, nobody kills it. Pure.

Python and its libraries, Rust, C++. Other languages' own limits: runtimes.py.
"""

from __future__ import annotations

from memguard.diagnose.clues import Pattern, pattern

__all__ = ["MESSAGES"]

_REFUSED = "nothing was killed from outside"
_SHM = "/dev/shm was full: workers hand their batches over in shared memory, which has a limit of its own"

_LARGER = (
    "make it larger: `docker run --shm-size=8g …`; Kubernetes: an emptyDir with `medium: Memory` at /dev/shm; "
    "a machine: `sudo mount -o remount,size=8G /dev/shm` (it is RAM all the same)"
)
_SEE = "see what lies there, and remove what dead processes left: `df -h /dev/shm`, `ls -lhS /dev/shm`"

MESSAGES: tuple[Pattern, ...] = (
    pattern(
        "nccl-shm",
        "shm",
        "/dev/shm was full: NCCL keeps the buffers between the cards of one machine there",
        r"NCCL WARN Call to posix_fallocate failed|NCCL WARN Error while creating shared memory segment"
        r"|failed to extend /dev/shm/nccl",
        "posix_fallocate",
        "shared memory segment",
        "/dev/shm/nccl",
        source="NCCL",
        advice=(_LARGER, _SEE, "or do without it, which is slower: `NCCL_SHM_DISABLE=1`"),
        example="NCCL WARN Error: failed to extend /dev/shm/nccl-aaaaaa to 5967876 bytes",
    ),
    pattern(
        "shm-full",
        "shm",
        _SHM,
        r"killed by signal: Bus error|workers are out of shared memory|insufficient shared memory \(shm\)"
        r"|No space left on device: '/(?:dev/)?shm/|No space left on device.{0,80}/dev/shm"
        r"|/dev/shm.{0,120}No space left on device"
        r"|unable to open shared memory object.{0,160}No space left|could not resize shared memory segment"
        r"|unable to (?:write to file|allocate shared memory\(shm\) for file) </torch_"
        r"|SemLock.{0,60}No space left on device|joblib will operate in serial mode"
        r"|MP_SHM_ERR|shm_open.{0,40}No space left",
        "signal: Bus error",
        "out of shared memory",
        "insufficient shared memory",
        "/shm",
        "</torch_",
        "shared memory object",
        "resize shared memory",
        "SemLock",
        "in serial mode",
        "shm_open",
        source="torch, joblib",
        example="RuntimeError: DataLoader worker (pid 3) is killed by signal: Bus error. It is possible that "
        "dataloader's workers are out of shared memory.",
    ),
    pattern(
        "semlock",
        "context",
        "a lock of multiprocessing is being made; it lies in /dev/shm",
        r"_multiprocessing\.SemLock|SemLock\.__init__|joblib/_multiprocessing_helpers\.py|in SemLock"
        r"|multiprocessing/shared_memory\.py",
        "SemLock",
        "shared_memory.py",
        "_multiprocessing_helpers",
        source="multiprocessing",
    ),
    pattern(
        "semlock-refused",
        "shm",
        "/dev/shm was full (the locks of multiprocessing lie there), not the disk",
        r"No space left on device",
        "No space left on device",
        source="multiprocessing",
        advice=(_SEE, _LARGER),
        after="semlock",
        example="    sl = self._semlock = _multiprocessing.SemLock(\nOSError: [Errno 28] No space left on device",
    ),
    pattern(
        "array-refused",
        "allocation",
        f"numpy asked for one array that the system would not give; {_REFUSED}",
        r"Unable to allocate (?:(?P<size>[\d.]{1,12} (?:[KMGT]i?B|bytes)) for an )?array with (?:shape|form)",
        "Unable to allocate",
        source="numpy",
        example="numpy.core._exceptions._ArrayMemoryError: Unable to allocate 58.0 GiB for an array with shape (1, 2)",
    ),
    pattern(
        "rust-refused",
        "allocation",
        f"Rust code (tiktoken, tokenizers, polars) asked for memory that the system would not give; {_REFUSED}",
        r"memory allocation of (?P<size>\d{1,20}) bytes failed|^(?:memory allocation of ){2,8}[\d ]{1,80}bytes failed",
        "memory allocation of",
        source="Rust",
        example="memory allocation of 150994960 bytes failed",
    ),
    pattern(
        "fil-stopped",
        "allocation",
        "the profiler Fil ended the program itself, because memory was running out",
        r"=fil-profile= WARNING: Detected out-of-memory condition",
        "=fil-profile=",
        source="Fil",
        example="=fil-profile= WARNING: Detected out-of-memory condition, exiting soon.",
    ),
    pattern(
        "memory-error",
        "allocation",
        f"Python was refused memory and said so itself; {_REFUSED}",
        r"(?:^|[^\w.])(?:[\w.]{1,80}\.)?_?(?:Array)?MemoryError(?::|$|'>)",
        "MemoryError",
        source="CPython",
        example="MemoryError",
    ),
    pattern(
        "tensorflow-cpu",
        "allocation",
        f"TensorFlow asked for a tensor in the machine's memory that the system would not give; {_REFUSED}",
        r"OOM when allocating tensor.{0,400}(?:device:CPU|by allocator (?:cpu|mklcpu))",
        "OOM when allocating tensor",
        source="TensorFlow",
        example="Resource exhausted: OOM when allocating tensor with shape[1,416,416,3] and type float on "
        "/job:localhost/replica:0/task:0/device:CPU:0 by allocator cpu",
    ),
    pattern(
        "tensorflow-warning",
        "unclear",
        "TensorFlow warns that one request is more than a tenth of the free memory; by itself that refuses nothing",
        r"Allocation of (?P<size>\d{1,20}) exceeds \d{1,3}% of (?:free )?system memory",
        "system memory",
        source="TensorFlow",
        example="W tensorflow/core/framework/cpu_allocator_impl.cc:82] Allocation of 1207959552 exceeds 10% of free "
        "system memory.",
    ),
    pattern(
        "allocation-failed",
        "allocation",
        f"a request for memory was refused by the system; {_REFUSED}",
        r"std::bad_alloc|(?<!anyway: )Cannot allocate memory|enough memory for the allocation"
        r"|pyarrow\.lib\.ArrowMemoryError"
        r"|malloc of size (?P<size>\d{1,20}) failed"
        r"|DefaultCPUAllocator: (?:can't|not enough) .{0,60}?allocate (?P<size4>\d{1,20}) bytes"
        r"|DefaultCPUAllocator: (?:can't|not) "
        r"|unable to mmap \d{1,20} bytes|\bENOMEM\b|virtual memory exhausted|LLVM ERROR: out of memory"
        r"|(?:cc1plus|cc1|ld): out of memory|memory exhausted$|out of memory allocating (?P<size2>\d{1,20}) bytes"
        r"|Failed on request of size (?P<size3>\d{1,20})|Out of Memory Error: (?:failed|could not) "
        r"|Cannot allocate \d{1,20} bytes of memory|^(?:lua: )?not enough memory$|exception Out_of_memory"
        r"|[Hh]eap exhausted[;,]",
        "std::bad_alloc",
        "Cannot allocate memory",
        "enough memory for the allocation",
        "ArrowMemoryError",
        "malloc of size",
        "DefaultCPUAllocator",
        "unable to mmap",
        "ENOMEM",
        "memory exhausted",
        "out of memory",
        "on request of size",
        "Out of Memory Error",
        "bytes of memory",
        "not enough memory",
        "Out_of_memory",
        "eap exhausted",
        source="C, C++, torch, Arrow, gcc, PostgreSQL, DuckDB",
        example="terminate called after throwing an instance of 'std::bad_alloc'",
    ),
    pattern(
        "pool-waits",
        "hang",
        "the main process was waiting in multiprocessing.Pool, which never notices that a worker was killed",
        r"multiprocessing/pool\.py\", line \d{1,6}, in (?:wait|get|next)\b",
        "multiprocessing/pool.py",
        source="multiprocessing",
        example='  File "/usr/lib/python3.11/multiprocessing/pool.py", line 765, in wait',
    ),
    pattern(
        "page-allocation-stall",
        "thrashing",
        "requests for memory had to wait for seconds: the machine was reclaiming and swapping instead of working",
        r"page allocation stalls? for \d{1,9}ms",
        "page allocation stall",
        source="kernel",
        example="[ 10.0] python: page allocation stalls for 12345ms, order:0",
    ),
    pattern(
        "pressure",
        "thrashing",
        "the kernel counts most of the time as lost to waiting for memory (memory pressure)",
        r"^full avg10=(?:[2-9]\d|100)\.\d\d avg60=(?:[1-9]\d|100)\.\d\d ",
        "full avg10=",
        source="kernel (PSI)",
        example="full avg10=62.10 avg60=41.00 avg300=12.00 total=99",
    ),
    pattern(
        "pressure-unrelieved",
        "thrashing",
        "systemd-oomd saw the memory pressure pass its limit",
        r"Memory pressure for \S{1,300} is [\d.]{1,8}% > [\d.]{1,8}% for",
        "emory pressure for ",
        source="systemd-oomd",
        example="Memory pressure for /system.slice is 85.03% > 80.00% for > 2s with reclaim activity",
    ),
    pattern(
        "quota-passed",
        "thrashing",
        "the process is above its memory quota and swaps; Heroku lets it live (R14), it only gets slow",
        r"Error R14 \(Memory quota exceeded\)",
        "Error R14",
        source="Heroku",
        advice=("hold less, fewer workers (`heroku config:set WEB_CONCURRENCY=1`), or a larger dyno",),
        example="heroku[web.1]: Error R14 (Memory quota exceeded)",
    ),
    pattern(
        "dask-pauses",
        "unclear",
        "a Dask worker was near its memory limit and paused or spilled; that alone kills nothing",
        r"Worker is at \d{1,3}% memory usage|Memory use is high but worker has no data|Unmanaged memory use is high",
        "memory usage",
        "Memory use is high",
        "Unmanaged memory",
        source="Dask",
        advice=("smaller partitions, or more for each worker: `dask worker --memory-limit SIZE`, fewer `--nworkers`",),
        example="distributed.worker - WARNING - Memory use is high but worker has no data to store to disk.",
    ),
    pattern(
        "slurm-limit-met",
        "unclear",
        "the job met its memory limit at least once; whether something was killed for it is not said (the page cache "
        "counts, too, and the job may have ended well)",
        r"Exceeded (?:step|job) memory limit at some point|hit memory\S{0,6} limit at least once",
        "emory limit at some point",
        "hit memory",
        source="Slurm until 2018",
        advice=(
            "see how the job ended: `sacct -j JOB -o State,ExitCode,MaxRSS,ReqMem`",
            "where it failed, ask for more: `sbatch --mem=SIZE …`",
        ),
        example="slurmstepd: error: Exceeded step memory limit at some point.",
    ),
)
