"""A full disk: the error of a run that cannot write any more."""

import contextlib
from collections.abc import Iterator

from etils import epath

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError


@contextlib.contextmanager
def explained(workdir: epath.PathLike) -> Iterator[None]:
    """Turn an error about missing room, however deep in its chain, into a UserError."""
    try:
        yield
    except Exception as error:
        reason = storage.no_room(error)
        if reason is None:
            raise
        raise UserError(
            f'{workdir}: no room left to write ({reason}); checkpoints that were complete are '
            'untouched; make room there (or raise the quota) and start the same command again: '
            'it resumes'
        ) from None
