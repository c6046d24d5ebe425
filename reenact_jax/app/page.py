"""The page itself: what is where, and which event calls which function of studio.py."""

import functools
import re
from collections.abc import Callable
from typing import Any

import gradio as gr

from reenact_jax import pretrained
from reenact_jax.app import camera_page
from reenact_jax.app import studio as behind
from reenact_jax.app.camera import Doors
from reenact_jax.app.studio import Studio
from reenact_jax.bundle import LANDMARKS
from reenact_jax.common.errors import UserError
from reenact_jax.reenact import motion, regions
from reenact_jax.reenact.edits import landmark_edits, unit_edits
from reenact_jax.reenact.options import MOTIONS, REFERENCES

TITLE = 'reenact_jax'
HEAD = """# {title}
A portrait, moved by sliders or by another face. Model: {generator} with {transfer}, {size} x {size}
pixels. Animate nobody who has not agreed to it; every result is marked as synthetic."""
NO_PORTRAIT = 'choose a portrait first'
# One at a time: there is one detector, and a device is no faster for two.
ONE: dict[str, Any] = dict(concurrency_id='model', concurrency_limit=1)
CSS = """.sliders .block {padding: 4px 10px}
.sticky {position: sticky; top: 8px; align-self: flex-start}
footer {display: none !important}"""


def build(studio: Studio, doors: Doors) -> gr.Blocks:
    """Build the page of a model.

    Args:
      studio: the model and what it needs.
      doors: where frames of a camera are drawn.
    """
    model = studio.model
    facts = dict(title=TITLE, generator=model.card['generator']['system'], size=model.size)
    setup: dict[str, Any] = dict(delete_cache=(600, 3600), analytics_enabled=False, fill_width=True)
    with gr.Blocks(title=TITLE, **setup) as page:
        gr.Markdown(HEAD.format(transfer=model.transfer_name, **facts))
        with gr.Row():
            with gr.Column(scale=2):
                picture, face, background, whole, more = _portrait(studio)
            with gr.Column(scale=5):
                source = gr.State()
                with gr.Tab('Sliders'):
                    sliders, result = _sliders(studio, source, background, whole)
                with gr.Tab('Driver'):
                    _driver(studio, source, background, whole, more)
                with gr.Tab('Camera'):
                    camera_page.build(_opening(studio, doors), source, whole)
        heard = [picture.change, face.change]
        takes = [picture, face, background, whole]
        gr.on(heard, _loading(studio), takes, [source, result, *sliders], **ONE)
    return page.queue()


def _portrait(studio: Studio):
    """Build the controls of the portrait."""
    portraits, _ = behind.examples()
    picture = _picture(
        label='Portrait', sources=['upload', 'webcam', 'clipboard'], height=300, elem_id='portrait'
    )
    gr.Examples(portraits, picture, label='Synthetic people')
    face = gr.Dropdown(list(behind.FACES), label='Which face', value=behind.ONLY)
    whole = gr.Checkbox(True, label='Whole picture', info='not the square of the face alone')
    can = studio.model.takes_background
    background = _picture(label='Another background', height=160, visible=can, elem_id='background')
    with gr.Accordion('More pictures of this person', open=False):
        more = gr.File(
            label='for a driver: each frame is drawn from the one whose pose fits',
            file_count='multiple', height=120, elem_id='more',
        )  # fmt: skip
    return picture, face, background, whole, more


