"""Animate a portrait: the source's face and identity, the driver's motion.

    reenact-jax reenact                                               # the demonstration
    reenact-jax reenact --source portrait.jpg --driving talk --out result.mp4

The first line animates a synthetic person who comes with the package, into out/demo.mp4. --driving
talk, smile and look_around are motions in the package; the model is the one in the package unless
--model names another:

    reenact-jax reenact --model BUNDLE --source portrait.jpg --driving clip.mp4 \\
        --out result.mp4 --sheet result.png

The driver may be a video, a still or a folder of stills. Source and driver may also be tracks of a
shard set (synthetic heads, say), which need no face detection:

    reenact-jax reenact --model BUNDLE --source SHARDS --source-track ID \\
        --driving SHARDS --driving-track ID --out result.mp4

A source may be several pictures of one person, of which each frame is drawn from the one whose pose
fits: --source again and again, or --source-as set with a video or a folder of stills. With
--source-as film a video keeps its own motion, and its eyes, brows and mouth (--region) get the
driver's expression:

    reenact-jax reenact --model BUNDLE --source a.jpg --source b.jpg --driving clip.mp4 --out r.mp4
    reenact-jax reenact --model BUNDLE --source talk.mp4 --source-as film --region mouth \\
        --driving clip.mp4 --out dubbed.mp4

What changes in the driver is added to the source's own face: --strength takes more or less of it,
--region only a part (the eyes, say), and --reference best starts at the frame of the driver that
looks most as the source does:

    reenact-jax reenact --model BUNDLE --source portrait.jpg --driving clip.mp4 \\
        --strength 1.3 --region mouth --region eyes --reference best --out result.mp4

Without a driver, changes act on the source's own face, and --steps leads from it to the changed one
(or to that of a driver that is a still), as a strip of pictures or a video. --edit moves landmarks
and --pose-... turns the head, with any model; --au and --sweep set action units, with a bundle made
with FACEGAN's transfer. --pose-... and --au change those of a driver, too:

    reenact-jax reenact --model BUNDLE --source portrait.jpg --edit mouth_open=0.8 \\
        --steps 6 --out strip.png
    reenact-jax reenact --model BUNDLE --source portrait.jpg --au 12=0.8 --au 45=1 \\
        --pose-yaw +15 --out smile.png
    reenact-jax reenact --model BUNDLE --source portrait.jpg --sweep 26 --out jaw.mp4

Motion travels without its video, too: --save-motion writes a driver's landmarks and action units,
--driving reads them (and OpenFace's tables).

The result shows the source's whole picture. A model that gives layers (AAN with a mask, FACEGAN)
draws at the picture's own pixels, at most --max-side of them; that of others is pasted under a mask
that fades at the crop's border. --crop gives the square crop alone, as do strips, sheets and tracks
of shard sets, which have no more. It is marked as synthetic in the file's metadata and, invisibly,
in its pixels, and signed (content credentials) where c2pa-python is installed:
`reenact-jax provenance FILE` looks for all three.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import shlex
import sys
from fractions import Fraction

from reenact_jax import bundle as bundles
from reenact_jax import faces, pretrained
from reenact_jax.bundle import Bundle
from reenact_jax.common import command_line
from reenact_jax.common.errors import UserError
from reenact_jax.faces import point_files
from reenact_jax.media import credentials
from reenact_jax.reenact import (
    drivers,
    film_recording,
    films,
    keypoint_motion,
    portraits,
    recording,
    scenes,
    several,
    source_flags,
)
from reenact_jax.reenact import flags as reenact_flags
from reenact_jax.reenact.animation import Animation, fitting
from reenact_jax.reenact.drivers import Driver
from reenact_jax.reenact.edits import landmark_edits, unit_edits
from reenact_jax.reenact.options import Options
from reenact_jax.reenact.pipeline import Ahead, Pipeline, serial
from reenact_jax.reenact.portraits import Portrait

DEMONSTRATION = 'out/demo.mp4'
HARDLY = 'what was found is hardly a human face (an animal, a drawing?); look at the result'


def main(arguments: list[str] | None = None) -> int:
    """Run `reenact-jax reenact`; return its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    args = reenact_flags.read(__doc__, arguments or _demonstration())
    command_line.say_device()
    bundle = bundles.load(args.model, args.transfer)
    if not args.transfer:
        bundle = _fitting(bundle, args)
    with contextlib.ExitStack() as stack:
        detector = None
        seen = args.driving and not args.driving_track and not reenact_flags.is_motion(args)
        if seen or not (args.source_track or args.source_landmarks):
            detector = stack.enter_context(_detector(args))
        if args.source_as == source_flags.FILM:
            summary = _record_film(args, bundle, detector)
        else:
            ahead = stack.enter_context(Pipeline()).ahead
            summary = _record_portrait(args, bundle, detector, ahead)
    summary['credentials'] = credentials.is_available() and not args.no_credentials
    _warn_of_following(args.driving, summary)
    for name, reason in summary.get('unused', {}).items():
        _warn(f'{args.driving}: {name} is not used: {reason}')
    if summary['fault']:
        _warn(f'{args.driving}: {summary["fault"]}')
    if summary.get('start'):
        _warn(
            f'{args.driving}: motion starts at its first frame, and {summary["start"]}; '
            '--reference best starts at the frame that looks most as the portrait does'
        )
    print(json.dumps(summary))
    return 0


