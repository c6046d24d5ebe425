"""Pickles of plain values and tensors, read without running anything.

The standard library's `pickletools` splits a stream into opcodes; the machine here knows those of
plain containers, and of names the few that PyTorch's checkpoints of tensors have. Every other
opcode and name is refused by name: nothing is imported, called or built.
"""

import pickletools
from collections.abc import Callable
from typing import Any, NamedTuple

from reenact_jax.common.errors import UserError

MOST_OPCODES = 5_000_000
MOST_BYTES = 256_000_000  # of one stream


class Name(NamedTuple):
    """A name that a pickle asks for: `module.name`. It is never looked up."""

    module: str
    name: str


class Storage(NamedTuple):
    """Numbers of one type somewhere in the file."""

    kind: str  # 'FloatStorage', ...
    key: str
    count: int


class Tensor(NamedTuple):
    """A view of a storage, in numbers."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


_KINDS = ('Float', 'Double', 'Half', 'BFloat16', 'Long', 'Int', 'Short', 'Char', 'Byte', 'Bool')
KNOWN = {
    Name('collections', 'OrderedDict'),
    Name('torch._utils', '_rebuild_tensor_v2'),
    Name('torch._utils', '_rebuild_parameter'),
    *(Name('torch', f'{kind}Storage') for kind in _KINDS),
}
_VALUES = {
    *('BININT', 'BININT1', 'BININT2', 'LONG1', 'BINFLOAT', 'BINUNICODE', 'SHORT_BINUNICODE'),
    *('SHORT_BINSTRING', 'BINSTRING', 'BINUNICODE8', 'BINBYTES', 'SHORT_BINBYTES'),
}
_CONSTANTS = {'NONE': None, 'NEWTRUE': True, 'NEWFALSE': False}
_EMPTY: dict[str, Callable[[], Any]] = {
    'EMPTY_DICT': dict, 'EMPTY_LIST': list, 'EMPTY_TUPLE': tuple
}  # fmt: skip
_TUPLES = {'TUPLE1': 1, 'TUPLE2': 2, 'TUPLE3': 3}
_PUT, _GET = ('BINPUT', 'LONG_BINPUT', 'MEMOIZE'), ('BINGET', 'LONG_BINGET')


def read(file, where: str) -> Any:
    """Read one pickle from where a file stands, and leave the file behind it.

    Args:
      file: the stream.
      where: file and part, for the error message.

    Returns:
      Dicts, lists, tuples, texts and numbers; `Tensor` and `Storage`.

    Raises:
      UserError: it is none, is too long, or asks for more than tensors and plain values.
    """
    machine, begun = _Machine(where), file.tell()
    try:
        for number, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            if number > MOST_OPCODES or file.tell() - begun > MOST_BYTES:
                raise UserError(f'{where}: longer than any checkpoint; refused')
            machine.step(opcode.name, argument)
        return machine.result
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, UnicodeError) as error:
        raise UserError(f'{where}: not a whole pickle ({error})') from None


class _Machine:
    """The stack and the memo of a pickle."""

    def __init__(self, where: str):
        self._where, self._stack, self._marks = where, [], []
        self._memo: dict[int, Any] = {}
        self.result: Any = None

    def step(self, name: str, argument) -> None:
        """Follow one opcode of the pickle.

        Raises:
          UserError: no checkpoint of plain values and tensors needs this opcode.
        """
        stack = self._stack
        if name in _VALUES:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name in _TUPLES:
            self._tuple(len(stack) - _TUPLES[name])
        elif name in _PUT:
            self._memo[len(self._memo) if name == 'MEMOIZE' else argument] = stack[-1]
        elif name in _GET:
            stack.append(self._memo[argument])
        elif method := getattr(self, f'_{name.lower()}', None):
            method(argument)
        else:
            raise UserError(f'{self._where}: has a {name}, which no checkpoint needs; refused')

    def _proto(self, version) -> None:
        if version > 4:
            raise UserError(f'{self._where}: a pickle of protocol {version}, 2 to 4 can be read')

    def _frame(self, length) -> None:
        del length

    def _stop(self, _) -> None:
        (self.result,) = self._stack

    def _mark(self, _) -> None:
        self._marks.append(len(self._stack))

    def _tuple(self, begin) -> None:
        begin = self._marks.pop() if begin is None else begin
        if begin < 0:
            raise IndexError('stack is empty')
        self._stack[begin:] = [tuple(self._stack[begin:])]

    def _taken(self) -> list:
        begin = self._marks.pop()
        values = self._stack[begin:]
        del self._stack[begin:]
        return values

    def _append(self, _) -> None:
        value = self._stack.pop()
        self._into(list).append(value)

    def _appends(self, _) -> None:
        values = self._taken()
        self._into(list).extend(values)

    def _setitem(self, _) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set([key, value])

    def _setitems(self, _) -> None:
        self._set(self._taken())

    def _set(self, values: list) -> None:
        target = self._into(dict)
        for key, value in zip(values[::2], values[1::2], strict=True):
            if not isinstance(key, str | int):  # nested tuples take for ever to hash
                raise UserError(f'{self._where}: a key is a {type(key).__name__}; refused')
            target[key] = value

    def _into(self, kind: type) -> Any:
        if not isinstance(self._stack[-1], kind):
            raise TypeError(f'items for a {type(self._stack[-1]).__name__}')
        return self._stack[-1]

    def _global(self, argument) -> None:
        self._name(*argument.split(' ', 1))

    def _stack_global(self, _) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        self._name(str(module), str(name))

    def _name(self, module: str, name: str) -> None:
        if Name(module, name) not in KNOWN:
            raise UserError(
                f'{self._where}: asks for {module}.{name}, which no checkpoint of tensors needs; '
                'nothing of it was run'
            )
        self._stack.append(Name(module, name))

    def _binpersid(self, _) -> None:
        kind, storage, key, _, count, *_ = self._stack.pop()
        if kind != 'storage' or not isinstance(storage, Name) or storage.module != 'torch':
            raise TypeError('a persistent value that is no storage')
        self._stack.append(Storage(storage.name, str(key), int(count)))

    def _reduce(self, _) -> None:
        arguments, name = self._stack.pop(), self._stack.pop()
        if not isinstance(name, Name) or not isinstance(arguments, tuple):
            raise TypeError('a call of no name')
        self._stack.append(_made(name, arguments))

    def _build(self, _) -> None:
        self._stack.pop()  # the metadata of a state_dict
        self._into(dict)


def _made(name: Name, arguments: tuple) -> Any:
    """Return what a call of a known name stands for."""
    if name.name == 'OrderedDict':
        if any(arguments):
            raise TypeError('an OrderedDict with items')
        return {}
    if name.name == '_rebuild_parameter':
        return arguments[0]
    if name.name != '_rebuild_tensor_v2':
        raise TypeError(f'a call of {name.name}')
    storage, offset, size, stride, *_ = arguments
    whole = all(isinstance(n, int) and n >= 0 for n in (offset, *size, *stride))
    if not isinstance(storage, Storage) or not whole or len(size) != len(stride):
        raise TypeError('a tensor that is none')
    return Tensor(storage, offset, tuple(size), tuple(stride))
