"""Tensors in PyTorch's checkpoints, of both formats, and in .safetensors; nothing is unpickled.

The zip format (PyTorch 1.6 and later) is an archive without compression: `data.pkl` and a member a
storage. The old one is a sequence of pickles (a magic number, a version, facts of the machine, the
values, the keys of the storages), and behind them each storage with its length.
"""

import math
import struct
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import safetensors.numpy

from reenact_jax.common import storage
from reenact_jax.common.errors import UserError
from reenact_jax.export import pickles
from reenact_jax.export.pickles import Storage, Tensor

MOST_BYTES = 16_000_000_000  # of a file
_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001  # of the old format
_DTYPES = {
    'Float': '<f4', 'Double': '<f8', 'Half': '<f2', 'BFloat16': jnp.bfloat16, 'Long': '<i8',
    'Int': '<i4', 'Short': '<i2', 'Char': 'i1', 'Byte': 'u1', 'Bool': '?',
}  # fmt: skip
Numbers = Callable[[Storage], np.ndarray]


def read(path: str, parts: tuple[str, ...]) -> dict[str, dict[str, np.ndarray]]:
    """Read the tensors of a checkpoint's parts.

    Args:
      path: the file: .safetensors, with names PART.NAME, or a checkpoint in PyTorch's formats.
      parts: keys of the checkpoint that are wanted; the others stay unread.

    Returns:
      part -> name -> array, of the parts that there are.

    Raises:
      UserError: the file is missing, too large, damaged, or holds other things than tensors.
    """
    size = storage.size(path)
    if size is None:
        raise UserError(f'{path}: no such file')
    if size > MOST_BYTES:
        raise UserError(f'{path}: {size:,} bytes, more than the {MOST_BYTES:,} of any checkpoint')
    if path.endswith('.safetensors'):
        return _named(_safetensors(path), parts)
    with storage.opened(path) as file:
        if zipfile.is_zipfile(file):
            return _zip(file, path, parts)
        file.seek(0)
        return _old(file, path, parts)


def _zip(file, path: str, parts: tuple[str, ...]) -> dict:
    """Read the zip format."""
    try:
        with zipfile.ZipFile(file) as archive:
            members = {name.partition('/')[2]: name for name in archive.namelist()}
            _check_order(archive, members, path)

            def member(name: str) -> zipfile.ZipInfo:
                if name not in members:
                    raise UserError(f'{path}: has no {name}; not a checkpoint of PyTorch')
                info = archive.getinfo(members[name])
                if info.compress_type != zipfile.ZIP_STORED or info.file_size > MOST_BYTES:
                    raise UserError(f'{path}: {name} is compressed, which PyTorch never does')
                return info

            def numbers(one: Storage) -> np.ndarray:
                info, dtype = member(f'data/{one.key}'), _dtype(one, path)
                if info.file_size != one.count * dtype.itemsize:
                    raise UserError(f'{path}: storage {one.key} has {info.file_size:,} bytes')
                return np.frombuffer(archive.read(info), dtype)

            with archive.open(member('data.pkl')) as stream:
                tree = pickles.read(stream, path)
            return _states(tree, parts, numbers, path)
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError) as error:
        raise UserError(f'{path}: a damaged archive ({error})') from None


def _check_order(archive: zipfile.ZipFile, members: Mapping[str, str], path: str) -> None:
    if 'byteorder' in members and archive.read(members['byteorder'])[:6] != b'little':
        raise UserError(f'{path}: written on a big-endian machine; save it again on another')


