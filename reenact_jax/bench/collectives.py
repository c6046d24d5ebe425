"""What devices send each other in a compiled program, read from its text (HLO).

An operation may move many arrays at once (XLA joins gradient sums into one), so the unit is the
array: its bytes, what made it, and how often it is sent in a call of the program.
"""

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

KINDS = (
    'all-reduce',
    'all-gather',
    'reduce-scatter',
    'collective-permute',
    'all-to-all',
    'ragged-all-to-all',
    'collective-broadcast',
)
GRADIENTS, STATISTICS, PARAMETERS, OTHER = (
    'gradient sums',
    'statistics of the global batch',
    'parameter gathers of fsdp',
    'other',
)

_ARRAY = re.compile(r'\b([a-z]+)(\d*)[a-z0-9]*\[([\d,]*)\]')  # f32[8,16], pred[], f8e4m3fn[4]
_NAME = re.compile(r'%([\w.\-]+)')
_INSTRUCTION = re.compile(r'\s+(?:ROOT )?%?([\w.\-]+) = (.+)')
_COMPUTATION = re.compile(r'(ENTRY )?%?([\w.\-]+) \(.*\{\s*$')
_CALLED = re.compile(r'\b(?:body|calls|to_apply|branch_computations)=\{?((?:%[\w.\-]+(?:, )?)+)')
_TRIPS = re.compile(r'known_trip_count[^\d]*(\d+)')
_OP_NAME = re.compile(r'op_name="([^"]*)"')


class Sent(NamedTuple):
    """One array of one collective operation."""

    kind: str  # one of KINDS
    operation: str  # its name in the program; arrays that are sent together share it
    shape: tuple[int, ...]
    bytes: int  # on one device, of the larger side (what an all-gather gives, else what goes in)
    source: str  # JAX's name of what made it, such as `jit(step)/transpose(jvp(MLP))/dot_general`
    times: int  # sent in one call of the program; more than 1 inside a loop


class _Instruction(NamedTuple):
    computation: str
    arrays: list[tuple[tuple[int, ...], int]]  # (shape, bytes) of what it gives
    opcode: str
    operands: list[str]
    rest: str  # attributes


def read(text: str) -> list[Sent]:
    """All arrays that the program sends, in its order.

    text: `compiled.as_text()`. A loop whose number of turns the compiler does not state counts
      once.
    """
    program = dict(_instructions(text))
    times = _times(text, program)
    sent = []
    for name, one in program.items():
        kind = one.opcode.removesuffix('-start')
        if kind not in KINDS:
            continue
        arrays = [array for operand in one.operands for array in program[operand].arrays]
        if kind == 'all-gather':  # a start gives what goes in, then what comes out
            arrays = one.arrays[-len(arrays) :]
        if 'all-reduce-scatter' in one.computation:  # a TPU's: sum and slice as one operation
            kind = 'reduce-scatter'
        for operand, (shape, size) in zip(one.operands, arrays, strict=True):
            source = _source(program, operand) or _op_name(one)
            sent.append(Sent(kind, name, shape, size, source, times.get(one.computation, 1)))
    return sent


def purpose(one: Sent, parameters: set[int], statistics: set[int], fsdp: bool) -> str:
    """What an array is sent for, as far as its shape and source tell.

    Sums that were computed together share one's name, so that a few of a normalisation can pass
    for gradients: kilobytes of AAN's 150 MB.

    Args:
      parameters: numbers of elements of the parameters' arrays.
      statistics: the same of running statistics.
      fsdp: whether parameters are split.
    """
    count = math.prod(one.shape)
    if one.kind in ('all-reduce', 'reduce-scatter'):
        # One number: a mean over rows (loss, metric), a flag; the gradient of a single number is
        # not told from these. A normalisation's sums have a bias's shape, backwards too, so they
        # are told by their layer's name.
        if count == 1 or 'Norm_' in one.source:
            return STATISTICS
        if 'transpose(' in one.source:
            return GRADIENTS if count in parameters else OTHER
        if count in statistics:
            return STATISTICS
    if one.kind == 'all-gather' and fsdp and count in parameters:
        return PARAMETERS
    return OTHER


def _instructions(text: str) -> Iterator[tuple[str, _Instruction]]:
    computation = ''
    for line in text.splitlines():
        if found := _INSTRUCTION.match(line):
            name, right = found.groups()
            given, right = _split(right)
            opcode, _, right = right.strip().partition('(')
            inside, rest = _split('(' + right)
            arrays = [_array(*match.groups()) for match in _ARRAY.finditer(given)]
            operands = _NAME.findall(inside)
            yield name, _Instruction(computation, arrays, opcode, operands, rest)
        elif found := _COMPUTATION.match(line):
            computation = found.group(2)


def _split(text: str) -> tuple[str, str]:
    """The first word, which may be in parentheses that nest, and the rest."""
    if not text.startswith('('):
        first, _, rest = text.partition(' ')
        return first, rest
    depth = 0
    for at, letter in enumerate(text):
        depth += (letter == '(') - (letter == ')')
        if not depth:
            return text[: at + 1], text[at + 1 :]
    return text, ''


def _array(kind: str, bits: str, sides: str) -> tuple[tuple[int, ...], int]:
    shape = tuple(int(side) for side in sides.split(',') if side)
    return shape, math.ceil(math.prod(shape) * int(bits or 8) / 8)  # pred: a byte


def _times(text: str, program: dict[str, _Instruction]) -> dict[str, int]:
    """How often each computation runs in a call of the program."""
    called = {}
    for one in program.values():
        trips = _TRIPS.search(one.rest) if one.opcode == 'while' else None
        for names in _CALLED.findall(one.rest):
            for name in _NAME.findall(names):
                called[name] = (one.computation, int(trips.group(1)) if trips else 1)
    times = {}
    for name in {one.computation for one in program.values()}:
        total, at = 1, name
        while at in called:
            at, turns = called[at]
            total *= turns
        times[name] = total
    return times


def _source(program: dict[str, _Instruction], name: str) -> str:
    """JAX's name of what made an array, looked for behind moves and joins without a name."""
    one = program[name]
    while not _op_name(one) and one.operands:
        one = program[one.operands[0]]
    return _op_name(one)


def _op_name(one: _Instruction) -> str:
    found = _OP_NAME.search(one.rest)
    return found.group(1) if found else ''
