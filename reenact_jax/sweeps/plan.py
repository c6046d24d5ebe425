"""The plan of a table: its file, read and checked before anything is computed."""

import importlib.util
import inspect
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from reenact_jax.common import shipped
from reenact_jax.common.errors import UserError
from reenact_jax.configs.ablations.tables import SIZES, Model
from reenact_jax.evaluate.pairs import KINDS

# measurement -> the data it is made on
LANDMARKS = {'lmtest': 'lmtest', 'ace': 'expressions_test', 'ace_seen': 'expressions'}
SPEED = 'speed'


class Row(NamedTuple):
    """A row of the table; its models are names in `MODELS`, or None."""

    name: str
    generator: str | None
    transfer: str | None
    paper: Mapping[str, Mapping[str, float]]  # measurement -> metric -> the paper's number
    results: str | None = None  # folder of another program's pictures

    @property
    def ours(self) -> bool:
        """Tell whether there is something to run; of other methods there are numbers alone."""
        return bool(self.generator or self.transfer)


class Table(NamedTuple):
    """A table of a paper at one size."""

    file: pathlib.Path
    size: str
    title: str  # the file's docstring
    models: dict[str, Model]
    measures: dict[str, tuple[str, ...]]  # measurement -> metrics shown, in order
    rows: list[Row]

    @property
    def name(self) -> str:
        """Name the table after its file and its size."""
        return self.file.stem if self.size == SIZES[0] else f'{self.file.stem}_{self.size}'

    @property
    def needs(self) -> list[str]:
        """List the kinds of data that its models and measurements take."""
        needs = [model.data for model in self.models.values()] if self.trains else []
        for kind in self.measures:
            if kind in KINDS:
                needs.append('heads')
            elif kind in LANDMARKS:
                needs.append(LANDMARKS[kind])
        return list(dict.fromkeys(needs))

    @property
    def trains(self) -> bool:
        """Tell whether anything has to be trained; speed and parameters need no training."""
        return set(self.measures) != {SPEED}


def load(text: str) -> Table:
    """Read a table.

    Args:
      text: `NAME[:SIZE]` or `FILE.py[:SIZE]`.

    Raises:
      UserError: there is no such table or size, or the file is not a table's.
    """
    name, _, size = text.partition(':')
    file = pathlib.Path(shipped.find(name, shipped.TABLES, 'table'))
    size = size or SIZES[0]
    if size not in SIZES:
        raise UserError(f'{text}: no size {size!r}; there are {", ".join(SIZES[1:])}, and none')
    spec: Any = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    missing = [n for n in ('MODELS', 'MEASURES', 'sweep') if not hasattr(module, n)]
    if missing:
        raise UserError(f'{file}: has no {", ".join(missing)}; see configs/ablations/__init__.py')
    rows: list[Row] = []

    def add(name: str, generator=None, *, transfer=None, paper=None, results=None) -> None:
        for model in (generator, transfer):
            if model is not None and model not in module.MODELS:
                raise UserError(f'{file}, row {name!r}: no model {model!r} in MODELS')
        if results and (generator or transfer):
            raise UserError(f'{file}, row {name!r}: has a model here, and results of others')
        rows.append(Row(name, generator, transfer, paper or {}, results))

    module.sweep(add)
    unknown = set(module.MEASURES) - {*KINDS, *LANDMARKS, SPEED}
    if unknown:
        raise UserError(f'{file}: no measurements {", ".join(sorted(unknown))}')
    title = inspect.getdoc(module) or ''
    return Table(file, size, title, dict(module.MODELS), dict(module.MEASURES), rows)
