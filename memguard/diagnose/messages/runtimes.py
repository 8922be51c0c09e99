"""Languages with a memory limit of their own, and Windows: what they say when it is reached. Pure.

RAM does not help where the runtime's own limit is too low; the advice of each entry names that limit.
"""

from __future__ import annotations

from memguard.diagnose.clues import Pattern, pattern

__all__ = ["MESSAGES"]

_NODE = (
    "raise V8's own limit: `NODE_OPTIONS=--max-old-space-size=8192` (MiB); it does not grow with the RAM",
    "see what holds the objects: `node --heapsnapshot-near-heap-limit=1 …`",
)
_JAVA = (
    "raise the Java heap: `java -Xmx8g …`, Spark: `--driver-memory`, `spark.executor.memory`",
    "see what holds it: `-XX:+HeapDumpOnOutOfMemoryError`",
)
_JAVA_NATIVE = (
    "leave room beside the heap: a smaller `-Xmx`, fewer threads; the JVM asked the system, and it had no more",
    "look for limits that refuse memory: `ulimit -v`, the container's memory limit",
)
_WINDOWS = (
    "let Windows make the paging file larger: System > Advanced > Performance > Virtual memory (system managed)",
    "fewer DataLoader workers: on Windows each one loads torch's libraries again (`num_workers=0` needs the least)",
)
_GIT = (
    "let git hold less: `git config pack.windowMemory 256m`, `pack.threads 1`, `core.bigFileThreshold 50m`",
    "where the line begins with `remote:`, it is the server that has no memory: smaller pushes, or Git LFS",
)