def _demonstration() -> list[str]:
    """Return the arguments of the command without arguments, and print them."""
    person = os.path.relpath(pretrained.people()[0])
    arguments = ['--source', person, '--driving', pretrained.MOTIONS[0], '--side-by-side']
    arguments += ['--out', DEMONSTRATION, '--overwrite']
    print(f'reenact-jax reenact {shlex.join(arguments)}\n(--help shows all flags)', file=sys.stderr)
    return arguments


def _fitting(bundle: Bundle, args: argparse.Namespace) -> Bundle:
    """Take the transfer that the command's action units need."""
    units = reenact_flags.units(args)
    if args.sweep:
        units.append(unit_edits.Change(unit_edits.unit(args.sweep, '--sweep'), 1.0, False))
    return fitting(bundle, units)


def _detector(args: argparse.Namespace) -> faces.AnyDetector:
    if args.detector:
        return faces.PointDetector(args.detector)
    return faces.Detector(args.face_landmarker)


def _record_film(args: argparse.Namespace, bundle: Bundle, detector) -> dict:
    """Write a film with the driver's expression."""
    keypoint_motion.refuse(bundle, '--source-as film')
    more = dict(most=args.max_side, smooth=args.smooth is not False)
    film = films.Film(args.source, bundle.points, detector, args.face, **more)
    source = films.portrait(film.first, films.Squares()(film.first), bundle.size)
    driver = _driver(args, bundle, detector, source, serial)  # the detector is the film's, too
    animation = Animation(bundle, source, _options(args, bundle, driver.rate))
    summary = film_recording.record(animation, film, driver, reenact_flags.output(args))
    if ends := summary['ends']:
        _warn(
            f'{args.source} ends at {ends[0]:.2f} s, {args.driving} at {ends[1]:.2f} s: so does '
            'the result, with the shorter one'
        )
    if times := summary['without_face']:
        _warn(
            f'{args.source}: no face in {len(times)} frames, from {times[0]:.2f} s on; they stay '
            'as they are'
        )
    for time in film.follower.report()['switches']:
        _warn(f'{args.source}: from {time:.2f} s on somebody else is changed')
    return summary


def _record_portrait(args: argparse.Namespace, bundle: Bundle, detector, ahead: Ahead) -> dict:
    """Write the result of a portrait, or of several pictures of one person."""
    source, *others = _sources(args, bundle, detector)
    for path, one in zip((args.source, *args.others), (source, *others), strict=False):
        if one.is_cut:
            _warn(f'{path}: the picture ends within the face; what it does not show is guessed')
        if not one.certain:
            _warn(f'{path}: {HARDLY}')
    driver = _driver(args, bundle, detector, source, ahead) if args.driving else None
    summary = _record(args, bundle, source, others, driver, ahead)
    return summary | ({'sources': 1 + len(others)} if others else {})


