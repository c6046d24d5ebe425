"""Checkpoints on s3://, which the checkpoint library cannot write or read: by way of this machine.

A checkpoint is written into a folder for temporary files and sent, its digest last. To be read, it
is fetched. That takes one process, since several would write their parts into one folder.
"""

import atexit
import functools
import shutil
import tempfile

import jax
from etils import epath

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError
from reenact_jax.train.checkpoints import digests


def check(workdir: epath.PathLike) -> None:
    """Reject several processes with a workdir that only one can write to.

    Raises:
      UserError: the workdir is on s3:// and there are several processes.
    """
    if _is_needed(workdir) and jax.process_count() > 1:
        raise UserError(
            f'--workdir {workdir}: several processes cannot write checkpoints to s3://; give a '
            'folder that all of them see, or gs://'
        )


def here(folder: epath.Path) -> epath.Path:
    """Return where a checkpoint is written: its own place, or a new one on this machine."""
    if not _is_needed(folder):
        return folder
    return epath.Path(tempfile.mkdtemp(prefix='reenact_jax-')) / folder.name


def send(written: epath.Path, folder: epath.Path) -> None:
    """Send a whole checkpoint from where it was written to its own place."""
    if written == folder:
        return
    names = storage.files(written)
    for name in sorted(names, key=lambda name: name == digests.NAME):
        storage.upload(written / name, folder / name)
    drop(written, folder)


def drop(written: epath.Path, folder: epath.Path) -> None:
    """Delete what is left where a checkpoint was written, unless that is its own place."""
    if written != folder:
        storage.remove_tree(written.parent)


def fetched(folder: epath.Path) -> epath.Path:
    """Return a folder to read the checkpoint from: its own, or a copy until the process ends."""
    return _copy(str(folder)) if _is_needed(folder) else folder


@functools.lru_cache(1)
def _copy(folder: str) -> epath.Path:
    target = epath.Path(tempfile.mkdtemp(prefix='reenact_jax-'))
    atexit.register(shutil.rmtree, target, ignore_errors=True)
    storage.download_tree(folder, target)
    return target


def _is_needed(folder: epath.PathLike) -> bool:
    return str(folder).startswith('s3://')
