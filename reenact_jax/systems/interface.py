"""What a system is: the functions that other rooms call, and its training stages as data."""

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
    players: dict[str, tuple[str, ...]]  # player -> networks that it moves; others are frozen
    losses: Callable  # (apply, constants, batch, rng) -> ({player: scalar}, {metric: scalar})
    tx: dict[str, optax.GradientTransformation]  # player -> fresh optimiser with its schedule
    steps: int
    batch_size: int
    ema: tuple[str, ...] = ()  # networks that are averaged, with their running statistics
    reads: tuple[str, ...] = ('landmarks', 'identity')  # Batch fields that the loader must bring
    frames: int = 2  # K, frames of one track in a row
    # Rule for partners, one of batches.loader.NEIGHBOURS; 'unused': no loss looks at them.
    neighbour: str = 'other_identity'


class Motion(NamedTuple):
    """What `transfer` gives and `render` takes: an array [b, n, d] of a named kind.

    `landmarks` are n points of the data's point set in pixels of the source's crop, d = 2, or 3
    with depth; any transfer of this kind goes with any generator of it. Other kinds (`keypoints`)
    say n and d.
    """

    kind: str
    shape: tuple[int, int] | None = None  # (n, d); None: that of landmarks


LANDMARKS = Motion('landmarks')


class System(Protocol):
    """A system's module: pure functions under these names.

    `hp` is its `Hparams`, `nets` the result of `networks`, `variables` their variables by network.
    Training needs the first five members. A landmark transfer has `identify` and `transfer`, an
    image generator `encode` and `render`; one system may have all four. The others may be missing:
    read them with `member`, which knows their defaults.
    """

    Hparams: type  # frozen dataclass of `settings.setting` fields: the paper's numbers

    def networks(self, hp, data: DataInfo) -> dict[str, Any]:
        """Build the linen modules, each under its paper's name."""
        ...

    def init(self, hp, nets: dict, rng: jax.Array, batch: Batch) -> dict:
        """Initialise the variables of all networks."""
        ...

    def stages(self, hp, data: DataInfo) -> tuple[Stage, ...]:
        """List the training table, without stages of 0 steps."""
        ...

    def constants(self, hp, load: bool = True) -> dict:
        """Load the arrays that losses need and no player moves.

        With load=False any arrays of the same shapes will do.
        """
        ...

    # A landmark transfer
    def identify(self, hp, nets: dict, variables: dict, source: Face) -> Any:
        """Compute what `transfer` needs of the source: a tree of arrays, one row for each face."""
        ...

    def transfer(
        self, hp, nets: dict, variables: dict, identity: Any, driving: Face, first: Face
    ) -> Float[Array, 'b n d']:
        """Move the source's landmarks as the driver moves; `first` is the driver's first frame.

        A system with a `motion` of its own gives that instead.
        """
        ...

    # An image generator
    def encode(
        self, hp, nets: dict, variables: dict, source: Face, background: Array | None = None
    ) -> Any:
        """Compute what `render` needs of the source: a tree of arrays, one row for each face."""
        ...

    def render(
        self, hp, nets: dict, variables: dict, appearance: Any, landmarks: Float[Array, 'b n d']
    ) -> Float[Array, 'b s s 3']:
        """Draw the source with these landmarks, in [-1, 1]."""
        ...

    # Optional
    RENAMED: dict[str, Callable]  # field of old configs -> (value) -> today's fields
    EARLIER: dict[str, Any]  # field that old configs lack -> the value that they were trained with
    NEEDS: dict[str, tuple[str, ...]]  # function -> networks without which it cannot be called
    # Fields of a `Face` that `identify` and `transfer` take; `identify` gets the image in any case.
    DRIVEN_BY: tuple[str, ...]
    TAKES_BACKGROUND: bool  # whether `encode` can put the face before another background

    def motion(self, hp) -> Motion:
        """Say what `transfer` gives and `render` takes, if not landmarks."""
        ...

    def takes_depth(self, hp) -> bool:
        """Tell whether `render` takes landmarks with depth, d = 3."""
        ...

    def layers(
        self, hp, nets: dict, variables: dict, appearance: Any, landmarks: Array
    ) -> Layers | None:
        """Return what `render` composes: flow, mask, paint and parts; None: no layers here."""
        ...

    def pieces(
        self, hp, nets: dict, variables: dict, appearance: Any, landmarks: Array
    ) -> dict[str, Array]:
        """Return the result of `render` with what it is mixed of: face, background, mask."""
        ...

    def latent(self, hp, nets: dict, variables: dict, face: Face) -> dict[str, Array]:
        """Compute the codes of faces: `identity` and `pose`."""
        ...

    def preview(self, hp, nets: dict, variables: dict, batch: Batch) -> dict[str, Array]:
        """Draw pictures of a batch for TensorBoard, by name, in [-1, 1]."""
        ...


