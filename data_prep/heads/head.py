"""A head ready to render: every mesh, its paint and its hair, baked once for a person."""

import dataclasses

import numpy as np
from jaxtyping import Float, Int

from reenact_jax.data_prep.heads import (
    canvas,
    colours,
    ears,
    expressions,
    eyes,
    glasses,
    hair,
    headwear,
    mouth,
    occlusion,
    pose,
    surface,
)
from reenact_jax.data_prep.heads import texture as paint
from reenact_jax.data_prep.heads.likeness import Likeness, likeness
from reenact_jax.data_prep.heads.strands import Strands
from reenact_jax.data_prep.heads.variety import Variety
from reenact_jax.data_prep.heads.warp import skew

SKIN, FLESH, LEFT_EYE, RIGHT_EYE, INSIDE, FRAME, CLOTH = 0, 1, 2, 3, 4, 5, 6


@dataclasses.dataclass(frozen=True)
class Head:
    """The meshes of a person in one array of vertices: skin, inside of the mouth, ears, eyes.

    `tone` is the colour of vertices without texture, and for eyeballs the direction in the eye.
    """

    person: Likeness
    neutral: Float[np.ndarray, 'v 3']
    faces: Int[np.ndarray, 'f 3']
    material: Int[np.ndarray, ' f']
    grid: tuple[int, int]  # rows and columns of the skin, the first vertices
    skin_faces: int  # the first faces are skin, out of which the lids are cut
    deltas: Float[np.ndarray, '17 v 3']
    jaw: Float[np.ndarray, ' v']
    share: Float[np.ndarray, ' v']
    chart: Float[np.ndarray, 'v 2']
    uv: Float[np.ndarray, 'v 2']  # texels
    tone: Float[np.ndarray, 'v 3']
    gloss: Float[np.ndarray, ' v']
    ambient: Float[np.ndarray, ' v']  # share of the sky that a vertex sees
    twins: Int[np.ndarray, 't 2']  # vertices of the seam at the back
    texture: paint.Texture
    strands: Strands
    strand_share: Float[np.ndarray, 'n s']
    glasses: glasses.Glasses | None  # its lenses are not among the meshes


def bake(seed: int, variety: Variety = Variety()) -> Head:
    """Bake the head of a seed; this takes about a second."""
    person = likeness(seed, variety)
    who, m = person.who, person.measures
    skin = surface.build(person.prims, m)
    spectacles = glasses.glasses(person)
    meshes = [_skin(person, skin), *_inside(person, skin), *_ears(person, skin), *_balls(person),
              *_worn(person, spectacles)]  # fmt: skip
    first = np.cumsum([0] + [len(mesh['points']) for mesh in meshes])
    join = lambda name: np.concatenate([mesh[name] for mesh in meshes])  # noqa: E731
    faces = np.concatenate([mesh['faces'] + f for mesh, f in zip(meshes, first[:-1], strict=True)])
    material = np.concatenate([np.full(len(mesh['faces']), mesh['material']) for mesh in meshes])
    rows, cols = skin.points.shape[:2]
    start = np.arange(rows) * cols
    strands = hair.all_strands(skin, person.bare, m, who)
    strands = strands._replace(points=skew(who, strands.points).astype(np.float32))
    neutral = skew(who, join('points')).astype(np.float32)
    twins = np.stack([start, start + cols - 1], -1).astype(np.int32)
    ambient = occlusion.sky(neutral, faces.astype(np.int32), twins, first[1], rows, cols, skin.slit)
    _open_mouth(ambient, meshes, first)
    return Head(
        person=person,
        neutral=neutral,
        faces=faces.astype(np.int32),
        material=material.astype(np.int32),
        grid=(rows, cols),
        skin_faces=len(meshes[0]['faces']),
        deltas=_deltas(meshes, first),
        jaw=join('jaw').astype(np.float32),
        share=join('share').astype(np.float32),
        chart=join('points')[:, :2].astype(np.float32),
        uv=join('uv').astype(np.float32),
        tone=join('tone').astype(np.float32),
        gloss=join('gloss').astype(np.float32),
        ambient=ambient,
        twins=twins,
        texture=paint.bake(skin, m, who),
        strands=strands,
        strand_share=pose.neck_share(strands.points.reshape(-1, 3)).reshape(
            strands.points.shape[:2]
        ),
        glasses=spectacles and spectacles._replace(lens=skew(who, spectacles.lens)),
    )


def _deltas(meshes, first) -> Float[np.ndarray, '17 v 3']:
    """Compute how the units move each vertex: not at all where a mesh has no fields."""
    deltas = np.zeros((len(expressions.AU), first[-1], 3), np.float32)
    for mesh, a, b in zip(meshes, first[:-1], first[1:], strict=True):
        if mesh['fields'] is not None:
            deltas[:, a:b] = mesh['fields'].deltas
    return deltas


