"""Pictures, videos and sound, read and written, and the marks that say they are synthetic.

    read    reading, containers, stills, animations, kinds, whole, timeline, geometry, colours
    write   writing, loops (WebP, GIF), sheets, sound, measuring
    marks   watermark, credentials, certificates, provenance

`writing.VideoWriter` is the video encoder: H.264 or VP9; its `crf` is the quality.
"""
