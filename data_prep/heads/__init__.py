"""Procedural heads: a person from a seed, a face in motion, pictures and exact labels.

    identity   who: factors and their sampler        anatomy   factors -> measures and primitives
    implicit   primitives -> a surface, by rays      surface   the skin as a grid, the mouth's slit
    features   brows, lips, as curves                points    where the landmarks are
    expressions  action units -> displacement        eyes, mouth, ears   the other parts
    likeness   a person's landmarks in any state     pose      neck, camera
    hairline, strands, hair, lashes   hair           colours, noise, texture   paint
    occlusion, light, background   surroundings      rasteriser, shade, render   a frame
    head       everything baked for a person         motion    clips of natural motion
    clips      tracks                                plan      what a set holds
    sheets     contact sheets to look at             additive  how far units are from adding up

Inside: centimetres, x right, y up, z to the camera. `clips` turns all into tracks.py's conventions.
"""
