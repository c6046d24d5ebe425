"""What a program may be: known operations, counted loops, bounded sizes and work.

Any StableHLO program that passes ends. Its loops count from a constant to a constant, no function
calls itself, every tensor has a bounded size, and the work of all of it is bounded. A dimension
that follows from the number of rows b counts as 1 here; `limits` looks again when b is known.
"""

import math
import re
from typing import Any, NamedTuple

from jaxlib.mlir import ir
from jaxlib.mlir.dialects import chlo, func, stablehlo

OPERATIONS = 100_000  # most of a program, with functions counted as often as they are called
EXECUTIONS = 10_000_000  # most of all loops, a row
WORK = 1e13  # most multiplications and other steps, a row: minutes on a CPU
BYTES = 2**32  # most of a tensor, a row
DEPTH = 64  # of regions in regions and functions that call functions
# Functions of the runtime that a program may call. Ours call this one alone, on CPU, CUDA and TPU:
# jax puts it there for b, and takes it out before it compiles.
TARGETS = {'shape_assertion'}
_PLAIN = """
abs add and atan2 bitcast_convert broadcast_in_dim case cbrt ceil clamp compare concatenate constant
convert cosine count_leading_zeros divide dynamic_broadcast_in_dim dynamic_gather dynamic_iota
dynamic_pad dynamic_reshape dynamic_slice dynamic_update_slice exponential exponential_minus_one
floor gather get_dimension_size iota is_finite log log_plus_one logistic maximum minimum multiply
negate not optimization_barrier or pad popcnt power real_dynamic_slice remainder reshape return
reverse round_nearest_afz round_nearest_even rsqrt select shift_left shift_right_arithmetic
shift_right_logical sign sine slice sqrt subtract tan tanh transpose xor
"""
_ALLOWED = {f'stablehlo.{name}' for name in _PLAIN.split()} | {'func.return'}
_SEVERAL = {'stablehlo.reduce', 'stablehlo.scatter'}  # their region runs for each element
_TYPES = {'f64': 8, 'f32': 4, 'f16': 2, 'bf16': 2, 'i1': 1, 'i8': 1, 'i16': 2, 'i32': 4, 'i64': 8}
_TYPES |= {f'u{name}': size for name, size in _TYPES.items() if name[0] == 'i' and name != 'i1'}
# Attributes that say how a program is placed or what XLA should do with it; ours have none.
_ATTRIBUTE = re.compile(r'(mhlo|sdy|xla|tf|backend|vhlo|jax\.buffer)\W?|.*(backend|alias)')
_MODULE = {'sym_name', 'mhlo.num_partitions', 'mhlo.num_replicas', 'jax.uses_shape_polymorphism'}
_ARGUMENT = re.compile(r'jax\.(global_constant|result_info|arg_info)')
_WINDOW = 4096  # largest stride, dilation or padding of a convolution


class Refused(ValueError):
    """A program that is not allowed; its text says why."""


class Cost(NamedTuple):
    """An upper bound of what something costs."""

    operations: float = 0  # in the program, functions counted as often as they are called
    executions: float = 0  # as they run, loops counted
    work: float = 0

    def __add__(self, other):
        return Cost(*(a + b for a, b in zip(self, other, strict=True)))

    def times(self, count: float) -> 'Cost':
        """Return the cost of so many repetitions."""
        return Cost(self.operations, self.executions * count, self.work * count)


def read(program: bytes) -> ir.Module:
    """Read StableHLO in its portable form."""
    context = ir.Context()
    for dialect in (stablehlo, chlo):
        dialect.register_dialect(context)
    return stablehlo.deserialize_portable_artifact(context, program)


def check(module: ir.Module) -> func.FuncOp:
    """Check a whole module.

    Returns:
      Its main function.

    Raises:
      Refused: something in it is not allowed.
    """
    if unknown := set(_names(module.operation)) - _MODULE:
        raise Refused(f'the module has attributes {sorted(unknown)}')
    for name in ('mhlo.num_partitions', 'mhlo.num_replicas'):
        if name in module.operation.attributes and _value(module.operation, name) != 1:
            raise Refused(f'{name} is not 1')
    functions = {}
    for op in module.body.operations:
        if op.operation.name != 'func.func':
            raise Refused(f'operation {op.operation.name} outside of functions')
        functions[_value(op, 'sym_name')] = op
    if 'main' not in functions:
        raise Refused('there is no function main')
    cost = _Walk(functions).function('main', 0)
    limits = {'operations': OPERATIONS, 'executions': EXECUTIONS, 'work': WORK}
    for name, most in limits.items():
        if getattr(cost, name) > most:
            raise Refused(f'{name}: {getattr(cost, name):.2g}, at most {most:.2g} are allowed')
    return functions['main']


