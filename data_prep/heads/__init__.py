"""Procedural heads: a person from a seed, a face in motion, pictures and exact labels.

    variety    how much of what photographs have     looks     what people wear, skin, teeth
    identity   who: factors and their sampler        anatomy   factors -> measures and primitives
    implicit   primitives -> a surface, by rays      surface   the skin as a grid, the mouth's slit
    features   brows, lips, as curves                points    where the landmarks are
    expressions  action units -> displacement
    likeness   a person's landmarks in any state     warp      bumps of one's own, asymmetry
    pose       the turn of the neck, projection      ears, eyes, mouth   the other parts
    hairline, strands, hair, lashes   hair           glasses, headwear         what is worn
    canvas, complexion, texture   paint              colours, noise            what paint is made of
    occlusion, light, background   surroundings      camera    blur, noise, colour, compression
    rasteriser, shade, render   a frame
    head       everything baked for a person         motion, extremes   clips of natural motion
    clips      tracks                                plan      what a set holds
    sheets     contact sheets to look at             additive  how far units are from adding up

Inside: centimetres, x right, y up, z to the camera. `clips` turns all into tracks.py's conventions.
"""