def _record(
    args: argparse.Namespace, bundle: Bundle, source: Portrait, others, driver, ahead: Ahead
) -> dict:
    """Write the result: a driver's motion, or the way to a changed face or to a still driver's."""
    rate = recording.LEAD_RATE if driver is None or args.steps else driver.rate
    options, output = _options(args, bundle, rate), reenact_flags.output(args)
    if args.sweep:
        unit = unit_edits.unit(args.sweep, '--sweep')
        low, high = (unit_edits.Change(unit, value, False) for value in (0.0, 1.0))
        source = source._replace(known=unit_edits.apply(source.known, [low]))
        options = dataclasses.replace(options, units=[*options.units, high])
    animation = Animation(bundle, source, options, others)
    if driver is None or args.steps:
        if driver is not None and driver.count != 1:
            raise UserError(
                f'--steps: {args.driving} has {driver.count} frames; the driver must be a still'
            )
        count = 2 * int(recording.LEAD_RATE) if output.is_video else 6 if args.sweep else 1
        return recording.record_lead(animation, driver, args.steps or count, output)
    if driver.count != 1 and not output.is_video:
        raise UserError(f'--out {args.out}: the driver has several frames; name it .mp4')
    return recording.record(animation, driver, output, ahead)


def _options(args: argparse.Namespace, bundle: Bundle, rate: Fraction) -> Options:
    amount = reenact_flags.amount(args)
    return Options(
        motion=args.motion,
        reference=args.reference,
        strength=amount.strength,
        regions=amount.regions,
        smooth=args.smooth,
        adapt_scale=args.adapt_scale,
        units=reenact_flags.units(args),
        edits=landmark_edits.parse(args.edit),
        background=scenes.read(args.background, bundle.size, rate) if args.background else None,
        crop=args.crop,
        max_side=args.max_side,
        batch=args.batch,
    )


def _sources(args: argparse.Namespace, bundle: Bundle, detector) -> list[Portrait]:
    """Return the portrait, and more pictures of the same person."""
    spec = bundle.size, bundle.points, detector, args.face
    if args.source_as == source_flags.SET:
        return several.from_file(args.source, *spec)
    if args.source_track:
        track = portraits.find_track(args.source, args.source_track)
        return [portraits.from_track(track, args.source_frame, bundle.size, bundle.points)]
    if args.source_landmarks:
        picture = portraits.read(args.source, args.source_frame)
        given = point_files.one(args.source_landmarks, args.source)
        return [portraits.from_points(picture, given, bundle.size, bundle.points)]
    paths = args.source, *args.others
    return [portraits.from_file(path, *spec, args.source_frame) for path in paths]


def _driver(
    args: argparse.Namespace, bundle: Bundle, detector, source: Portrait, ahead: Ahead
) -> Driver:
    every = args.side_by_side or (args.sheet and args.source_as == source_flags.FILM)
    rows = sys.maxsize if every else args.rows if args.sheet else 0
    if reenact_flags.is_motion(args):
        spec = bundle.size, bundle.points, bundle.driven_by
        return drivers.from_motion(args.driving, source, *spec, rows)
    if args.driving_track:
        track = portraits.find_track(args.driving, args.driving_track)
        return drivers.from_track(track, bundle.size, bundle.points, rows, seen=bundle.sees)
    shown = recording.BESIDE if args.side_by_side else drivers.SHOWN
    spec = bundle.size, bundle.points, detector, rows, shown
    rate = args.rate and reenact_flags.rate(args.rate)
    more: dict = dict(seen=bundle.sees, ahead=ahead)
    return drivers.from_file(args.driving, *spec, rate, args.driving_face, **more)


def _warn_of_following(path: str | None, summary: dict) -> None:
    """Print warnings of what happened to the driver's face."""
    lost = ', '.join(
        f'{begin:.2f} to {"the end" if end is None else f"{end:.2f}"}'
        for begin, end in summary.get('lost', [])
    )
    if summary['held']:
        when = f' ({lost} s)' if lost else ''
        _warn(f'{path}: no face in {summary["held"]} frames{when}; the motion before was held')
    if summary.get('certain') is False:
        _warn(f'{path}: {HARDLY}')
    if cuts := summary.get('cuts'):
        when = ', '.join(f'{time:.2f}' for time in cuts)
        _warn(f'{path}: it cuts at {when} s; relative motion starts anew there')
    if switches := summary.get('switches'):
        when = ', '.join(f'{time:.2f}' for time in switches)
        _warn(f'{path}: from {when} s on somebody else is followed')


def _warn(text: str) -> None:
    """Print a warning to stderr."""
    print(f'warning: {text}', file=sys.stderr)