class _Walk:
    """A walk over all functions, each once."""

    def __init__(self, functions: dict[str, func.FuncOp]):
        self._functions, self._types = functions, {}
        self._costs: dict[str, Cost | None] = {}  # None: being walked

    def function(self, name: str, depth: int) -> Cost:
        if name not in self._functions:
            raise Refused(f'a call of {name!r}, which is not there')
        if name not in self._costs:
            self._costs[name] = None
            op = self._functions[name]
            _check_function(op)
            self._costs[name] = self._regions(op.operation, depth)
        cost = self._costs[name]
        if cost is None:
            raise Refused(f'function {name!r} calls itself')
        return cost

    def _regions(self, op: ir.Operation, depth: int) -> Cost:
        if depth > DEPTH:
            raise Refused(f'nested more than {DEPTH} times')
        total = Cost()
        for region in op.regions:
            if len(region.blocks) != 1:
                raise Refused(f'a region of {op.name} with {len(region.blocks)} blocks')
            for argument in region.blocks[0].arguments:
                self._size(argument.type)
            for inner in region.blocks[0].operations:
                total += self._operation(inner.operation, depth + 1)
                if total.operations > OPERATIONS:
                    raise Refused(f'operations: more than {OPERATIONS:,}')
        return total

    def _operation(self, op: ir.Operation, depth: int) -> Cost:
        name = op.name
        results = sum(self._size(result.type) for result in op.results)
        for attribute in _names(op):
            if _ATTRIBUTE.match(attribute):
                raise Refused(f'{name} with attribute {attribute}')
        if name == 'func.call':
            return Cost(1, 1) + self.function(_value(op, 'callee'), depth)
        if name == 'stablehlo.custom_call':
            _check_target(op)
            return Cost(1)
        if name == 'stablehlo.while':
            return Cost(1, 1) + self._regions(op, depth).times(_trips(op))
        own = Cost(1, 1, results)
        if name in _SEVERAL:
            work = sum(self._size(operand.type) for operand in op.operands)
            inner = self._regions(op, depth)
            if inner.executions > 16:
                raise Refused(f'a region of {name} with {inner.executions:.2g} operations')
            return own + Cost(inner.operations, 0, work * inner.executions)
        if name == 'stablehlo.dot_general':
            return Cost(1, 1, results * _contracted(op))
        if name == 'stablehlo.convolution':
            return Cost(1, 1, results * _kernel(op))
        if name not in _ALLOWED:
            raise Refused(f'operation {name}')
        return own + self._regions(op, depth)

    def _size(self, kind: ir.Type) -> int:
        """Return the number of elements of a tensor type, unknown dimensions as 1."""
        found = self._types.get(kind)
        if found is None:
            self._types[kind] = found = _elements(kind)
        return found


def _names(op: ir.Operation) -> list[str]:
    return [one if isinstance(one, str) else one.name for one in op.attributes]


def _elements(kind: ir.Type) -> int:
    if not isinstance(kind, ir.RankedTensorType):
        raise Refused(f'a value of type {str(kind)[:80]}')
    if kind.encoding is not None:
        raise Refused(f'a tensor with an encoding: {str(kind)[:80]}')
    count = math.prod(1 if size < 0 else size for size in kind.shape)
    bytes_each = _TYPES.get(str(kind.element_type))
    if bytes_each is None:
        raise Refused(f'a tensor of {str(kind.element_type)[:80]}')
    if count * bytes_each > BYTES or len(kind.shape) > 16:
        raise Refused(f'a tensor of {str(kind)[:80]}, more than {BYTES:,} bytes or 16 dimensions')
    return count


def _check_function(op: func.FuncOp) -> None:
    for attribute in _names(op.operation):
        if attribute not in ('function_type', 'sym_name', 'sym_visibility', 'arg_attrs') and (
            attribute != 'res_attrs'
        ):
            raise Refused(f'a function with attribute {attribute}')
        if attribute in ('arg_attrs', 'res_attrs'):
            entries: Any = op.attributes[attribute]
            for one in entries:
                for entry in one:
                    label = entry if isinstance(entry, str) else entry.name
                    if not _ARGUMENT.fullmatch(label):
                        raise Refused(f'an argument with attribute {label}')


