"""One owner of a folder or file that is being written: a second one is refused, by name.

The owner leaves a small file that says who it is, and renews it now and then. It counts as gone
when its process has ended (on the same machine), or when it has not renewed the file for a while
(elsewhere): so a run that was killed can be started again at once where it ran. On this machine and
on network folders only one of two can make the file. A bucket keeps the last of two writers, which
each finds out by reading it again.
"""

import contextlib
import functools
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator

from etils import epath

from reenact_jax.common.errors import UserError
from reenact_jax.common.storage import paths, whole

RENEWED = 20.0  # seconds between two signs of life
GONE = 120.0  # seconds without one after which an owner elsewhere counts as gone
_MOST = 10_000  # bytes of the file
_HELD: dict[str, tuple] = {}  # what this process owns: token -> (file, its content)
_RENEWING = threading.Lock()  # held while a file is renewed, so that none comes back


@contextlib.contextmanager
def owning(folder: epath.PathLike, name: str = '', what: str = 'a run') -> Iterator[None]:
    """Own a folder, or one file in it, during the block.

    Args:
      folder: is made if it is not there.
      name: of the file in it; '': all of the folder.
      what: what the owner is, for the message.

    Raises:
      UserError: another process owns it.
    """
    place = paths.path(folder)
    # Listings leave it out, as they do with unfinished writes.
    file = place / f'.owner{name and "-"}{name}{paths.PARTIAL}'
    mine = {'what': what, 'token': uuid.uuid4().hex, **_self()}
    _take(file, f'{place / name}' if name else f'{place}', mine)
    _HELD[mine['token']] = file, mine
    _start_renewing(os.getpid())
    try:
        yield
    finally:
        with _RENEWING:
            del _HELD[mine['token']]
        if (_owner(file) or {}).get('token') == mine['token']:
            with contextlib.suppress(OSError):
                whole.remove(file)


def _take(file: epath.Path, where: str, mine: dict) -> None:
    """Make the file, or raise UserError with the name of the one whose it is."""
    for _ in range(3):
        owner = _owner(file)
        if owner is not None and _lives(owner):
            raise UserError(
                f'{where}: {owner.get("what", "a run")} is at work there: process '
                f'{owner.get("process")} on {owner.get("host")}, since {owner.get("since")}; wait '
                f'until it ends, or stop it; if it is gone, delete {file}'
            )
        if owner is not None or file.exists():
            whole.remove(file)
        if _made(file, mine):
            return
    raise UserError(f'{where}: others begin to work there at the same moment; try again')


def _made(file: epath.Path, mine: dict) -> bool:
    """Whether the file could be made, with this owner in it."""
    text = json.dumps(mine | {'alive': time.time()}).encode()
    if not paths.is_local(file):
        whole.write(file, text)
        return (_owner(file) or {}).get('token') == mine['token']
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = f'{file}.{mine["token"]}{paths.PARTIAL}'
    try:
        with open(draft, 'wb') as opened:
            opened.write(text)
        os.link(draft, file)  # fails where there is one, also on network folders
    except FileExistsError:
        return False
    finally:
        with contextlib.suppress(OSError):
            os.unlink(draft)
    return (_owner(file) or {}).get('token') == mine['token']


@functools.cache
def _start_renewing(process: int) -> None:
    del process  # a fork starts its own
    threading.Thread(target=_renew, daemon=True).start()


def _renew() -> None:
    """Give signs of life of all that this process owns, as long as it lives."""
    while True:
        time.sleep(RENEWED)
        for token in list(_HELD):
            with _RENEWING, contextlib.suppress(Exception):  # the work matters more
                if token in _HELD:
                    file, mine = _HELD[token]
                    whole.write(file, json.dumps(mine | {'alive': time.time()}))


def _owner(file: epath.Path) -> dict | None:
    """Read the file; None: there is none, or it says nothing."""
    try:
        owner = json.loads(whole.read(file)[:_MOST])
    except (UserError, ValueError, OSError):
        return None
    return owner if isinstance(owner, dict) else None


def _lives(owner: dict) -> bool:
    """Whether an owner is still at work, as far as can be told from here."""
    here, process = _self(), owner.get('process')
    if owner.get('machine') == here['machine'] and isinstance(process, int):
        return owner.get('began') == _began(process)
    alive = owner.get('alive')
    return isinstance(alive, int | float) and abs(time.time() - alive) < GONE


def _self() -> dict:
    """Say who this process is; its number alone may be given again to another."""
    process = os.getpid()
    return {
        'process': process,
        'began': _began(process),
        'host': socket.gethostname(),
        'machine': _machine(),
        'since': time.strftime('%Y-%m-%d %H:%M:%S'),
    }


def _machine() -> str:
    """Name what process numbers belong to: this start of the machine, and the container."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        with open('/proc/sys/kernel/random/boot_id') as file:
            parts.append(file.read().strip())
        parts.append(os.readlink('/proc/self/ns/pid'))
    return ' '.join(parts)


def _began(process: int) -> str | None:
    """Return when a process began, in ticks of this machine; None: it has ended."""
    try:
        with open(f'/proc/{process}/stat') as file:
            fields = file.read().rpartition(')')[2].split()
    except OSError:
        return None
    return None if fields[0] in 'ZX' else fields[19]
