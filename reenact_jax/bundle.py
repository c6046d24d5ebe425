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
[b, 20], as in tracks.py; what it does not take does no harm. Relative motion is computed outside of
a bundle (relative.py), from its `transfer` with the source as `first`, in the same way for bundles
of any age. What `identify` and `encode` return is opaque. A folder holds card.json (the model card,
with the SHA-256 of every other file), weights in *.safetensors under the names
'network/collection/module/parameter', and functions in *.jaxexport (StableHLO for CPU, CUDA and
TPU, any b; weights are arguments).
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import pathlib
import struct
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from safetensors import SafetensorError

from reenact_jax.common.errors import UserError

if TYPE_CHECKING:
    from jaxtyping import Array, Float

CARD = 'card.json'
FORMAT = 1  # format of the folder; grows when an older reader could not read it
MAX_CARD = 16_000_000  # bytes
_DTYPES = {'F32': np.float32, 'F16': np.float16, 'BF16': jnp.bfloat16, 'I32': np.int32}
# What the libraries raise that read damaged files.
_DAMAGE = (LookupError, TypeError, AttributeError, ValueError, struct.error, SafetensorError)
NO_TRANSFER = 'none'  # the name of `landmarks.carry`: the driver's landmarks as they are


class Bundle:
    """A loaded bundle; `load` makes it.

    Attributes:
      card: the model card.
      size: side of the crop that the model takes and draws, pixels.
      points: name of the point set, a key of `layouts.LAYOUTS`.
      transfer_name: the landmark transfer in use: a system's name, or 'none'.
      driven_by: the fields of a face that the transfer takes.
    """

    def __init__(self, card: dict, functions: dict, weights: dict, transfer: str):
        """Put together what `load` has read."""
        self.card, self.size, self.points = card, card['size'], card['points']
        self.transfer_name = transfer
        entry = card['transfer'] if transfer != NO_TRANSFER else None
        self.driven_by = tuple((entry or {}).get('driven_by', ('landmarks',)))
        self._functions, self._weights = functions, weights

    @property
    def takes_background(self) -> bool:
        """Whether the generator can put the source on another background."""
        return 'encode_onto' in self._functions

    def using(self, transfer: str | None) -> Bundle:
        """Return the same model with another landmark transfer.

        Args:
          transfer: 'none', the name of the bundle's own transfer, or None for that one.

        Raises:
          UserError: the bundle does not have this transfer.
        """
        own = self.card['transfer']['system'] if self.card['transfer'] else NO_TRANSFER
        chosen = transfer or own
        if chosen not in (own, NO_TRANSFER):
            known = ' or '.join(sorted({own, NO_TRANSFER}))
            raise UserError(f'--transfer {chosen}: this bundle has {known}')
        return Bundle(self.card, self._functions, self._weights, chosen)

    def identify(self, source: dict) -> tuple:
        """Compute what the transfer needs of the source, once per source."""
        if self.transfer_name == NO_TRANSFER:
            return (source['landmarks'],)
        return tuple(self._call('identify', self._fields(source, 'source', ('image',))))

    def transfer(self, identity: tuple, driving: dict, first: dict) -> Float[Array, 'b n 2']:
        """Put the driver's motion on the source's face, in pixels of the source's crop.

        Pose and expression are the driver's. If `first` is the source itself, the face fills the
        driver's box: this is absolute motion, of which relative.py takes differences. If `first` is
        the driver's first frame, it fills the source's box, moved as the driver's has since.

        Args:
          identity: what `identify` returned.
          driving: faces of the driver, b rows.
          first: a face with a leading axis of 1.
        """
        name = 'carry' if self.transfer_name == NO_TRANSFER else 'transfer'
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
        """Draw the source with driving landmarks.

        Args:
          appearance: what `encode` returned.
          landmarks: [b, n, 2], or [b, n, 3] where their depth is known.

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
        if landmarks.shape[-1] == 3 or not self.takes_depth:
            return landmarks[..., : 3 if self.takes_depth else 2]
        return jnp.pad(landmarks, ((0, 0), (0, 0), (0, 1)))

    def _fields(self, face: dict, which: str, more: tuple[str, ...] = ()) -> dict:
        """Return what the transfer takes of a face.

        Raises:
          UserError: a field is missing.
        """
        names = (*more, *self.driven_by)
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
    """Read a bundle, check every digest and put the weights on the default device.

    Args:
      directory: the bundle's folder.
      transfer: the landmark transfer: None or the name of the bundle's own; 'none' for the driver's
        landmarks as they are.

    Raises:
      UserError: the folder is no bundle, a file is missing or damaged, the transfer is unknown, or
        the functions were not exported for this platform.
    """
    folder = _folder(directory)
    card = read_card(directory)
    try:
        return _assembled(directory, folder, card).using(transfer)
    except _DAMAGE as error:
        raise UserError(f'{directory}: a damaged bundle ({error!r}); export it again') from None


def _assembled(directory, folder, card: dict) -> Bundle:
    files = {name: _read(folder, name, digest) for name, digest in card['files'].items()}
    functions, weights, tensors = {}, {}, {}
    for name, entry in card['functions'].items():
        exported = jax.export.deserialize(bytearray(files[entry['file']]))
        _check_platform(directory, exported.platforms)
        functions[name] = jax.jit(exported.call)
        part = entry['weights']
        if part and part not in tensors:
            tensors[part] = everywhere(_arrays(files[part]))
        weights[name] = {key: tensors[part][key] for key in entry['names']} if part else {}
    return Bundle(card, functions, weights, NO_TRANSFER)


def _arrays(content: bytes) -> dict[str, np.ndarray]:
    """Read a safetensors file; safetensors' own reader for NumPy knows no bfloat16."""
    return {
        name: np.frombuffer(entry['data'], _DTYPES[entry['dtype']]).reshape(entry['shape'])
        for name, entry in safetensors.deserialize(content)
    }