def _value(op, name: str) -> Any:
    """Return the plain value of an attribute."""
    attribute: Any = op.attributes[name]
    return attribute.value


def _check_target(op: ir.Operation) -> None:
    target = _value(op, 'call_target_name')
    if target not in TARGETS:
        raise Refused(f'a call of {target[:80]!r}, code of this machine')
    unknown = set(_names(op)) - {
        'call_target_name', 'api_version', 'error_message', 'has_side_effect'
    }  # fmt: skip
    if unknown or len(op.results):
        raise Refused(f'a call of {target!r} that jax does not make')
    message = _value(op, 'error_message')
    for index in re.findall(r'{[^{}]*}|[{}]', message):
        if not re.fullmatch(r'{\d}', index) or int(index[1]) >= len(op.operands) - 1:
            raise Refused(f'a call of {target!r} that jax does not make')


def _trips(op: ir.Operation) -> int:
    """Return how often a loop runs: `while i < end: ...; i += step`, all three constants.

    Raises:
      Refused: it is not of this form.
    """
    test, body = (list(region.blocks[0].operations) for region in op.regions)
    if len(test) < 2 or test[-2].operation.name != 'stablehlo.compare':
        raise Refused('a loop that may not end: its test is no comparison with a constant')
    compared = test[-2].operation
    if test[-1].operation.operands[0] != compared.results[0]:
        raise Refused('a loop that may not end: its test is no comparison')
    if 'LT' not in str(compared.attributes['comparison_direction']):
        raise Refused('a loop that may not end: it does not count up to a constant')
    arguments = list(op.regions[0].blocks[0].arguments)
    at = [n for n, one in enumerate(arguments) if one == compared.operands[0]]
    if not at or str(compared.operands[0].type) not in ('tensor<i32>', 'tensor<i64>'):
        raise Refused('a loop that may not end: it does not count')
    counter = op.regions[1].blocks[0].arguments[at[0]]
    added = _maker(body[-1].operation.operands[at[0]])
    if added is None or added.name != 'stablehlo.add' or added.operands[0] != counter:
        raise Refused('a loop that may not end: its counter is not counted up')
    begin, end = _constant(op.operands[at[0]]), _constant(compared.operands[1])
    step = _constant(added.operands[1])
    if step < 1 or abs(begin) > 2**30 or abs(end) > 2**30 or step > 2**30:
        raise Refused(f'a loop from {begin} to {end} by {step}')
    return max(0, -((begin - end) // step))


def _maker(value: ir.Value) -> ir.Operation | None:
    """Return the operation that makes a value; None: it is an argument."""
    return value.owner if isinstance(value.owner, ir.Operation) else getattr(
        value.owner, 'operation', None
    )  # fmt: skip


def _constant(value: ir.Value) -> int:
    maker = _maker(value)
    if maker is None or maker.name != 'stablehlo.constant':
        raise Refused('a loop that may not end: it does not count between constants')
    found = re.fullmatch(r'dense<(-?\d+)> : tensor<i(32|64)>', str(maker.attributes['value']))
    if not found:
        raise Refused('a loop that may not end: its limits are not whole numbers')
    return int(found[1])


def _contracted(op: ir.Operation) -> int:
    numbers = stablehlo.DotDimensionNumbers(op.attributes['dot_dimension_numbers'])
    shape = op.operands[0].type.shape
    return math.prod(max(1, shape[at]) for at in numbers.lhs_contracting_dimensions)


def _kernel(op: ir.Operation) -> float:
    """Return the multiplications for each result of a convolution."""
    for name in ('window_strides', 'padding', 'lhs_dilation', 'rhs_dilation'):
        if name in op.attributes:
            numbers = [int(n) for n in re.findall(r'-?\d+', str(op.attributes[name]).split(':')[0])]
            if max(map(abs, numbers), default=0) > _WINDOW:
                raise Refused(f'a convolution with {name} of more than {_WINDOW}')
    shape = op.operands[1].type.shape
    numbers = stablehlo.ConvDimensionNumbers(op.attributes['dimension_numbers'])
    outputs = shape[numbers.kernel_output_feature_dimension]
    return math.prod(max(1, size) for size in shape) / max(1, outputs)
