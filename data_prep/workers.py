"""Worker processes: they end with the process that started them, and die alone."""

import contextlib
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from multiprocessing import connection
from typing import Any, NamedTuple

from reenact_jax.common.errors import UserError

_LOOK = 0.2  # seconds between two looks at how far the workers are
# Does jobs somewhere: gets a function of a job and of what it calls for every step, the jobs, and
# what is called with numbers of steps; yields the number of a job with its result or `Lost`.
Run = Callable[[Callable, Sequence, Callable[[int], object]], Iterable[tuple[int, Any]]]


class Lost(NamedTuple):
    """What a job gave whose process died twice, the second time with no other beside it."""

    reason: str


def end_with_parent() -> None:
    """End this worker when its parent ends: a killed parent cannot tell its workers to stop."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def run(
    function: Callable[[Any, Callable[[], None]], Any],
    jobs: Sequence,
    workers: int,
    progress: Callable[[int], object],
) -> Iterator[tuple[int, Any]]:
    """Do jobs in other processes; one that dies (crash, kill, out of memory) takes no other along.

    A job whose process has died is tried once more at the end, alone: memory that others held is
    free then.

    Args:
      function: gets a job and what it has to call for every step of it; of a module, as the jobs
        and results are copied.
      jobs: what is to be done.
      workers: processes at a time.
      progress: called with the number of steps since the last call; negative where steps are lost.

    Yields:
      (number of the job, its result or `Lost`), in the order in which they end.

    Raises:
      UserError: a job raised it.
      RuntimeError: a job raised something else; with its traceback.
    """
    lost = []
    for number, result in _spread(function, dict(enumerate(jobs)), workers, progress):
        if isinstance(result, Lost):
            lost.append(number)
        else:
            yield number, result
    for number in sorted(lost):
        yield from _spread(function, {number: jobs[number]}, 1, progress)


def _spread(function, jobs: Mapping, most: int, progress) -> Iterator[tuple[int, Any]]:
    """Do jobs in at most so many processes."""
    todo, idle, busy = list(jobs.items())[::-1], [], {}
    with contextlib.ExitStack() as stack:
        while todo or busy:
            while todo and len(busy) < most:
                worker = idle.pop() if idle else stack.enter_context(_Worker(function))
                worker.begin(*todo.pop())
                busy[worker.pipe] = worker
            for pipe in connection.wait(list(busy), _LOOK):
                worker = busy.pop(pipe)
                result = worker.result()
                if isinstance(result, Lost):
                    progress(-worker.counted)
                else:
                    progress(worker.advance())
                    idle.append(worker)
                yield worker.number, result
            for worker in busy.values():
                progress(worker.advance())


def all_done(results: Iterable[tuple[int, Any]], what: str) -> None:
    """Wait for jobs none of which may be lost.

    Args:
      results: what a `Run` yields.
      what: what they make, for the error.

    Raises:
      UserError: the process of one died twice.
    """
    for number, result in results:
        if isinstance(result, Lost):
            raise UserError(f'{what}: job {number}: {result.reason}; run the command again')


class Alone:
    """A process that does one job after another; where it dies, another takes its place."""

    def __init__(self, function: Callable[[Any, Callable[[], None]], Any]):
        """Take the function of `run`."""
        self._function, self._worker = function, None

    def do(self, job) -> Any:
        """Do a job; if its process dies, once more.

        Returns:
          Its result, or `Lost`.

        Raises:
          UserError: the job raised it.
          RuntimeError: the job raised something else; with its traceback.
        """
        result: Any = None
        for _ in range(2):
            self._worker = self._worker or _Worker(self._function)
            self._worker.begin(0, job)
            result = self._worker.result()
            if not isinstance(result, Lost):
                return result
            self.close()
        return result

    def close(self) -> None:
        """End the process."""
        if self._worker is not None:
            self._worker.__exit__()
            self._worker = None


class _Worker:
    """A process that does one job after another, and says how far it is."""

    def __init__(self, function):
        context = multiprocessing.get_context('spawn')  # MediaPipe's threads do not survive a fork
        # Nothing else is shared: a process that is killed while it holds a lock holds it for ever.
        self._steps = context.RawValue('q', 0)
        self.pipe, far = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(function, far, self._steps), daemon=True
        )
        self._process.start()
        far.close()
        self.number, self.counted = -1, 0

    def __enter__(self) -> '_Worker':
        return self

    def __exit__(self, *error) -> None:
        self.pipe.close()
        self._process.terminate()
        self._process.join()

    def begin(self, number: int, job) -> None:
        self.number, self.counted, self._steps.value = number, 0, 0
        with contextlib.suppress(OSError):  # it died meanwhile, which `result` finds out
            self.pipe.send(job)

    def advance(self) -> int:
        """Return the steps of this job since the last call."""
        before, self.counted = self.counted, self._steps.value
        return self.counted - before

    def result(self) -> Any:
        try:
            kind, value = self.pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            return Lost(_ending(self._process.exitcode or 0))
        if kind is UserError:
            raise UserError(value)
        if kind is RuntimeError:
            raise RuntimeError(f'in a worker process:\n{value}')
        return value


def _ending(code: int) -> str:
    if code >= 0:
        return f'its process ended with exit code {code}'
    name = signal.Signals(-code).name
    return f'its process was ended by {name}' + ', perhaps out of memory' * (name == 'SIGKILL')


def _serve(function, pipe, steps) -> None:
    """Do the jobs that come through a pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl-C: the parent decides
    end_with_parent()

    def step() -> None:
        steps.value += 1

    while True:
        try:
            job = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            answer = None, function(job, step)
        except MemoryError:
            pipe.send((None, Lost('out of memory')))
            return
        except UserError as error:
            answer = UserError, str(error)
        except Exception:
            answer = RuntimeError, traceback.format_exc()
        pipe.send(answer)
