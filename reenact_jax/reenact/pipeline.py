"""Stages of work that go on at the same time, each in a thread of its own, a few items ahead.

    with Pipeline() as line:
        frames = line.ahead(decoded(), 2)
        faces = line.ahead(detected(frames))
        for face in faces:
            ...

Streams do what they would do one after another: items keep their order, and an error stands where
it happened in that order, so that the first one wins, however far other stages are.
"""

import collections
import threading
from collections.abc import Iterable, Iterator
from typing import Any, Protocol, runtime_checkable

DEPTH = 2  # items that are ready and not yet taken, of a stage


@runtime_checkable
class Ahead(Protocol):
    """What reads a stream ahead: `Pipeline.ahead`, or `serial`."""

    def __call__(self, stream: Iterable, depth: int = DEPTH, /) -> Iterator:
        """Return the same items; up to `depth` of them are made before they are asked for."""
        ...


def serial(stream: Iterable, depth: int = DEPTH, /) -> Iterator:
    """Read nothing ahead: the same items, in the thread that takes them."""
    del depth
    return iter(stream)


class Pipeline:
    """Threads of streams that are read ahead; all of them have ended when the block ends.

    If the block ends early, by an error or Ctrl-C, every stage ends behind the item that it is at,
    and generators are closed in their own threads.
    """

    def __init__(self):
        """Begin without stages."""
        self._stages: list[_Stage] = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for stage in self._stages:
            stage.stop()
        for stage in self._stages:
            stage.join()

    def ahead(self, stream: Iterable, depth: int = DEPTH, /) -> Iterator:
        """Read a stream in a thread, which starts when the first item is asked for.

        Args:
          stream: is iterated in that thread alone.
          depth: most items that are ready and not yet taken; one more is being made.
        """
        self._stages.append(_Stage(stream, depth))
        return self._stages[-1]


class _Stopped(Exception):
    """The stage before has been stopped: what waits for its items ends, too."""


class _Stage(Iterator):
    """A stream, its thread and the items between."""

    def __init__(self, stream: Iterable, depth: int):
        self._stream, self._depth = stream, depth
        self._ready: collections.deque[Any] = collections.deque()
        self._changed = threading.Condition()
        self._error: BaseException | None = None
        self._over = self._stopped = False
        self._thread: threading.Thread | None = None

    def __next__(self):
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name='reenact stage')
            self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._over or self._stopped)
            if self._stopped:
                raise _Stopped
            if self._ready:
                item = self._ready.popleft()
                self._changed.notify_all()
                return item
            error, self._error = self._error, None
        if error is not None:
            raise error
        raise StopIteration

    def stop(self) -> None:
        """Let the thread end, and whoever waits for its items."""
        with self._changed:
            self._stopped = True
            self._ready.clear()
            self._changed.notify_all()

    def join(self) -> None:
        """Wait for the end of the thread."""
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            for item in self._stream:
                if not self._put(item):
                    break
        except BaseException as caught:  # it is raised where the items are taken
            error = caught
        finally:
            close = getattr(self._stream, 'close', None)
            if self._stopped and close is not None:
                close()
        with self._changed:
            self._error, self._over = error, True
            self._changed.notify_all()

    def _put(self, item: Any) -> bool:
        """Hand an item over once there is room; return whether to go on."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._ready) < self._depth or self._stopped)
            if not self._stopped:
                self._ready.append(item)
                self._changed.notify_all()
            return not self._stopped
