"""Contact sheets, to judge synthetic heads by eye.

    python -m data_prep.heads.sheets people --out people.png --seed 1 --count 24
    python -m data_prep.heads.sheets units --out units.png --seed 3
    python -m data_prep.heads.sheets poses --out poses.png --seed 3

people: different people, each with its seed; units: every action unit at 0.5 and 1; poses: turns,
looks and expressions of one person.
"""

import numpy as np
from PIL import Image, ImageDraw

from reenact_jax.common import errors
from reenact_jax.common.errors import UserError
from reenact_jax.data.tracks import AU_NAMES, FACE, HAIR
from reenact_jax.data_prep.heads import clips, head, light, motion, pose, render
from reenact_jax.data_prep.heads.background import background
from reenact_jax.data_prep.heads.likeness import marks
from reenact_jax.data_prep.heads.pose import State
from reenact_jax.media import watermark, writing

_POSES = (
    {}, {'turn': (0, 20, 0)}, {'turn': (0, 40, 0)}, {'turn': (0, -20, 0)}, {'turn': (0, -40, 0)},
    {'turn': (0, 65, 0)}, {'turn': (20, 0, 0)}, {'turn': (-20, 0, 0)}, {'turn': (0, 0, 20)},
    {'turn': (10, -25, -12)}, {'gaze': (22, 0)}, {'gaze': (-22, 0)}, {'gaze': (0, 18)},
    {'gaze': (0, -18)}, {'turn': (0, -25, 0), 'AU12': 1, 'AU06': 0.8, 'AU25': 0.7},
    {'turn': (0, 20, 0), 'AU26': 0.6, 'AU25': 0.5},
)  # fmt: skip


def state(turn=(0, 0, 0), gaze=(0, 0), **units) -> State:
    """Make one frame: head rotation and gaze in degrees, action units by name (as a clip of 1)."""
    aus = np.zeros((1, len(AU_NAMES)))
    for name, value in units.items():
        aus[0, AU_NAMES.index(name)] = value
    return State(aus, np.deg2rad([turn]), np.deg2rad([gaze]), np.zeros((1, 3)))


def picture(baked: head.Head, what: State, scene: int, size: int, dots=False, classes=False):
    """Render an image [size, size, 3] in the neutral face's crop, perhaps with its landmarks."""
    crop = clips.crop_of(marks(baked.person, state()))
    back = background(scene, size)
    frame = render.render(baked, what.frame(0), light.scene(scene), back, crop, size, 0)
    image = Image.fromarray(frame.image)
    if classes:
        tint = np.zeros_like(frame.image)
        tint[frame.segmentation == FACE] = 230, 150, 120
        tint[frame.segmentation == HAIR] = 90, 60, 200
        image = Image.fromarray((frame.image // 2 + tint // 2).astype(np.uint8))
    if dots:
        found = marks(baked.person, what)
        seen = render.visible(frame, found, 0, crop)
        draw = ImageDraw.Draw(image)
        for array, ok, tone in ((found.surface, seen[0], 'lime'), (found.contour, seen[1], 'cyan')):
            xy = pose.window(pose.project(array[0]), crop, size)[:, :2]
            for (x, y), shown in zip(xy, ok, strict=True):
                draw.ellipse([x - 1.4, y - 1.4, x + 1.4, y + 1.4], outline=tone if shown else 'red')
    return image


def grid(images: list[Image.Image], labels: list[str], columns: int) -> Image.Image:
    """Put images in rows, each with its label."""
    side = images[0].width
    rows = -(-len(images) // columns)
    sheet = Image.new('RGB', (columns * side, rows * side))
    draw = ImageDraw.Draw(sheet)
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        place = (i % columns) * side, (i // columns) * side
        sheet.paste(image, place)
        draw.text(
            (place[0] + 4, place[1] + 2), label, fill='white', stroke_width=1, stroke_fill='black'
        )
    return sheet


def people(seed: int, count: int, size: int, dots: bool) -> Image.Image:
    """Draw different people, turned a little this way and that."""
    images, labels = [], []
    for i in range(count):
        baked = head.bake(seed + i)
        images.append(picture(baked, state(turn=(0, (i % 3 - 1) * 18, 0)), seed + i, size, dots))
        labels.append(str(seed + i))
    return grid(images, labels, min(count, 6))


def units(seed: int, size: int, dots: bool) -> Image.Image:
    """Draw every action unit at 0.5 and 1, from the front, and at 1 in three-quarter view."""
    baked = head.bake(seed)
    images, labels = [], []
    for name in ('neutral', *AU_NAMES):
        for turn, level in (((0, 0, 0), 0.5), ((0, 0, 0), 1), ((0, 35, 0), 1)):
            unit = {} if name == 'neutral' else {name: level}
            images.append(picture(baked, state(turn=turn, **unit), seed, size, dots))
            labels.append(f'{name} {level}')
    return grid(images, labels, 9)


def poses(seed: int, size: int, dots: bool) -> Image.Image:
    """Draw turns, looks and faces of emotion, with a segmentation."""
    baked = head.bake(seed)
    images = [picture(baked, state(**what), seed, size, dots) for what in _POSES]
    images += [picture(baked, state(**face), seed, size, dots) for face in motion.FACES[:7]]
    images.append(
        picture(baked, state(turn=(0, 30, 0), AU26=0.6, AU25=1), seed, size, classes=True)
    )
    return grid(images, [''] * len(images), 6)


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = errors.Parser(
        prog='python -m data_prep.heads.sheets',
        description=__doc__,
    )
    parser.add_argument('what', choices=('people', 'units', 'poses'))
    parser.add_argument('--out', required=True, help='PNG or JPEG to write')
    parser.add_argument('--seed', type=int, default=1, help='person, or first person (default 1)')
    parser.add_argument('--count', type=int, default=12, help='people: how many (default 12)')
    parser.add_argument('--size', type=int, default=256, help='side of a picture (default 256)')
    parser.add_argument('--dots', action='store_true', help='draw the landmarks; red: hidden')
    flags = parser.parse_args(arguments)
    if flags.size < 32 or flags.count < 1 or flags.seed < 0:
        raise UserError('sheets: --size of 32 or more, --count of 1 or more, --seed of 0 or more')
    made = {
        'people': lambda: people(flags.seed, flags.count, flags.size, flags.dots),
        'units': lambda: units(flags.seed, flags.size, flags.dots),
        'poses': lambda: poses(flags.seed, flags.size, flags.dots),
    }[flags.what]()
    writing.write_still(flags.out, watermark.embed(np.asarray(made.convert('RGB'))))
    return 0


if __name__ == '__main__':
    errors.command(main)
