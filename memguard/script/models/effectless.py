"""Modules whose functions keep nothing of the input, whatever they get: rows of names, each with its reason."""

from __future__ import annotations

from memguard.script.registry import function, gives, nothing
from memguard.script.values import Small

__all__ = ["NO_EFFECT"]

NO_EFFECT = {
    "time.* datetime.* calendar.* zoneinfo.*": "a time",
    "math.* random.* statistics.* secrets.* uuid.* decimal.* fractions.* cmath.*": "a number, or one of few",
    "sys.* platform.* resource.* psutil.* gc.* signal.* atexit.* faulthandler.* tracemalloc.*": "a setting or a number",
    "logging.* warnings.* traceback.* pprint.* rich.* loguru.* structlog.* wandb.*": "reported and let go",
    "shutil.* tempfile.*": "files on the disk, copied through a small buffer",
    "typing.* abc.* dataclasses.* enum.* types.* inspect.* importlib.* contextvars.* __future__.*": "types and names",
    "threading.* asyncio.* queue.Empty queue.Full": "locks and events",
    "yaml.* toml.* tomllib.* configparser.* dotenv.* hydra.* omegaconf.* absl.*": "settings",
    "argparse.* getpass.* locale.* gettext.* curses.* readline.*": "words of the command line",
    "zlib.crc32 zlib.adler32 binascii.crc32 xxhash.* mmh3.*": "a number",
    "struct.calcsize struct.unpack struct.unpack_from struct.pack struct.pack_into struct.error": "a few numbers",
    "huggingface_hub.*": "files in a cache",
    "click.*": "words of the command line",
    "os.get* os.environ.* os.fsync os.fdatasync os.close os.kill os.wait* os.nice os.sched_* os.umask os.sysconf": (
        "a number or a word"
    ),
    "os.makedirs os.mkdir os.remove os.unlink os.rename os.replace os.rmdir os.stat os.lstat os.utime os.truncate": (
        "files on the disk"
    ),
    "os.chdir os.chmod os.link os.symlink os.access os.statvfs os.disk_usage os.posix_fadvise os.write os.uname": (
        "files on the disk"
    ),
    "os.WEXITSTATUS os.WIFEXITED os.WIFSIGNALED os.WTERMSIG os.system os.killpg os.set* os.putenv os.unsetenv": (
        "a number or a setting"
    ),
    "os.fstat os.fstatvfs os.fsencode os.fsdecode os.readlink os.removedirs os.renames os.mkfifo os.fchmod os.chown": (
        "files on the disk"
    ),
    "os.sync os.posix_fallocate os.pathconf os.strerror os.ctermid os.ttyname os.pipe os.dup os.dup2 os.times": (
        "files on the disk"
    ),
    "os.register_at_fork os.DirEntry os.PathLike os.eventfd os.openpty os.major os.minor": "a number or a name",
    "glob.escape glob.has_magic fnmatch.fnmatch fnmatch.fnmatchcase fnmatch.translate zipfile.is_zipfile": (
        "a short text"
    ),
    "tarfile.is_tarfile codecs.lookup codecs.getreader codecs.getwriter codecs.register shlex.quote": (
        "a name or a bool"
    ),
    "contextlib.chdir contextlib.redirect_stderr functools.update_wrapper functools.cmp_to_key": (
        "a function or a setting, for as long as it is called"
    ),
    "contextlib.AbstractContextManager contextlib.ContextDecorator collections.abc.* numbers.* operator.length_hint": (
        "a class or a number"
    ),
    "csv.get_dialect csv.list_dialects csv.unregister_dialect csv.Dialect csv.excel csv.excel_tab csv.unix_dialect": (
        "a setting"
    ),
    "io.text_encoding re.RegexFlag": "a setting",
    "matplotlib.* seaborn.* plotly.* tabulate.* termcolor.* colorama.* humanize.* prettytable.* art.*": (
        "drawn or shown, and let go"
    ),
    "packaging.* filelock.* portalocker.* dateutil.* pytz.* setproctitle.* pynvml.* GPUtil.* gdown.* wget.*": (
        "a version, a lock, a time, a file on the disk"
    ),
    "mlflow.* tensorboard.* comet_ml.* neptune.* clearml.* sentry_sdk.* rich_argparse.* coloredlogs.*": (
        "reported and let go"
    ),
    "os.fork os._exit os.abort os.urandom os.lseek os.ftruncate os.isatty os.terminal_size os.copy_file_range": (
        "a number, or a copy that the kernel makes when it is written to"
    ),
}

# Bytes of a digest; hexdigest has two characters for each.
_DIGESTS = {"md5": 16, "sha1": 20, "sha224": 28, "sha256": 32, "sha384": 48, "sha512": 64, "blake2b": 64, "blake2s": 32}
_DIGESTS |= {"sha3_256": 32, "sha3_512": 64, "new": 32}

for names, reason in NO_EFFECT.items():
    function(names)(nothing(reason, runs=False))

function("hashlib.* hmac.new random.Random logging.getLogger struct.Struct threading.Lock threading.Event")(
    gives("a few hundred bytes of its own")
)
function("hashlib.*().* hmac.new().*")(nothing("a hash is as long whatever it has seen"))
for _digest, _bytes in _DIGESTS.items():
    function(f"hashlib.{_digest}().hexdigest")(nothing("a hash", Small("str", 2.0 * _bytes)))
    function(f"hashlib.{_digest}().digest")(nothing("a hash", Small("bytes", float(_bytes))))
