"""What a system is: the functions that rooms call, and its stages of training as data."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import optax
from jaxtyping import Array, Float

from reenact_jax.common.errors import UserError
from reenact_jax.data.tracks import Batch, DataInfo, Face
from reenact_jax.geometry.layers import Layers


class Stage(NamedTuple):
    """One row of a paper's training table, as data."""

    name: str
    players: dict[str, tuple[str, ...]]  # player -> networks (letters) it moves; others are frozen
    losses: Callable  # (apply, constants, batch, rng) -> ({player: scalar}, {metric: scalar})
    tx: dict[str, optax.GradientTransformation]  # player -> optimiser with its schedule; fresh
    steps: int
    batch_size: int
    ema: tuple[str, ...] = ()  # networks averaged, their running statistics too
    reads: tuple[str, ...] = ('landmarks', 'identity')  # Batch fields the loader must bring
    frames: int = 2  # K
    neighbour: str = 'other_identity'  # a rule for partners: batches.loader.NEIGHBOURS


class System(Protocol):
    """A system's module: pure functions under these names.

    `hp` is its `Hparams`, `nets` what `networks` gave, `variables` their variables by letter.
    Training needs the first five. A landmark transfer has `identify` and `transfer`, an image
    generator `encode` and `render`, one system may be both. The rest may be missing: ask by
    `member`, which knows what that means.
    """

    Hparams: type  # frozen dataclass of `settings.setting` fields: the paper's numbers

    def networks(self, hp, data: DataInfo) -> dict[str, Any]:
        """Linen modules by letter, the paper's names."""
        ...

    def init(self, hp, nets: dict, rng: jax.Array, batch: Batch) -> dict:
        """Fresh variables of all networks."""
        ...

    def stages(self, hp, data: DataInfo) -> tuple[Stage, ...]:
        """The training table, without stages of 0 steps."""
        ...

    def constants(self, hp, load: bool = True) -> dict:
        """Arrays that losses need and nobody moves; load=False: anything of the same shapes."""
        ...

    # A landmark transfer
    def identify(self, hp, nets: dict, variables: dict, source: Face) -> Any:
        """What `transfer` needs of the source: a tree of arrays, a row each."""
        ...

    def transfer(
        self, hp, nets: dict, variables: dict, identity: Any, driving: Face, first: Face
    ) -> Float[Array, 'b n 2']:
        """The source's landmarks with the driver's motion; `first`: the driver's first frame."""
        ...

    # An image generator
    def encode(
        self, hp, nets: dict, variables: dict, source: Face, background: Array | None = None
    ) -> Any:
        """What `render` needs of the source: a tree of arrays, a row each."""
        ...

    def render(
        self, hp, nets: dict, variables: dict, appearance: Any, landmarks: Float[Array, 'b n d']
    ) -> Float[Array, 'b s s 3']:
        """Images in [-1, 1] of the source with these landmarks."""
        ...

    # Optional
    RENAMED: dict[str, Callable]  # fields of old configs -> (value) -> today's fields
    EARLIER: dict[str, Any]  # fields that old configs lack -> the value that stands for what was
    NEEDS: dict[str, tuple[str, ...]]  # function -> networks without which there is none
    DRIVEN_BY: tuple[str, ...]  # fields of a `Face` that `identify` and `transfer` take
    TAKES_BACKGROUND: bool  # whether `encode` can put the face before another background

    def takes_depth(self, hp) -> bool:
        """Whether `render` takes landmarks with depth, d = 3."""
        ...

    def layers(
        self, hp, nets: dict, variables: dict, appearance: Any, landmarks: Array
    ) -> Layers | None:
        """`render` taken apart: what moves and what is painted; None: not as configured."""
        ...

    def pieces(
        self, hp, nets: dict, variables: dict, appearance: Any, landmarks: Array
    ) -> dict[str, Array]:
        """`render` with what it is mixed of: face, background, mask."""
        ...

    def latent(self, hp, nets: dict, variables: dict, face: Face) -> dict[str, Array]:
        """Codes of faces: `identity` and `pose`."""
        ...

    def preview(self, hp, nets: dict, variables: dict, batch: Batch) -> dict[str, Array]:
        """Pictures of a batch for TensorBoard, by name, in [-1, 1]."""
        ...


REQUIRED = ('Hparams', 'networks', 'init', 'stages', 'constants')
# What may be missing -> what then stands for it. None: there is no such function.
OPTIONAL = {
    **dict.fromkeys(('identify', 'transfer', 'encode', 'render')),
    **dict.fromkeys(('layers', 'pieces', 'latent', 'preview')),
    'RENAMED': {},
    'EARLIER': {},
    'NEEDS': {},
    'DRIVEN_BY': ('landmarks',),
    'TAKES_BACKGROUND': False,
    'takes_depth': lambda hp: False,
}


def member(system: Any, name: str) -> Any:
    """An optional member of a `System`, or what stands for it."""
    return getattr(system, name, OPTIONAL[name])


def able(system: Any, nets: dict, function: str) -> bool:
    """Whether a `System`, trained with these networks, has a function (`transfer`, `render`).

    A system whose networks depend on its settings names those of a function in `NEEDS`.
    """
    needed = member(system, 'NEEDS').get(function, ())
    return member(system, function) is not None and all(letter in nets for letter in needed)


def check(stage: Stage, nets: dict) -> None:
    """Refuses a stage that could not run as it is written. Raises UserError naming stage and fault.

    Every player has an optimiser and networks that exist, no network has two players, `ema` names
    networks that move.
    """
    owner = {}
    for player, letters in stage.players.items():
        if player not in stage.tx:
            raise UserError(f'stage {stage.name}: player {player} has no optimiser in tx')
        if not letters:
            raise UserError(f'stage {stage.name}: player {player} moves no network')
        for letter in letters:
            if letter not in nets:
                raise UserError(f'stage {stage.name}: player {player}: no network {letter!r}')
            if letter in owner:
                raise UserError(
                    f'stage {stage.name}: network {letter} belongs to two players, '
                    f'{owner[letter]} and {player}'
                )
            owner[letter] = player
    for player in stage.tx:
        if player not in stage.players:
            raise UserError(f'stage {stage.name}: tx names {player}, which is not a player')
    for letter in stage.ema:
        if letter not in owner:
            raise UserError(f'stage {stage.name}: ema names {letter}, which no player moves')


def check_rows(stage: Stage, rows: int, devices: int, accumulate: int = 1) -> None:
    """Refuses a batch that does not give every device and microbatch an even number of rows.

    Rows 2i and 2i + 1 are partners and must not be parted. Raises UserError.
    """
    unit = 2 * devices * accumulate
    if rows < 2 or rows % unit:
        raise UserError(
            f'config.batch_size: stage {stage.name} has {rows} rows a step; {devices} device(s) x '
            f'accumulate {accumulate} x 2 partners need a multiple of {unit}'
        )


def moving(stage: Stage) -> list[str]:
    """Letters of the networks that some player moves."""
    return [letter for letters in stage.players.values() for letter in letters]
