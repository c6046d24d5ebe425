"""Regular files of this machine, of a bounded size: no pipe to wait for, no device, no link out.

What is looked at is what is read: size and kind are those of the file that is already open.
"""

import os
import stat

from reenact_jax.common.errors import UserError


def read(name: str | os.PathLike, most: int, links: bool = True) -> bytes:
    """Read a whole file, once.

    Args:
      name: the file.
      most: largest allowed size, bytes.
      links: whether `name` may be a symbolic link.

    Raises:
      FileNotFoundError: there is no such file.
      UserError: it is no regular file, a link that is not wanted, too large, or cannot be read.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if links else os.O_NOFOLLOW)
    try:
        if not links and os.path.islink(name):
            raise UserError(f'{name}: a symbolic link, expected a regular file')
        handle = os.open(name, flags)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UserError(f'{name}: cannot be read ({error.strerror})') from None
    try:
        check(name, handle, most)
    except UserError:
        os.close(handle)
        raise
    with open(handle, 'rb') as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise UserError(_too_large(name, most))
    return content


def check(name: str | os.PathLike, handle: int, most: int) -> None:
    """Check that an open file is a regular one and not too large.

    Raises:
      UserError: it is not.
    """
    about = os.fstat(handle)
    if not stat.S_ISREG(about.st_mode):
        kind = 'a directory' if stat.S_ISDIR(about.st_mode) else 'a pipe or a device'
        raise UserError(f'{name}: {kind}, expected a regular file')
    if about.st_size > most:
        raise UserError(_too_large(name, most))


def _too_large(name: str | os.PathLike, most: int) -> str:
    return f'{name}: more than {most:,} bytes, which is more than such a file has'