def _open_mouth(ambient, meshes, first) -> None:
    """Bake the mouth's inside with the mouth shut; an opening shows what is seen of it."""
    for mesh, a, b in zip(meshes, first[:-1], first[1:], strict=True):
        if mesh['material'] == INSIDE:
            ambient[a:b] = np.maximum(ambient[a:b], 0.14 + 0.42 * mesh['gloss'])


def _mesh(
    points, faces, material, tone, jaw=None, uv=None, gloss=1.0, fields=None, share=None
) -> dict:
    n = len(points)
    return {
        'points': points,
        'faces': faces,
        'material': material,
        'tone': np.broadcast_to(tone, (n, 3)),
        'jaw': np.zeros(n) if jaw is None else jaw,
        'uv': np.zeros((n, 2)) if uv is None else uv,
        'gloss': np.full(n, gloss),
        'fields': fields,
        'share': np.ones(n) if share is None else share,
    }


def _skin(person: Likeness, skin: surface.Surface) -> dict:
    rows, cols = skin.points.shape[:2]
    points = skin.points.reshape(-1, 3).copy()
    upper = np.repeat(skin.upper, cols)
    place = expressions.Place(points, skin.lip.ravel(), upper)
    fields = expressions.fields(place, person.measures, person.who)
    # Rows inside the mouth curl inwards behind the lips; they move with their lip's edge.
    curl = skin.inner.ravel()
    q = np.clip(np.abs(points[:, 0]) / person.measures.mouth_half, 0, 1) ** 2
    points[:, 2] -= np.where(curl > 1, 0.44 + 0.45 * q, 0.26 * curl)
    points[:, 1] += np.where(upper, 0.8, -0.8) * (1 - 0.7 * q) * (curl > 1)
    v, u = np.meshgrid(np.arange(rows), np.arange(cols), indexing='ij')
    uv = np.stack([u.ravel(), v.ravel()], -1) * float(canvas.FINE)
    return _mesh(
        points, skin.triangles, SKIN, np.zeros(3), fields.jaw, uv, fields=fields,
        share=pose.neck_share(skew(person.who, points).astype(np.float32)),
    )  # fmt: skip


def _inside(person: Likeness, skin: surface.Surface) -> list[dict]:
    m = person.measures
    middle = skin.points.shape[1] // 2
    front = float(skin.points[skin.slit, middle, 2])
    teeth = person.who.looks.teeth
    return [
        _mesh(p.points, p.triangles, INSIDE, p.colours, p.jaw, gloss=p.gloss)
        for p in mouth.parts(m, front, teeth, person.who.seed)
    ]


def _ears(person: Likeness, skin: surface.Surface) -> list[dict]:
    who = person.who
    if who.looks.headwear == 'scarf':
        return []
    p = skin.points.reshape(-1, 3)
    near = (np.abs(p[:, 1] + 1.0) < 1.2) & (np.abs(p[:, 2] + 0.6) < 0.9) & (p[:, 0] > 0)
    points, faces, red = ears.ear(who, float(np.median(p[near, 0])) - 0.05)
    tone = colours.skin(who) * (1 - red[:, None] * (1 - 0.6 * who.skin) * np.array([0, 0.22, 0.24]))
    left = points * np.array([-1.0, 1, 1])
    return [
        _mesh(points, faces, FLESH, tone, gloss=0.8),
        _mesh(left, faces[:, [0, 2, 1]], FLESH, tone, gloss=0.8),
    ]


def _worn(person: Likeness, spectacles: glasses.Glasses | None) -> list[dict]:
    """Make the frame of the glasses, and what is on the head."""
    out = []
    looks = person.who.looks
    if spectacles is not None:
        tone = np.array(looks.frame_tone)
        out.append(_mesh(spectacles.points, spectacles.triangles, FRAME, tone, gloss=2.5))
    shell = headwear.headwear(person)
    if shell is not None:
        fields, share = None, None
        if shell.loose:
            lip = shell.points[:, 1] - surface.mouth_line(shell.points[:, 0], person.measures)
            place = expressions.Place(shell.points, lip, lip > 0)
            fields = expressions.fields(place, person.measures, person.who)
            share = pose.neck_share(shell.points)
        jaw = None if fields is None else fields.jaw
        out.append(_mesh(shell.points, shell.triangles, CLOTH, shell.colours, jaw, gloss=0.15,
                         fields=fields, share=share))  # fmt: skip
    return out


def _balls(person: Likeness) -> list[dict]:
    from reenact_jax.data_prep.heads.anatomy import EYEBALL

    unit, faces = eyes.ball()
    out = []
    for sign, material in ((-1.0, LEFT_EYE), (1.0, RIGHT_EYE)):
        centre = np.array(person.measures.eye) * [sign, 1, 1]
        out.append(_mesh(centre + EYEBALL * unit, faces, material, unit))
    return out
