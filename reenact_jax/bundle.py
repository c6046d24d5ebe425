"""A bundle: a trained model as compiled functions and weights, and how to run it.

It needs jax, numpy and safetensors alone: no Flax, no checkpoint library, none of the model code.

    bundle = load('out/bundle')
    identity = bundle.identify(source)                    # once per source
    appearance = bundle.encode(source)                    # once per source
    landmarks = bundle.transfer(identity, driving, first)
    image = bundle.render(appearance, landmarks)          # [b, size, size, 3] in [-1, 1]

`source` is {'image': [1, size, size, 3] in [-1, 1], 'landmarks': [1, n, 2]}, `driving` and `first`
are {'landmarks': [b, n, 2]} and [1, n, 2]; points are in pixels of a size x size crop. A transfer
may take more of a face (`driven_by`): 'landmarks3d' [b, n, 3], 'aus' and 'aus_valid' (0 or 1)
[b, 20], as in tracks.py, or 'image' [b, size, size, 3]; what it does not take does no harm. What it
gives and `render` takes is a motion, an array [b, n, d] of a named kind (`motion`): landmarks, or
keypoints. Relative motion is computed outside of
a bundle (relative.py), from its `transfer` with the source as `first`, in the same way for bundles
of any age. What `identify` and `encode` return is opaque. A folder holds card.json (the model card,
with the SHA-256 of every other file), weights in *.safetensors under the names
'network/collection/module/parameter', and functions in *.jaxexport (StableHLO for CPU, CUDA and
TPU, any b; weights are arguments).
"""

from __future__ import annotations

import functools
import hashlib
import os
import pathlib
import struct
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from safetensors import SafetensorError

from reenact_jax import pretrained, trust
from reenact_jax.common import regular
from reenact_jax.common.errors import UserError
from reenact_jax.trust.limits import Bounded
from reenact_jax.trust.stablehlo import Refused

if TYPE_CHECKING:
    from jaxtyping import Array, Float

CARD = 'card.json'
FORMAT = 1  # format of the folder; grows when an older reader could not read it
SEVERAL = 2  # format of a bundle with several landmark transfers
MAX_CARD = 16_000_000  # bytes
MAX_PROGRAM = 64_000_000
MAX_WEIGHTS = 2_000_000_000  # of a file that is read without the functions that use it
MAX_HEADER = 16_000_000  # of a file of weights: names and shapes
# What the libraries raise that read damaged files.
_DAMAGE = (LookupError, TypeError, AttributeError, ValueError, struct.error, SafetensorError)
_DAMAGE += (AssertionError, RuntimeError, MemoryError)
LANDMARKS = 'landmarks'  # the kind of motion that every bundle without a name of it has
NO_TRANSFER = 'none'  # the name of `landmarks.carry`: the driver's landmarks as they are


