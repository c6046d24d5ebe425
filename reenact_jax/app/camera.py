"""A camera on the page: a frame in a request, the portrait in its answer; nothing is stored.

Gradio's own streams keep a file of every frame and answer by another way than they ask: an echo of
256 x 256 pixels came at 4.5 frames a second on two busy cores. Here the page asks Gradio for a
door, a word that nobody can guess, and so has to be logged in. Behind the door it sends JPEGs, one
after the other, and gets JPEGs.
"""

import asyncio
import secrets
import threading
import time
from collections.abc import Callable, MutableMapping
from typing import Any, NamedTuple

import numpy as np
import simplejpeg
from jaxtyping import UInt8

from reenact_jax.app.checks import Refused
from reenact_jax.common.errors import UserError
from reenact_jax.media import watermark
from reenact_jax.reenact.live import Live

PATH = '/live/'
SIDE = 256  # of the frames that the page sends, and of the longest side of the result, pixels
MOST_SIDE = 1280  # of a frame that is taken
MOST = 4  # doors that are open; of more the one that was used least lately is shut
QUALITY = 90


class Answer(NamedTuple):
    """The portrait for a frame."""

    jpeg: bytes
    found: bool  # whether the frame shows a face
    seconds: float  # of work


class Doors:
    """The portraits that cameras move, by their words; one frame at a time."""

    def __init__(self):
        """Begin without any."""
        self._open: dict[str, Live] = {}  # used longest ago first
        self._lock = threading.Lock()

    def add(self, make: Callable[[], Live]) -> str:
        """Open a door; return its word.

        Args:
          make: returns the portrait; it may use what frames use.
        """
        with self._lock:
            word, live = secrets.token_urlsafe(16), make()
            self._open[word] = live
            while len(self._open) > MOST:
                del self._open[next(iter(self._open))]
        return word

    def frame(self, word: str, jpeg: bytes) -> Answer:
        """Draw the portrait for a frame.

        Args:
          word: of the door.
          jpeg: the frame.

        Raises:
          Refused: there is no such door, or the frame is no JPEG of a fair size.
        """
        with self._lock:
            live = self._open.pop(word, None)
            if live is None:
                raise Refused(404, 'start the camera again')
            self._open[word] = live
            begin = time.perf_counter()
            try:
                made, found = live(decoded(jpeg), time.monotonic())
            except UserError as error:
                raise Refused(422, str(error)) from None
            marked = np.ascontiguousarray(watermark.embed(made))
            answer = simplejpeg.encode_jpeg(marked, quality=QUALITY)
            return Answer(answer, found, time.perf_counter() - begin)


def decoded(jpeg: bytes) -> UInt8[np.ndarray, 'h w 3']:
    """Decode a frame.

    Raises:
      Refused: it is no JPEG, or one of more than `MOST_SIDE` pixels a side.
    """
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(jpeg)
        if max(int(height), int(width)) <= MOST_SIDE:
            return simplejpeg.decode_jpeg(jpeg)
    except ValueError:
        raise Refused(400, 'a frame is a JPEG') from None
    raise Refused(413, f'a frame has at most {MOST_SIDE} x {MOST_SIDE} pixels')


class Camera:
    """An ASGI middleware that answers frames; it stands behind the gate, which checks who asks."""

    def __init__(self, app: Any, doors: Doors):
        """Stand before an application."""
        self._app, self._doors = app, doors

    async def __call__(self, scope: Any, receive: Callable, send: Callable) -> None:
        """Answer a frame, or hand the request on."""
        is_frame = scope['type'] == 'http' and scope['path'].startswith(PATH)
        if not is_frame or scope['method'] != 'POST':
            await self._app(scope, receive, send)
            return
        body = await _body(receive)
        word = scope['path'].removeprefix(PATH)
        try:
            made = await asyncio.to_thread(self._doors.frame, word, body)
        except Refused as refused:
            await _send(send, refused.status, refused.reason.encode(), b'text/plain')
            return
        more = [(b'x-found', b'%d' % made.found), (b'x-seconds', b'%.4f' % made.seconds)]
        await _send(send, 200, made.jpeg, b'image/jpeg', more)


async def _body(receive: Callable) -> bytes:
    """Read a request, whose size the gate has checked."""
    body, more = b'', True
    while more:
        message: MutableMapping[str, Any] = await receive()
        body += message.get('body', b'')
        more = message.get('more_body', False)
    return body


async def _send(send: Callable, status: int, body: bytes, kind: bytes, more=()) -> None:
    head = [(b'content-type', kind), (b'cache-control', b'no-store'), *more]
    head.append((b'content-length', b'%d' % len(body)))
    await send({'type': 'http.response.start', 'status': status, 'headers': head})
    await send({'type': 'http.response.body', 'body': body})
