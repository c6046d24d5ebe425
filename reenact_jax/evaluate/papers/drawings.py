"""Landmark transfer as line drawings: each result over the ground truth."""

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw

from reenact_jax.geometry import layouts
from reenact_jax.media import writing

SIDE = 480  # side of a drawing, pixels; it is shown smaller, so that lines are smooth
GREY, BLACK, BLUE = (190, 190, 190), (0, 0, 0), (20, 70, 200)
ROWS = 6  # most cases on the sheet


def sheet(
    given: dict[str, Float[np.ndarray, 'r n 2']],
    made: dict[str, Float[np.ndarray, 'r n 2']],
    truth: Float[np.ndarray, 'r n 2'],
) -> UInt8[np.ndarray, 'h w 3']:
    """Draw a contact sheet, one test case per row.

    Args:
      given: heading -> shapes in units of their box, drawn in black.
      made: heading -> shapes drawn in blue over the ground truth, which is grey.
      truth: the ground truth.
    """
    edges = layouts.of_count(truth.shape[-2]).edges
    rows = []
    for number in range(min(ROWS, len(truth))):
        row = [_drawing(edges, (shapes[number], BLACK)) for shapes in given.values()]
        row += [
            _drawing(edges, (truth[number], GREY), (shapes[number], BLUE))
            for shapes in made.values()
        ]
        rows.append(row)
    return writing.contact_sheet(rows, column_captions=[*given, *made])


def _drawing(edges, *drawn) -> UInt8[np.ndarray, 's s 3']:
    """Draw shapes in their colours, the later over the earlier."""
    image = Image.new('RGB', (SIDE, SIDE), 'white')
    pen = ImageDraw.Draw(image)
    for shape, colour in drawn:
        points = (np.asarray(shape) * 0.45 + 0.5) * SIDE
        for a, b in edges:
            pen.line([*points[a], *points[b]], fill=colour, width=5)
    return np.asarray(image)