class Bundle:
    """A loaded bundle; `load` makes it.

    Attributes:
      card: the model card.
      size: side of the crop that the model takes and draws, pixels.
      points: name of the point set, a key of `layouts.LAYOUTS`.
      motion: kind of what `transfer` gives and `render` takes: 'landmarks' or another.
      transfer_name: the landmark transfer in use: a system's name, or 'none'.
      driven_by: the fields of a face that the transfer takes.
      transfer_entry: what the card says of the transfer in use; None for 'none'.
    """

    def __init__(self, card: dict, functions: dict, weights: dict, transfer: str):
        """Put together what `load` has read."""
        self.card, self.size, self.points = card, card['size'], card['points']
        self.motion, self.transfer_name = card.get('motion', LANDMARKS), transfer
        self._end, entry = '', {}
        for end, one in trust.cards.transfers(card).items():
            if one['system'] == transfer:
                self._end, entry = end, one
        self.driven_by = tuple(entry.get('driven_by', ('landmarks',)))
        self.transfer_entry = entry or None
        self._functions, self._weights = functions, weights

    @property
    def sees(self) -> bool:
        """Whether the transfer takes the driver's images."""
        return 'image' in self.driven_by

    @property
    def takes_background(self) -> bool:
        """Whether the generator can put the source on another background."""
        return 'encode_onto' in self._functions

    def using(self, transfer: str | None) -> Bundle:
        """Return the same model with another landmark transfer.

        Args:
          transfer: 'none', the name of a transfer of the bundle, or None for its first.

        Raises:
          UserError: the bundle does not have this transfer.
        """
        known = self.transfers
        chosen = transfer or known[0]
        if chosen not in known:
            raise UserError(f'--transfer {chosen}: this bundle has {" or ".join(sorted(known))}')
        return Bundle(self.card, self._functions, self._weights, chosen)

    @property
    def transfers(self) -> list[str]:
        """The names that `using` takes, the default first."""
        own = [entry['system'] for entry in trust.cards.transfers(self.card).values()]
        return [*own, NO_TRANSFER] if self.motion == LANDMARKS else own

    def by_units(self) -> Bundle:
        """Return the model with a transfer that action units drive; itself if it has none."""
        if 'aus' in self.driven_by:
            return self
        for entry in trust.cards.transfers(self.card).values():
            if 'aus' in entry.get('driven_by', ()):
                return self.using(entry['system'])
        return self

    def identify(self, source: dict) -> tuple:
        """Compute what the transfer needs of the source, once per source."""
        if self.transfer_name == NO_TRANSFER:
            return (source['landmarks'],)
        source = self._fields(source, 'source', ('image',))
        return tuple(self._call(f'identify{self._end}', source))

    def transfer(self, identity: tuple, driving: dict, first: dict) -> Float[Array, 'b n d']:
        """Put the driver's motion on the source's face, landmarks in pixels of the source's crop.

        Pose and expression are the driver's. If `first` is the source itself, the face fills the
        driver's box: this is absolute motion, of which relative.py takes differences. If `first` is
        the driver's first frame, it fills the source's box, moved as the driver's has since.

        Args:
          identity: what `identify` returned.
          driving: faces of the driver, b rows.
          first: a face with a leading axis of 1.
        """
        name = 'carry' if self.transfer_name == NO_TRANSFER else f'transfer{self._end}'
        driving, first = self._fields(driving, 'driving'), self._fields(first, 'first')
        return self._call(name, tuple(identity), driving, first)

    def encode(self, source: dict, background: Float[Array, '1 h w 3'] | None = None) -> tuple:
        """Compute what the generator needs of the source, once per source.

        Args:
          source: a face with its image and landmarks, leading axis 1.
          background: image [1, size, size, 3] in [-1, 1] to put the source on; None: its own.

        Raises:
          UserError: a background is given, but the generator cannot change it.
        """
        deep = self._points(source.get('landmarks3d', source['landmarks']))
        source = {name: source[name] for name in ('image', 'landmarks')}
        if self.takes_depth:
            source['landmarks3d'] = deep
        if background is None:
            return tuple(self._call('encode', source))
        if not self.takes_background:
            raise UserError(
                f"{self.card['generator']['system']} draws the source's background; another one "
                'needs a generator that mixes it in, such as facegan'
            )
        return tuple(self._call('encode_onto', source, background))

    def render(
        self, appearance: tuple, landmarks: np.ndarray | jax.Array
    ) -> Float[Array, 'b h w 3']:
        """Draw the source with driving landmarks, or with a motion of the bundle's kind.

        Args:
          appearance: what `encode` returned.
          landmarks: [b, n, 2], or [b, n, 3] where their depth is known; of another kind what
            `transfer` gives.

        Returns:
          Images in [-1, 1].
        """
        return self._call('render', tuple(appearance), self._points(landmarks))

    @property
    def has_layers(self) -> bool:
        """Whether the generator tells what its images are composed of."""
        return 'layers' in self._functions

    def layers(self, appearance: tuple, landmarks: np.ndarray | jax.Array) -> dict:
        """Return what images are composed of: `layers.Layers` as dicts (composing.of_tree).

        This works only where `has_layers`.
        """
        return self._call('layers', tuple(appearance), self._points(landmarks))

    @property
    def takes_depth(self) -> bool:
        """Whether the generator makes use of landmarks' depth."""
        return self.card['generator'].get('takes_depth', False)

    def _points(self, landmarks):
        """Return landmarks as the generator takes them: without depth, or with it; 0 is unknown."""
        if self.motion != LANDMARKS:
            return landmarks
        if landmarks.shape[-1] == 3 or not self.takes_depth:
            return landmarks[..., : 3 if self.takes_depth else 2]
        return jnp.pad(landmarks, ((0, 0), (0, 0), (0, 1)))

    def _fields(self, face: dict, which: str, more: tuple[str, ...] = ()) -> dict:
        """Return what the transfer takes of a face.

        Raises:
          UserError: a field is missing.
        """
        names = tuple(dict.fromkeys((*more, *self.driven_by)))
        if missing := [name for name in names if face.get(name) is None]:
            raise UserError(
                f'{self.transfer_name} needs {", ".join(missing)} of the {which} face, which it '
                'does not have; choose another transfer'
            )
        return {name: face[name] for name in names}

    def _call(self, name: str, *args):
        return self._functions[name](self._weights[name], *jax.tree.map(_placed, args))


