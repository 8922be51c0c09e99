"""The watched tree: what measures it, what holds it, and how it is stopped and let run."""

from __future__ import annotations

from memguard.system.limits import LimitsReader
from memguard.system.proc import Process
from memguard.system.run_mark import find_marked
from memguard.watch.decide.policy import Sample
from memguard.watch.kernel.cgroup_limit import CgroupLimit, NoCgroup
from memguard.watch.kernel.data_limit import DataLimit
from memguard.watch.measure.sampler import Sampler
from memguard.watch.options import Options
from memguard.watch.process import actions
from memguard.watch.process.root import Root, members_of

__all__ = ["GuardedTree"]


class GuardedTree:
    """`mark` is an environment variable of its processes, and its value; `cgroup` the kernel's limit around it."""

    def __init__(
        self,
        root: Root,
        options: Options,
        *,
        mark: tuple[str, str] | None = None,
        cgroup: CgroupLimit | NoCgroup | None = None,
    ) -> None:
        self.root, self.cgroup = root, cgroup or NoCgroup("not asked for")
        self.data_limit = DataLimit(options.fence, throttles=self.cgroup.throttles)
        path = self.cgroup.path
        ignore = () if path is None else (path,)
        limits = LimitsReader(root.pid, limit=options.limit, reserve=options.reserve, rlimits=False, ignore=ignore)
        self.sampler = Sampler(root.process, limits, mark=mark, own_cgroup=path, throttles=self.cgroup.throttles)
        self.frozen: tuple[Process, ...] = ()
        self._mark, self._timing = mark, options.timing

    @property
    def processes(self) -> tuple[Process, ...]:
        return self.sampler.processes

    def follow(self, sample: Sample) -> None:
        """Moves the kernel's limits to where the sample puts them."""
        self.cgroup.follow(sample.constraints)
        if sample.tightest is not None:
            self.data_limit.move(self.processes, sample.tightest.headroom)

    def loosen(self) -> None:
        """Lets a stopped tree run once more: what sleeps at the kernel's limit sees no signal until that is raised, and
        an exception needs memory to be raised."""
        self.data_limit.release()
        self.cgroup.loosen()

    def strays(self) -> tuple[Process, ...]:
        """What is in the cgroup or carries the mark, whoever its parent is now."""
        inside = members_of(self.cgroup.path) if self.cgroup.path else ()
        return tuple(dict.fromkeys((*inside, *(find_marked(*self._mark) if self._mark else ()))))

    def stop(self) -> tuple[Process, ...]:
        """First what is known, at once; then what a double fork has taken out of the tree."""
        stopped = actions.stop(self.root.process, self.processes, self._timing.stop_within)
        strays = self.strays()
        if set(strays) <= set(stopped):
            return stopped
        return actions.stop(self.root.process, (*stopped, *strays), self._timing.stop_within)

    def freeze(self) -> None:
        """Stops it; `frozen` is what was stopped, until thaw()."""
        self.frozen = self.stop()

    def thaw(self) -> None:
        actions.resume(self.frozen)
        self.frozen = ()