def _sliders(studio: Studio, source, background, whole):
    """Build the sliders and the picture that they change."""
    names = behind.names(studio.model)
    with gr.Row():
        with gr.Column(elem_classes='sliders', scale=3):
            controls = {}
            for title, some in _groups(names):
                with gr.Accordion(title, open=True), gr.Row():
                    controls |= {name: _slider(name) for name in some}
        with gr.Column(elem_classes='sticky', scale=2):
            show: dict[str, Any] = dict(
                type='filepath', format='png', buttons=['download', 'fullscreen']
            )
            result = gr.Image(label='Result', elem_id='result', **show)
            reset = gr.Button('Back to the portrait')

    sliders = [controls[name] for name in names]

    def moved(source, background, whole, *values):
        if source is None:
            raise UserError(NO_PORTRAIT)
        values = dict(zip(names, values, strict=True))
        return behind.still(studio, source, values, background, whole)

    takes = [source, background, whole, *sliders]
    heard = [*(slider.input for slider in sliders), whole.input, background.change]
    last: dict[str, Any] = dict(trigger_mode='always_last', show_progress='hidden', **ONE)
    gr.on(heard, _reporting(moved), takes, result, **last)
    back = reset.click(lambda source: behind.own(studio.model, source), source, sliders)
    back.then(_reporting(moved), takes, result, **ONE)
    return sliders, result


def _groups(names: list[str]):
    """Return (title, names) of what belongs together."""
    groups = {'Action units': [], 'Head, degrees': [], 'Landmarks': []}
    for name in names:
        kind = 'Landmarks' if name in landmark_edits.EDITS else 'Action units'
        groups['Head, degrees' if name in unit_edits.ANGLES else kind].append(name)
    return [(title, some) for title, some in groups.items() if some]


def _slider(name: str) -> gr.Slider:
    """Build a slider."""
    label = name.replace('_', ' ')
    if name.startswith('AU'):
        label = f'{name[2:]} {unit_edits.meaning(name)}'
    low, high, step = behind.limits(name)
    slider = gr.Slider(
        low, high, 0, step=step, label=label, elem_id=name, min_width=170, buttons=[]
    )
    slider.preprocess = lambda payload: payload  # typed values are clipped, not refused
    return slider


def _loading(studio: Studio) -> Callable:
    """Return what happens when another portrait is chosen."""

    def load(path, face, background, whole):
        empty = None, None, *behind.own(studio.model, None)
        if path is None:
            return empty
        try:
            source = behind.portrait(studio, path, face)
        except UserError as error:  # the person before must not stay behind another picture
            gr.Warning(_message(error), title='No portrait')
            return empty
        values = behind.own(studio.model, source)
        by_name = dict(zip(behind.names(studio.model), values, strict=True))
        return source, behind.still(studio, source, by_name, background, whole), *values

    return _reporting(load)


def _driver(studio: Studio, source, background, whole, more) -> None:
    """Build the controls of the driver, and the video that they lead to."""
    with gr.Row():
        with gr.Column():
            video, file = _drivers()
            by_landmarks = studio.model.motion == LANDMARKS
            options = _options(by_landmarks)
            transfer = gr.Dropdown(
                studio.model.transfers, value=studio.model.transfer_name, label='Landmark transfer',
                info="none: the driver's landmarks, face shape included",
            )  # fmt: skip
            film = _film()
            go = gr.Button('Animate', variant='primary', elem_id='animate')
        with gr.Column():
            show: dict[str, Any] = dict(height=300, autoplay=True, buttons=['download'])
            result = gr.Video(label='Result', elem_id='animation', **show)
            report = gr.Markdown()

    @_reporting
    def animate(source, video, file, background, whole, more, transfer, *values):
        values, asked = values[: len(options)], values[len(options) :]
        if source is None:
            raise UserError(NO_PORTRAIT)
        if not (file or video):
            raise UserError('choose or record a driver first')
        chosen = dict(zip(options, values, strict=True))
        chosen = {name: value for name, value in chosen.items() if value is not None}
        place = dict(transfer=transfer, background=background, whole=whole, others=more or ())
        wanted = behind.Film(*asked)
        return behind.clip(studio, source, file or video, wanted, **place, **chosen)

    def watched(*args, progress=gr.Progress(track_tqdm=True)):
        del progress  # asking for it shows recording's bar on the page
        return animate(*args)

    takes = [source, video, file, background, whole, more, transfer, *options.values(), *film]
    go.click(watched, takes, [result, report], **ONE)