def everywhere(tree):
    """Put a copy of arrays on every device."""
    return jax.device_put(tree, NamedSharding(_devices(), PartitionSpec()))


def _placed(array):
    """Spread rows over all devices where they divide evenly; else put a copy on each.

    The placement is always explicit: an array that is on a device by default would be compiled for
    again.
    """
    shape, devices = np.shape(array), _devices()
    rows = len(shape) and shape[0] % devices.size == 0
    return jax.device_put(array, NamedSharding(devices, PartitionSpec('rows' if rows else None)))


@functools.cache
def _devices() -> Mesh:
    return Mesh(np.array(jax.devices()), ('rows',))


def load(directory: str | os.PathLike, transfer: str | None = None) -> Bundle:
    """Read a bundle, check all of it and put the weights on the default device.

    A bundle may come from anyone: SECURITY.md says what is checked.

    Args:
      directory: the bundle's folder, or the name of one that comes with the package ('portrait').
      transfer: the landmark transfer: None for the bundle's first; the name of another one that it
        has; 'none' for the driver's landmarks as they are.

    Raises:
      UserError: the folder is no bundle, a file is missing or damaged, a program or a weight is
        not allowed, the transfer is unknown, or the functions were not exported for this platform.
    """
    folder = _folder(directory)
    card = read_card(directory)
    try:
        return _assembled(directory, folder, card).using(transfer)
    except Refused as error:
        raise UserError(f'{directory}: {error}; this bundle is not used') from None
    except _DAMAGE as error:
        raise UserError(f'{directory}: a damaged bundle ({error!r}); export it again') from None


def _assembled(directory, folder, card: dict) -> Bundle:
    """Read every file once and check it before it is used."""
    programs = {name: card['functions'][name]['file'] for name in card['functions']}
    parts = {entry['weights'] for entry in card['functions'].values()} - {None}
    unused = set(card['files']) - set(programs.values()) - parts
    for name in sorted(unused):
        _read(folder, name, card['files'][name], MAX_PROGRAM)
    content = {
        name: _read(folder, name, card['files'][name], MAX_PROGRAM)
        for name in sorted(set(programs.values()))
    }
    trust.programs.check(content)
    exported = {
        name: jax.export.deserialize(bytearray(content[file])) for name, file in programs.items()
    }
    for function in exported.values():
        _check_platform(directory, function.platforms)
    trust.signatures.check(card, exported)
    weights = _weights(folder, card, exported)
    functions = {name: Bounded(f'{folder / programs[name]}', exported[name]) for name in exported}
    return Bundle(card, functions, weights, NO_TRANSFER)