def _old(file, path: str, parts: tuple[str, ...]) -> dict:
    """Read the format before PyTorch 1.6."""
    if pickles.read(file, path) != _MAGIC or pickles.read(file, path) != _VERSION:
        raise UserError(f'{path}: not a checkpoint of PyTorch, nor .safetensors')
    facts = pickles.read(file, path)
    if not isinstance(facts, dict) or not facts.get('little_endian'):
        raise UserError(f'{path}: written on a big-endian machine; save it again on another')
    tree, keys = pickles.read(file, path), pickles.read(file, path)
    if not isinstance(keys, list):
        raise UserError(f'{path}: has no list of storages')
    sizes = _sizes(tree)
    places, end = {}, storage.size(path) or 0
    for key in map(str, keys):
        header = file.read(8)
        if key not in sizes or len(header) < 8:
            raise UserError(f'{path}: storage {key[:40]} is cut off, or of no tensor')
        dtype = _dtype(sizes[key], path)
        places[key] = file.tell(), struct.unpack('<q', header)[0]
        if places[key][1] != sizes[key].count:
            raise UserError(f'{path}: storage {key[:40]} has {places[key][1]:,} numbers')
        if file.seek(dtype.itemsize * sizes[key].count, 1) > end:
            raise UserError(f'{path}: ends within storage {key[:40]}')

    def numbers(one: Storage) -> np.ndarray:
        if one.key not in places or one != sizes[one.key]:
            raise UserError(f'{path}: storage {one.key[:40]} is not there')
        dtype = _dtype(one, path)
        file.seek(places[one.key][0])
        return np.frombuffer(file.read(one.count * dtype.itemsize), dtype)

    return _states(tree, parts, numbers, path)


def _sizes(tree: Any) -> dict[str, Storage]:
    """Collect the storages of all tensors in nested containers, each container once."""
    found, seen, waiting = {}, set(), [tree]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Tensor):
            found[one.storage.key] = one.storage
        elif isinstance(one, dict | list | tuple) and id(one) not in seen:
            seen.add(id(one))
            waiting += one.values() if isinstance(one, dict) else one
    return found


def _states(tree: Any, parts: tuple[str, ...], numbers: Numbers, path: str) -> dict:
    """Read the tensors of the wanted parts."""
    if not isinstance(tree, dict):
        raise UserError(f'{path}: holds a {type(tree).__name__}, expected parts by name')
    states, read, most = {}, 0, storage.size(path) or 0
    for part in parts:
        if part not in tree:
            continue
        if not isinstance(tree[part], dict):
            raise UserError(f'{path}: {part} is a {type(tree[part]).__name__}, expected tensors')
        states[part] = {}
        for name, value in tree[part].items():
            if not isinstance(value, Tensor):
                raise UserError(f'{path}: {part}.{name} is no tensor')
            read += value.storage.count * _dtype(value.storage, path).itemsize
            if read > most:  # many views of one storage would fill any memory
                raise UserError(f'{path}: its tensors are larger than the file; refused')
            states[part][str(name)] = _array(value, numbers, f'{path}: {part}.{name}')
    return states


def _array(tensor: Tensor, numbers: Numbers, where: str) -> np.ndarray:
    """Cut a tensor out of its storage; it has at most as many numbers."""
    count, one = math.prod(tensor.size), tensor.storage
    last = tensor.offset + sum((n - 1) * s for n, s in zip(tensor.size, tensor.stride, strict=True))
    if count > one.count or (count and last >= one.count):
        raise UserError(f'{where}: {list(tensor.size)} does not fit its {one.count} numbers')
    flat = numbers(one)[tensor.offset :]
    steps = [step * flat.itemsize for step in tensor.stride]
    return np.lib.stride_tricks.as_strided(flat, tensor.size, steps, writeable=False).copy()


def _dtype(one: Storage, path: str) -> np.dtype:
    name = one.kind.removesuffix('Storage')
    if name not in _DTYPES or one.count < 0:
        raise UserError(f'{path}: storage {one.key[:40]} has numbers of an unknown type')
    return np.dtype(_DTYPES[name])


def _safetensors(path: str) -> dict[str, np.ndarray]:
    try:
        return safetensors.numpy.load(storage.read(path))
    except (ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise UserError(f'{path}: not readable as .safetensors ({error})') from None


def _named(arrays: Mapping[str, np.ndarray], parts: tuple[str, ...]) -> dict:
    """Sort tensors by the first part of their names."""
    states: dict[str, dict] = {}
    for name, array in arrays.items():
        part, _, rest = name.partition('.')
        if part in parts:
            states.setdefault(part, {})[rest] = array
    return states