def _opening(studio: Studio, doors: Doors) -> Callable:
    """Return what happens when the camera is started."""

    def opened(source, whole):
        if source is None:
            raise UserError(NO_PORTRAIT)
        return doors.add(lambda: behind.live(studio, source, whole))

    return _reporting(opened)


def _drivers():
    """Build what a driver is chosen with: a video or a file of motion."""
    _, driver = behind.examples()
    camera = gr.WebcamOptions(mirror=False)
    video = gr.Video(
        label='Driver', sources=['upload', 'webcam'], include_audio=True,
        webcam_options=camera, height=300, elem_id='driver',
    )  # fmt: skip
    gr.Examples([driver], video, label='Synthetic driver')
    with gr.Accordion('Motion file instead', open=False):
        file = gr.File(label=' '.join(motion.SUFFIXES), elem_id='motion')
        named = [str(pretrained.motion(name)) for name in pretrained.MOTIONS]
        gr.Examples(named, file, label='Motions in the package')
    return video, file


def _options(by_landmarks: bool) -> dict:
    """Build controls for the fields of `Options` that the page has, in the page's order.

    What a model that is not moved by landmarks would refuse is hidden.
    """
    parts = list(regions.REGIONS)
    return {
        'motion': gr.Radio(MOTIONS, value=MOTIONS[0], label='Motion'),
        'reference': gr.Radio(REFERENCES, value=REFERENCES[0], label='Starts at the frame'),
        'strength': gr.Slider(*regions.STRENGTHS, 1, step=0.05, label='Strength', buttons=[]),
        'regions': gr.CheckboxGroup(
            parts,
            value=parts,
            label='What moves',
            visible=by_landmarks,
            info='of relative motion, as is the strength',
        ),
        'smooth': gr.Checkbox(
            True, label='Filter jitter', visible=by_landmarks, info='of points that are detected'
        ),
        'adapt_scale': gr.Checkbox(
            False, label="Scale by the faces' sizes", visible=not by_landmarks
        ),
    }


def _film() -> list:
    """Build controls for the fields of `studio.Film`, in their order."""
    with gr.Accordion('Face, rate and sound', open=False):
        face = gr.Dropdown(
            list(behind.DRIVING_FACES), value=behind.Film().driving_face,
            label='Which face of the driver', elem_id='driving-face',
        )  # fmt: skip
        rate = gr.Textbox(
            label='Frames a second', elem_id='rate',
            info="such as 25 or 30000/1001; empty: the driver's, with their times",
        )  # fmt: skip
        sound = gr.File(
            label="Sound of another file; else the driver's", elem_id='sound', height=100
        )
        silent = gr.Checkbox(False, label='No sound', elem_id='silent')
        beside = gr.Checkbox(False, label='Source and driver beside it', elem_id='beside')
    return [face, rate, sound, silent, beside]


def _picture(**settings) -> gr.Image:
    """Build an image whose file is passed on unchanged to media/reading.py, which has limits."""
    image = gr.Image(type='filepath', image_mode=None, **settings)
    image.preprocess = lambda payload: None if payload is None else payload.path
    return image


def _reporting(function: Callable) -> Callable:
    """Wrap a function so that what a user can put right appears as a message on the page."""

    @functools.wraps(function)
    def wrapped(*args):
        try:
            return function(*args)
        except UserError as error:
            raise gr.Error(_message(error), print_exception=False) from None

    return wrapped


def _message(error: UserError) -> str:
    """Return the text without the folder of an upload; a flag has another name here."""
    text = re.sub(r"[^\s']*/[0-9a-f]{64}/", '', str(error))
    named = {'--face ': 'Which face: ', '--rate ': 'Frames a second: ', '--sound ': 'Sound: '}
    named |= {'--background:': 'Another background:', 'one --source': 'one picture'}
    for flag, name in named.items():
        text = text.replace(flag, name)
    return text
