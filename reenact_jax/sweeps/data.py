"""The shard sets on which tables train and measure: given, or synthetic ones made here.

heads: images, with held-out people and pairs with exact ground truth; people: landmarks of many
people; expressions: landmarks, with shared expressions and each person's own poses; lmtest,
expressions_test: landmarks of other people, every one with every motion.
"""

from typing import Any

from etils import epath

from reenact_jax.common.errors import UserError
from reenact_jax.data_prep import synthetic
from reenact_jax.data_prep.heads.plan import Request

KINDS = ('heads', 'people', 'expressions', 'lmtest', 'expressions_test')
_LANDMARKS = dict(landmarks_only=True, test_identities=0, cross_pairs=0, val_identities=0)
_CROSSED = _LANDMARKS | dict(crossed=True, seed=1)
REQUESTS = {
    'cpu': {
        'heads': dict(identities=160, tracks=8, size=64, test_identities=10, cross_pairs=40),
        'people': _LANDMARKS | dict(identities=1000, tracks=8),
        'expressions': _LANDMARKS | dict(identities=1000, tracks=8, own_poses=True),
        'lmtest': _CROSSED | dict(identities=100, tracks=20),
        'expressions_test': _CROSSED | dict(identities=100, tracks=20, own_poses=True),
    },
    'tiny': {
        'heads': dict(
            identities=4, tracks=2, frames=3, size=64, test_identities=2, val_identities=0,
            cross_pairs=2,
        ),
        'people': _LANDMARKS | dict(identities=6, tracks=3, frames=4),
        'expressions': _LANDMARKS | dict(identities=6, tracks=3, frames=4, own_poses=True),
        'lmtest': _CROSSED | dict(identities=4, tracks=4, frames=4),
        'expressions_test': _CROSSED | dict(identities=4, tracks=4, frames=4, own_poses=True),
    },
}  # fmt: skip


def read_flags(texts: list[str]) -> dict[str, str]:
    """Read the flags `--data KIND=SHARDS`.

    Args:
      texts: the flags' values.

    Returns:
      {kind: folder}.

    Raises:
      UserError: a value has another form, or its kind is unknown.
    """
    folders = {}
    for text in texts:
        kind, sign, folder = text.partition('=')
        if not sign or kind not in KINDS:
            raise UserError(f'--data {text}: expected KIND=SHARDS, KIND of {", ".join(KINDS)}')
        folders[kind] = folder
    return folders


def missing(needs: list[str], size: str, folders: dict[str, str]) -> list[str]:
    """List the kinds of data that are not given.

    Args:
      needs: kinds of data.
      size: of the table.
      folders: kind -> folder of the data that are given.

    Raises:
      UserError: some are missing at the paper's size.
    """
    kinds = [kind for kind in needs if kind not in folders]
    if kinds and size not in REQUESTS:
        flags = ' '.join(f'--data {kind}=SHARDS' for kind in kinds)
        raise UserError(
            f"the paper's size needs your data: {flags} (synthetic people are made for the sizes "
            f'{", ".join(REQUESTS)})'
        )
    return kinds


def gather(needs: list[str], size: str, folders: dict[str, str], workdir: epath.Path) -> dict:
    """Find the data of a table; what is not given is made in `workdir`/data.

    Args:
      needs: kinds of data.
      size: of the table; at the paper's all data have to be given.
      folders: kind -> folder of the data that are given.
      workdir: of the sweep.

    Returns:
      {kind: folder} of all kinds.

    Raises:
      UserError: data are missing at the paper's size, where synthetic people are no substitute.
    """
    for kind in missing(needs, size, folders):
        folder = workdir / 'data' / f'{kind}_{size}'
        print(f'{kind}: {folder}')
        request: dict[str, Any] = REQUESTS[size][kind]
        synthetic.write(folder, Request(**request), 1 if size == 'tiny' else 0)
        folders = folders | {kind: str(folder)}
    return folders
