"""Draw what a model driven by images computes on its way, for held-out tracks.

    reenact-jax evaluate preview --model out/fomm --data SHARDS --out inside.png

A row is a track: its first frame is the source, its last one the driver. The columns are those of
the pictures that training writes into TensorBoard. Of the first order motion model: the driver with
its keypoints, the flow (colours: where to; white: nowhere), the occlusion (black is painted), the
result. The model is a workdir: bundles do not show their inside.
"""

import jax
import numpy as np
from jaxtyping import UInt8

from reenact_jax.common import command_line, errors, storage
from reenact_jax.common.errors import UserError
from reenact_jax.data.shards import ShardSet
from reenact_jax.data.tracks import Batch
from reenact_jax.evaluate import cases, pairs
from reenact_jax.export import trained
from reenact_jax.export.trained import Trained
from reenact_jax.geometry import images
from reenact_jax.media import credentials, watermark, writing
from reenact_jax.systems.interface import member

CELL = 160  # pixels


def main(arguments: list[str]) -> int:
    """Run the command; return its exit code."""
    parser = errors.Parser(prog='reenact-jax evaluate preview', description=__doc__)
    add = parser.add_argument
    add('--model', required=True, metavar='WORKDIR', help='run of a system driven by images')
    add('--data', required=True, metavar='SHARDS', help='set with people kept out of training')
    add('--split', default='test', help='split of the set; default test')
    add('--out', required=True, metavar='FILE', help='sheet to write: .png or .jpg')
    add('--most', type=int, default=6, metavar='N', help='rows at most; default 6')
    args = parser.parse_args(arguments)
    if args.most < 1:
        raise UserError(f'--most {args.most}: expected 1 or more')
    if storage.path(args.out).suffix.lower() not in ('.png', '.jpg', '.jpeg'):
        raise UserError(f'--out {args.out}: expected a .png or .jpg')
    credentials.check()
    model = trained.read(args.model)
    if 'image' not in member(model.module, 'DRIVEN_BY') or not member(model.module, 'preview'):
        raise UserError(
            f'--model {args.model}: {model.system} is not driven by images alone; its pictures are '
            'in TensorBoard'
        )
    command_line.say_device()
    made = sheet(model, ShardSet(args.data, args.split), args.most)
    writing.write_still(args.out, watermark.embed(made))
    print(f'{args.out}: {made.shape[1]} x {made.shape[0]}')
    return 0


def sheet(model: Trained, part: ShardSet, most: int) -> UInt8[np.ndarray, 'H W 3']:
    """Draw the previews of some tracks, a row each.

    Args:
      model: networks of a system whose `preview` needs images alone.
      part: split of a shard set.
      most: rows at most.
    """
    frames = []
    for rows in pairs.make(part, 'self', most).groups():
        case = cases.read(part, 'self', rows, model.size, model.points)
        frames.append(np.stack([case.source['image'][0], case.driving['image'][-1]]))
    names: list[str] = []  # in the system's order, which a dict loses in jit

    def pictures(variables: dict, image) -> list:
        shown = model.module.preview(model.hp, model.nets, variables, Batch(image=image))
        names[:] = shown
        return list(shown.values())

    made = jax.jit(pictures)(model.variables, np.stack(frames))
    columns = [np.asarray(images.to_uint8(np.clip(one, -1, 1))) for one in made]
    return writing.contact_sheet([list(row) for row in zip(*columns, strict=True)], (), names, CELL)