def _weights(folder, card: dict, exported: dict) -> dict[str, dict]:
    """Read the weights; return those of each function."""
    tensors, weights = {None: {}}, {}
    for name, entry in card['functions'].items():
        part = entry['weights']
        if part not in tensors:
            share = [exported[n] for n, one in card['functions'].items() if one['weights'] == part]
            most = trust.signatures.expected_bytes(share) + MAX_HEADER
            content = _read(folder, part, card['files'][part], most)
            tensors[part] = everywhere(trust.signatures.arrays(content))
        if lost := [key for key in entry['names'] if key not in tensors[part]]:
            raise Refused(f'{CARD}: {name} needs the weight {lost[0][:200]!r}, not in {part}')
        weights[name] = {key: tensors[part][key] for key in entry['names']}
        trust.signatures.check_weights(name, exported[name], weights[name])
    return weights


def is_bundle(directory: str | os.PathLike) -> bool:
    """Tell whether a folder, or a name, is a bundle's: whether there is a card."""
    return (_folder(directory) / CARD).exists()


def read_weights(directory: str | os.PathLike) -> dict[str, dict[str, np.ndarray]]:
    """Read the weights alone, as they are stored; every digest of theirs is checked.

    Returns:
      'generator', 'transfer', 'transfer_2', ... -> 'network/collection/module/parameter' -> array.

    Raises:
      UserError: the folder is no bundle, or a file is missing or damaged.
    """
    folder, card, end = _folder(directory), read_card(directory), '.safetensors'
    try:
        return {
            name.removesuffix(end): trust.signatures.arrays(content)
            for name, content in (
                (name, _read(folder, name, digest, MAX_WEIGHTS))
                for name, digest in card['files'].items()
                if name.endswith(end)
            )
        }
    except _DAMAGE as error:
        raise UserError(f'{directory}: a damaged bundle ({error!r}); export it again') from None


def read_card(directory: str | os.PathLike) -> dict:
    """Read the model card of a bundle.

    Raises:
      UserError: there is no card, or it is of another format.
    """
    file = _folder(directory) / CARD
    try:
        card = trust.cards.parse(_content(file, MAX_CARD))
        version = card['format']
    except FileNotFoundError:
        raise UserError(
            f'{directory}: no bundle here (no {CARD}); make one with reenact-jax export'
        ) from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f'{file}: not a model card ({error!r})') from None
    if version not in (FORMAT, SEVERAL):
        raise UserError(
            f'{file}: bundle format {version!r}, this version reads {FORMAT} and {SEVERAL}'
        )
    try:
        trust.cards.check(card)
    except ValueError as error:
        raise UserError(f'{file}: not a model card ({error})') from None
    return card


def _read(folder, name: str, digest: str, most: int) -> bytes:
    """Read a file of the bundle, of `most` bytes at most, and check its digest."""
    if pathlib.PurePath(name).name != name or name == '..' or '\\' in name:
        raise UserError(f'{folder / CARD}: names a file outside the bundle: {name!r}')
    try:
        content = _content(folder / name, most)
    except FileNotFoundError:
        raise UserError(f'{folder / name}: missing from the bundle; export it again') from None
    if hashlib.sha256(content).hexdigest() != digest:
        raise UserError(f'{folder / name}: damaged (its SHA-256 is not that in {CARD})')
    return content


def _content(file, most: int) -> bytes:
    """Read a regular file.

    Raises:
      FileNotFoundError: there is no such file.
      UserError: it has more than `most` bytes, or is no regular file.
    """
    if '://' in os.fspath(file):
        from reenact_jax.common import storage

        with storage.opened(file) as opened:
            content = opened.read(most + 1)
        if len(content) > most:
            raise UserError(f'{file}: more than {most:,} bytes')
        return content
    return regular.read(file, most, links=False)


def _check_platform(directory, platforms) -> None:
    here = jax.default_backend()
    here = {'gpu': 'cuda'}.get(here, here)
    if here not in platforms:
        raise UserError(
            f'{directory}: exported for {", ".join(platforms)}, this machine has {here}'
        )


def _folder(directory):
    """Return a local folder, or one in a bucket through the storage room (which needs etils).

    A name of `pretrained.MODELS` is the folder of that model; ./NAME is one of one's own.
    """
    if '://' in os.fspath(directory):
        from reenact_jax.common import storage

        return storage.path(directory)
    return pretrained.model(os.fspath(directory)) or pathlib.Path(directory).expanduser()