REQUIRED = ('Hparams', 'networks', 'init', 'stages', 'constants')
# Optional member -> its default. None: there is no such function.
OPTIONAL = {
    **dict.fromkeys(('identify', 'transfer', 'encode', 'render')),
    **dict.fromkeys(('layers', 'pieces', 'latent', 'preview')),
    'RENAMED': {},
    'EARLIER': {},
    'NEEDS': {},
    'DRIVEN_BY': ('landmarks',),
    'TAKES_BACKGROUND': False,
    'motion': lambda hp: LANDMARKS,
    'takes_depth': lambda hp: False,
}


def member(system: Any, name: str) -> Any:
    """Return an optional member of a `System`, or its default."""
    return getattr(system, name, OPTIONAL[name])


def able(system: Any, nets: dict, function: str) -> bool:
    """Tell whether a `System`, trained with these networks, has a function (`transfer`, `render`).

    A system whose networks depend on its settings lists in `NEEDS` what each function needs.
    """
    needed = member(system, 'NEEDS').get(function, ())
    return member(system, function) is not None and all(network in nets for network in needed)


def check(stage: Stage, nets: dict) -> None:
    """Reject a stage that could not run as it is written.

    Every player needs an optimiser and networks that exist, no network may have two players, and
    `ema` may name only networks that move.

    Raises:
      UserError: names the stage and the fault.
    """
    owner = {}
    for player, networks in stage.players.items():
        if player not in stage.tx:
            raise UserError(f'stage {stage.name}: player {player} has no optimiser in tx')
        if not networks:
            raise UserError(f'stage {stage.name}: player {player} moves no network')
        for network in networks:
            if network not in nets:
                raise UserError(f'stage {stage.name}: player {player}: no network {network!r}')
            if network in owner:
                raise UserError(
                    f'stage {stage.name}: network {network} belongs to two players, '
                    f'{owner[network]} and {player}'
                )
            owner[network] = player
    for player in stage.tx:
        if player not in stage.players:
            raise UserError(f'stage {stage.name}: tx names {player}, which is not a player')
    for network in stage.ema:
        if network not in owner:
            raise UserError(f'stage {stage.name}: ema names {network}, which no player moves')


def check_rows(stage: Stage, rows: int, devices: int, accumulate: int = 1) -> None:
    """Reject a batch that does not give every device and microbatch an even number of rows.

    Rows 2i and 2i + 1 are partners and must not be parted.

    Args:
      rows: rows of a batch over all devices.
      devices: over which the rows are spread.
      accumulate: microbatches of a step.

    Raises:
      UserError: the number of rows does not divide.
    """
    unit = 2 * devices * accumulate
    if rows < 2 or rows % unit:
        raise UserError(
            f'config.batch_size: stage {stage.name} has {rows} rows a step; {devices} device(s) x '
            f'accumulate {accumulate} x 2 partners need a multiple of {unit}'
        )


def moving(stage: Stage) -> list[str]:
    """List the networks that some player moves."""
    return [network for networks in stage.players.values() for network in networks]