def read_weights(directory: str | os.PathLike) -> dict[str, dict[str, np.ndarray]]:
    """Read the weights alone, as they are stored; every digest of theirs is checked.

    Returns:
      'generator' or 'transfer' -> 'network/collection/module/parameter' -> array.

    Raises:
      UserError: the folder is no bundle, or a file is missing or damaged.
    """
    folder, card, end = _folder(directory), read_card(directory), '.safetensors'
    try:
        files = {name: digest for name, digest in card['files'].items() if name.endswith(end)}
        return {
            name.removesuffix(end): _arrays(_read(folder, name, digest))
            for name, digest in files.items()
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
        content = _content(file, MAX_CARD + 1)
        if len(content) > MAX_CARD:
            raise ValueError(f'more than {MAX_CARD:,} bytes')
        card = json.loads(content)
        version = card['format']
    except FileNotFoundError:
        raise UserError(
            f'{directory}: no bundle here (no {CARD}); make one with reenact-jax export'
        ) from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f'{file}: not a model card ({error!r})') from None
    if version != FORMAT:
        raise UserError(f'{file}: bundle format {version}, this version reads {FORMAT}')
    return card


def _read(folder, name: str, digest: str) -> bytes:
    """Read a file of the bundle and check its digest."""
    if pathlib.PurePath(name).name != name or name == '..' or '\\' in name:
        raise UserError(f'{folder / CARD}: names a file outside the bundle: {name!r}')
    try:
        content = _content(folder / name)
    except FileNotFoundError:
        raise UserError(f'{folder / name}: missing from the bundle; export it again') from None
    if hashlib.sha256(content).hexdigest() != digest:
        raise UserError(f'{folder / name}: damaged (its SHA-256 is not that in {CARD})')
    return content


def _content(file, most: int = -1) -> bytes:
    """Read a file, or its first `most` bytes.

    Raises:
      FileNotFoundError: there is no such file.
    """
    if '://' in os.fspath(file):
        from reenact_jax.common import storage

        with storage.opened(file) as opened:
            return opened.read(most)
    with file.open('rb') as opened:
        return opened.read(most)


def _check_platform(directory, platforms) -> None:
    here = jax.default_backend()
    here = {'gpu': 'cuda'}.get(here, here)
    if here not in platforms:
        raise UserError(
            f'{directory}: exported for {", ".join(platforms)}, this machine has {here}'
        )


def _folder(directory):
    """Return a local folder, or one in a bucket through the storage room (which needs etils)."""
    if '://' in os.fspath(directory):
        from reenact_jax.common import storage

        return storage.path(directory)
    return pathlib.Path(directory).expanduser()