MESSAGES: tuple[Pattern, ...] = (
    pattern(
        "node-heap",
        "allocation",
        "Node.js reached V8's own heap limit, which does not grow with the machine's memory; nothing was killed",
        r"JavaScript heap out of memory|node::OOMErrorHandler|V8::FatalProcessOutOfMemory|ERR_WORKER_OUT_OF_MEMORY"
        r"|Allocation failed - process out of memory|Array buffer allocation failed",
        "heap out of memory",
        "OOMErrorHandler",
        "FatalProcessOutOfMemory",
        "ERR_WORKER_OUT_OF",
        "process out of memory",
        "buffer allocation failed",
        source="Node.js",
        advice=_NODE,
        example="FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory",
    ),
    pattern(
        "java-heap",
        "allocation",
        "the JVM reached a limit of its own (-Xmx, metaspace, direct buffers); nothing was killed from outside",
        r"java\.lang\.OutOfMemoryError: (?:Java heap space|GC overhead limit exceeded|Metaspace|PermGen|"
        r"Direct buffer memory|Requested array size|Compressed class)|OutOfMemory encountered: Java heap space"
        r"|Cannot reserve \d{1,20} bytes of direct buffer memory",
        "java.lang.OutOfMemoryError",
        "OutOfMemory encountered",
        "direct buffer memory",
        source="JVM, Spark",
        advice=_JAVA,
        example='Exception in thread "main" java.lang.OutOfMemoryError: Java heap space',
    ),
    pattern(
        "java-native",
        "allocation",
        "the system would not give the JVM the memory that it asked for outside its heap; nothing was killed",
        r"insufficient memory for the Java Runtime|Native memory allocation \(\w{1,10}\) failed to "
        r"(?:map|allocate) (?P<size>\d{1,20}) bytes|os::commit_memory\(0x[0-9a-f]{1,16}, (?P<size2>\d{1,20}), "
        r"|Could not reserve enough space for (?:object heap|(?P<size3>\d{1,12}KB) object heap)"
        r"|java\.lang\.OutOfMemoryError: (?:Map failed|Out of swap space|request \d{1,20} bytes)",
        "Java Runtime Environment",
        "Native memory allocation",
        "os::commit_memory",
        "Could not reserve enough",
        "java.lang.OutOfMemoryError",
        source="JVM",
        advice=_JAVA_NATIVE,
        example="# Native memory allocation (mmap) failed to map 1073741824 bytes for committing reserved memory.",
    ),
    pattern(
        "windows-commit",
        "allocation",
        "Windows had no room left in its paging file for what the program asked for (error 1455: the commit limit, "
        "not the RAM in use)",
        r"WinError 1455|os error 1455|\berror(?: code)?:? 1455\b|errno=1455|paging file is too small|页面文件太小"
        r"|Auslagerungsdatei ist zu klein|fichier de pagination est insuffisant|ページング ?ファイルが小さすぎる",
        "1455",
        "paging file",
        "页面文件太小",
        "Auslagerungsdatei",
        "fichier de pagination",
        "ページング",
        source="Windows",
        advice=_WINDOWS,
        example="OSError: [WinError 1455] The paging file is too small for this operation to complete.",
    ),
    pattern(
        "go-refused",
        "allocation",
        "the system would not give Go's runtime the memory that it asked for; nothing was killed from outside",
        r"fatal error: (?:runtime: )?(?:out of memory|cannot allocate memory)"
        r"|runtime: out of memory: cannot allocate (?P<size>\d{1,20})-byte|runtime: out of memory"
        r"|runtime: cannot allocate heap metadata|runtime: VirtualAlloc of (?P<size2>\d{1,20}) bytes failed",
        "fatal error: ",
        "runtime: out of memory",
        "VirtualAlloc of",
        "heap metadata",
        source="Go",
        advice=(
            "give the collector a soft limit below the real one: `GOMEMLIMIT=4GiB`, or `GOGC=50`",
            "look for limits that refuse memory: `ulimit -v`, the container's memory limit",
        ),
        example="fatal error: runtime: out of memory",
    ),
    pattern(
        "r-refused",
        "allocation",
        "R asked for one vector that it could not have; nothing was killed from outside",
        r"can ?not allocate vector of (?:size|length) (?P<size>[\d.]{1,12} ?(?:[KMGTkmgt]?[Bb])?)"
        r"|Reached total allocation of \d{1,9}Mb|memory exhausted \(limit reached\?\)",
        "allocate vector of",
        "total allocation of",
        "memory exhausted (",
        source="R",
        advice=(
            "remove what is no longer needed (`rm(x); gc()`), or read in pieces (data.table, arrow)",
            "where R itself is limited: `R_MAX_VSIZE=16Gb` in ~/.Renviron",
        ),
        example="Error: cannot allocate vector of size 4.5 Gb",
    ),
    pattern(
        "git-refused",
        "allocation",
        "git could not have the memory for an object or a pack; nothing was killed from outside",
        r"Out of memory, (?:malloc|realloc|calloc) failed(?: \(tried to allocate (?P<size>\d{1,20}) bytes\))?"
        r"|fatal: (?:mmap failed|packfile .{0,200} cannot be mapped)",
        "Out of memory, ",
        "fatal: mmap failed",
        "cannot be mapped",
        source="git",
        advice=_GIT,
        example="remote: fatal: Out of memory, malloc failed (tried to allocate 518756187 bytes)",
    ),
    pattern(
        "php-limit",
        "allocation",
        "PHP reached its own memory_limit; nothing was killed from outside",
        r"Allowed memory size of \d{1,15} bytes exhausted(?: \(tried to allocate (?P<size>\d{1,15}) bytes\))?",
        "Allowed memory size",
        source="PHP",
        advice=("raise PHP's own limit: `php -d memory_limit=1G …`, or memory_limit in php.ini",),
        example="PHP Fatal error:  Allowed memory size of 134217728 bytes exhausted (tried to allocate 4096 bytes)",
    ),
    pattern(
        "runtime-refused",
        "allocation",
        "the language's runtime was refused memory and said so itself; nothing was killed from outside",
        r"System\.OutOfMemoryException|NoMemoryError|^Out of memory[!.](?! avail:)|OutOfMemoryError\(\)"
        r"|Insufficient memory to "
        r"continue the execution of the program|Out of memory \(Needed (?P<size>\d{1,20}) bytes\)",
        "OutOfMemoryException",
        "NoMemoryError",
        "Out of memory",
        "OutOfMemoryError()",
        "Insufficient memory to continue",
        "Out of memory (Needed",
        source=".NET, Ruby, Perl, Julia, MySQL",
        advice=(
            "look for limits that refuse memory: `ulimit -v`, the container's memory limit",
            "let it be stopped in time, with the size on record: `memguard run -- COMMAND …`",
        ),
        example="Unhandled exception. System.OutOfMemoryException: Array dimensions exceeded supported range.",
    ),
)
