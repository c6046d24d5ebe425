"""What devices send each other in a compiled program, read from its text (HLO).

An operation may move many arrays at once (XLA joins gradient sums into one), so the unit is the
array: its bytes, the operation that computed it, and how often a call of the program sends it.
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
GRADIENTS, STATISTICS, PARAMETERS, PIECES, OTHER = (
    'gradient sums',
    'statistics of the global batch',
    'parameter gathers of fsdp',
    'pieces of sums over slices',
    'other',
)
ICI, DCN = 'ICI', 'DCN'  # links between the chips of a slice; the network between slices

_ARRAY = re.compile(r'\b([a-z]+)(\d*)[a-z0-9]*\[([\d,]*)\]')  # f32[8,16], pred[], f8e4m3fn[4]
_NAME = re.compile(r'%([\w.\-]+)')
_INSTRUCTION = re.compile(r'\s+(?:ROOT )?%?([\w.\-]+) = (.+)')
_COMPUTATION = re.compile(r'(ENTRY )?%?([\w.\-]+) \(.*\{\s*$')
_CALLED = re.compile(r'\b(?:body|calls|to_apply|branch_computations)=\{?((?:%[\w.\-]+(?:, )?)+)')
_TRIPS = re.compile(r'known_trip_count[^\d]*(\d+)')
# Slices of TPUs send by way of their hosts: what a host is told to do with it stands in attributes.
_BETWEEN_SLICES = re.compile(r'_xla_megascale_transfer_type="(\w+)"')
_INDEX = re.compile(r'\bindex=(\d+)')
_OP_NAME = re.compile(r'op_name="([^"]*)"')


class Sent(NamedTuple):
    """One array of one collective operation."""

    kind: str  # one of KINDS
    operation: str  # the operation's name in the program; arrays that are sent together share it
    shape: tuple[int, ...]
    bytes: int  # on one device: an all-gather's output, any other operation's input
    source: str  # its origin by JAX's name, such as `jit(step)/transpose(jvp(MLP))/dot_general`
    times: int  # how often one call of the program sends it; more than 1 inside a loop
    link: str = ICI  # what it passes: ICI or DCN


class _Instruction(NamedTuple):
    computation: str
    arrays: list[tuple[tuple[int, ...], int]]  # (shape, bytes) of each output
    opcode: str
    operands: list[str]
    rest: str  # attributes


def read(text: str) -> list[Sent]:
    """List all arrays that a program sends, in the program's order.

    A loop whose number of turns the compiler does not state counts once.

    Args:
      text: the compiled program, `compiled.as_text()`.
    """
    program = dict(_instructions(text))
    times = _times(text, program)
    sent = []
    for name, node in program.items():
        kind = node.opcode.removesuffix('-start')
        if kind == 'send' and (transfer := _BETWEEN_SLICES.search(node.rest)):
            kind, link = transfer[1].lower().replace('_', '-'), DCN
            (shape, size), *_ = node.arrays
            source = _source(program, node.operands[0])
            times_sent = times.get(node.computation, 1)
            sent.append(Sent(kind, name, shape, size, source, times_sent, link))
            continue
        if kind not in KINDS:
            continue
        arrays = [array for operand in node.operands for array in program[operand].arrays]
        if kind == 'all-gather':  # a start lists its inputs, then its outputs
            arrays = node.arrays[-len(arrays) :]
        if 'all-reduce-scatter' in node.computation:  # a TPU's: sum and slice as one operation
            kind = 'reduce-scatter'
        for operand, (shape, size) in zip(node.operands, arrays, strict=True):
            source = _source(program, operand) or _op_name(node)
            sent.append(Sent(kind, name, shape, size, source, times.get(node.computation, 1)))
    return sent


def purpose(
    sent: Sent, parameters: set[int], statistics: set[int], fsdp: bool, slices: int = 1
) -> str:
    """Infer from an array's shape and source what it is sent for.

    Sums that are computed together share one name, so a few sums of normalisation layers can be
    counted as gradients: kilobytes of AAN's 150 MB.

    Args:
      sent: the array.
      parameters: numbers of elements of the parameters' arrays.
      statistics: numbers of elements of the running statistics' arrays.
      fsdp: whether parameters are split over devices.
      slices: that are joined. Of several, each sums pieces of its own, sends them to the others and
        gathers them again; these operations are the compiler's and have no name.

    Returns:
      `GRADIENTS`, `STATISTICS`, `PARAMETERS`, `PIECES` or `OTHER`.
    """
    count = math.prod(sent.shape)
    if sent.link == DCN and sent.kind == 'all-reduce':
        # A piece of an array, padded: its size says nothing. What slices sum is over rows.
        return (
            GRADIENTS if 'transpose(' in sent.source and 'Norm_' not in sent.source else STATISTICS
        )
    if sent.kind in ('all-reduce', 'reduce-scatter'):
        # A single number is a mean over rows (loss, metric) or a flag; the gradient of a single
        # number looks the same. A normalisation's sums have the shape of a bias, also in the
        # backward pass, so they are recognised by their layer's name.
        if count == 1 or 'Norm_' in sent.source:
            return STATISTICS
        if 'transpose(' in sent.source:
            return GRADIENTS if count in parameters else OTHER
        if count in statistics:
            return STATISTICS
    if sent.kind == 'all-gather' and fsdp and count in parameters:
        return PARAMETERS
    return PIECES if slices > 1 and not sent.source else OTHER


def _instructions(text: str) -> Iterator[tuple[str, _Instruction]]:
    computation = ''
    for line in text.splitlines():
        if hit := _INSTRUCTION.match(line):
            name, tail = hit.groups()
            result, tail = _split(tail)
            opcode, _, tail = tail.strip().partition('(')
            inside, rest = _split('(' + tail)
            arrays = [_array(*match.groups()) for match in _ARRAY.finditer(result)]
            operands = _NAME.findall(inside)
            yield name, _Instruction(computation, arrays, opcode, operands, rest)
        elif hit := _COMPUTATION.match(line):
            computation = hit.group(2)


def _split(text: str) -> tuple[str, str]:
    """Split off the first word, which may be in nested parentheses; return it and the rest."""
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
    """Count how often each computation runs in a call of the program."""
    called = {}
    for instruction in program.values():
        trips = _TRIPS.search(instruction.rest) if instruction.opcode == 'while' else None
        for names in _CALLED.findall(instruction.rest):
            for name in _NAME.findall(names):
                called[name] = (instruction.computation, int(trips.group(1)) if trips else 1)
    times = {}
    for name in {instruction.computation for instruction in program.values()}:
        total, at = 1, name
        while at in called:
            at, turns = called[at]
            total *= turns
        times[name] = total
    return times


def _source(program: dict[str, _Instruction], name: str) -> str:
    """Find JAX's name of an array's origin, looking behind moves and joins without a name."""
    instruction = program[name]
    while not _op_name(instruction) and instruction.operands:
        at, inner = 0, program[instruction.operands[0]]
        if inner.opcode.removesuffix('-start') in KINDS and len(inner.operands) == len(
            inner.arrays
        ):
            at = int((*_INDEX.findall(instruction.rest), 0)[0])  # which of its arrays
            instruction = inner
        instruction = program[instruction.operands[at]]
    return _op_name(instruction)


def _op_name(instruction: _Instruction) -> str:
    match = _OP_NAME.search(instruction.rest)
    return match.group(1) if match else ''
