"""The folder of a run: which config it belongs to, and where compiled programs are kept."""

import contextlib
import os

import jax
from etils import epath

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError
from reenact_jax.train import config
from reenact_jax.train.checkpoints.places import places
from reenact_jax.train.config import Run

CONFIG = 'config.json'


def owned(workdir: epath.PathLike) -> contextlib.AbstractContextManager:
    """Own the folder, on the first process of a run, for all of them.

    Raises:
      UserError: another run is at work there, or `workdir` is a file.
    """
    folder = storage.path(workdir)
    if storage.exists(folder) and not storage.is_dir(folder):
        raise UserError(f'--workdir {workdir}: a file, expected a folder')
    if jax.process_index() != 0:
        return contextlib.nullcontext()
    return storage.owning(folder, what='a training')


def claim(workdir: epath.PathLike, values: dict) -> None:
    """Make the folder this config's.

    Args:
      values: the config, from `config.to_json`.

    Raises:
      UserError: the folder belongs to another config (names the fields), or holds something else.
    """
    folder = storage.path(workdir)
    file = folder / CONFIG
    if storage.exists(file):
        before = storage.read_json(file)
        if not isinstance(before, dict) or not isinstance(before.get(config.HPARAMS, {}), dict):
            raise UserError(
                f'{file}: not the config of a run; restore it from a copy, or from the item config '
                'of a checkpoint'
            )
        _compare(workdir, before, values)
    elif storage.is_dir(folder) and storage.names(folder):
        raise UserError(f'--workdir {workdir}: holds files but no run ({CONFIG}); name another')
    if jax.process_index() == 0:
        storage.write_json(file, values)


def recall(workdir: epath.PathLike, values: dict) -> dict:
    """Return the config with the weights that the run in this folder started from, if it has begun.

    Before its first checkpoint a run starts again, from what is given now, or else from what was.

    Args:
      workdir: folder of the run; it need not exist, and what is not a run's is left to `claim`.
      values: the config, from `config.to_json`.
    """
    file, given = storage.path(workdir) / CONFIG, values.get('init', [])
    try:
        before = list(storage.read_json(file).get('init', ())) if storage.exists(file) else None
    except (UserError, AttributeError, TypeError):  # damaged
        before = None
    if before is None:
        return values
    if given in ([], before):
        return {**values, 'init': before}
    if not places(workdir):
        return values
    if jax.process_index() == 0:
        begun = f'started from {", ".join(before)}' if before else 'started from nothing'
        print(f'--init: ignored, the run in {workdir} resumes; it {begun}')
    return {**values, 'init': before}


def require(workdir: epath.PathLike) -> None:
    """Raise UserError where this process does not see what the first one wrote by `claim`."""
    if not storage.exists(storage.path(workdir) / CONFIG):
        raise UserError(
            f'--workdir {workdir}: the folder that the first process writes to is not seen here; '
            'give one that all hosts share (a bucket or a network folder)'
        )


def keep_programs(run: Run) -> None:
    """Keep compiled programs for later runs, unless the setting or JAX's own says otherwise."""
    folder = run.compilation_cache
    if folder is None and not os.environ.get('JAX_COMPILATION_CACHE_DIR'):
        folder = os.path.expanduser('~/.cache/reenact_jax/programs')
    if folder:
        jax.config.update('jax_compilation_cache_dir', folder)


def _compare(workdir: epath.PathLike, before: dict, now: dict) -> None:
    """Reject a run of another system or config."""
    old, new = before.get(config.SYSTEM), now[config.SYSTEM]
    if old != new:
        raise UserError(f'--workdir {workdir}: a run of system {old!r}, not {new!r}; name another')
    if fields := config.differences(before, now):
        raise UserError(
            f'--workdir {workdir}: begun with another config: {"; ".join(fields)}; '
            'resume with the same, or name another folder'
        )
    rows, rows_now = (values.get('batch_size') for values in (before, now))
    if rows != rows_now and jax.process_index() == 0:
        own = "the system's own"
        print(
            f'config.batch_size: {rows or own} before, {rows_now or own} now; schedules count '
            'steps, and stay as they are'
        )
