"""Checkpoints in PyTorch's formats without PyTorch, right ones and wrong ones, for tests."""

import collections
import io
import pickle
import struct
import sys
import types
import zipfile

import numpy as np

MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001


class Stored:
    """A storage of float32 numbers."""

    def __init__(self, key: str, numbers, count: int | None = None):
        self.key, self.numbers = key, np.float32(numbers).ravel()
        self.count = len(self.numbers) if count is None else count


class View:
    """A tensor: a view of a storage."""

    def __init__(self, stored: Stored, size, stride, offset: int = 0):
        self.given = stored, offset, tuple(size), tuple(stride), False, collections.OrderedDict()

    def __reduce__(self):
        return sys.modules['torch._utils']._rebuild_tensor_v2, self.given


class _Pickler(pickle.Pickler):
    def persistent_id(self, value):
        if isinstance(value, Stored):
            return 'storage', sys.modules['torch'].FloatStorage, value.key, 'cpu', value.count
        return None


def pickled(tree) -> bytes:
    """Return a tree as PyTorch pickles it."""
    torch, inner = types.ModuleType('torch'), types.ModuleType('torch._utils')
    torch.FloatStorage = type('FloatStorage', (), {'__module__': 'torch'})
    inner._rebuild_tensor_v2 = lambda *_: None
    inner._rebuild_tensor_v2.__module__ = 'torch._utils'
    inner._rebuild_tensor_v2.__qualname__ = '_rebuild_tensor_v2'
    before = {name: sys.modules.get(name) for name in ('torch', 'torch._utils')}
    sys.modules |= {'torch': torch, 'torch._utils': inner}
    try:
        file = io.BytesIO()
        _Pickler(file, 2).dump(tree)
        return file.getvalue()
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def old(content: bytes, storages=(), keys=None) -> bytes:
    """Return the old format around a pickle."""
    head = b''.join(pickle.dumps(x, 2) for x in (MAGIC, VERSION, {'little_endian': True}))
    keys = [one.key for one in storages] if keys is None else keys
    tail = b''.join(struct.pack('<q', len(s.numbers)) + s.numbers.tobytes() for s in storages)
    return head + content + pickle.dumps(keys, 2) + tail


def zipped(content: bytes, storages=(), method: int = zipfile.ZIP_STORED) -> bytes:
    """Return the zip format around a pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w', method) as archive:
        archive.writestr('archive/data.pkl', content)
        archive.writestr('archive/byteorder', 'little')
        for one in storages:
            archive.writestr(f'archive/data/{one.key}', one.numbers.tobytes())
    return file.getvalue()
