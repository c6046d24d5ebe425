"""A page in the browser where a model animates portraits.

    reenact-jax app                   # with the model that comes with the package
    reenact-jax app --model BUNDLE

Choose or photograph a portrait, or take one of the synthetic ones. Move sliders: landmarks and the
head's pose with any model, action units with a bundle made with FACEGAN's transfer, another
background with FACEGAN's generator. Or choose or record a driver, and animate.

The page is served to this machine alone, and asks nothing of any other. Pictures stay in a
temporary folder that is removed when the command ends. For others to reach the page, use
--host 0.0.0.0, with a user and a password in REENACT_APP_AUTH=USER:PASSWORD; where they do so by a
name that is not this machine's, add --allow-host NAME. The page needs Gradio: pip install -e .[app]
"""

import argparse
import ipaddress
import itertools
import os
import pathlib
import signal
import sys
from typing import Any

from reenact_jax import bundle, faces
from reenact_jax.app import camera, checks, gate, scratch
from reenact_jax.app.studio import Studio
from reenact_jax.common import command_line, errors
from reenact_jax.common.errors import UserError
from reenact_jax.media import credentials
from reenact_jax.reenact import flags

AUTH = 'REENACT_APP_AUTH'
LARGEST = '500mb'  # largest size of an upload


def options(arguments: list[str] | None) -> argparse.Namespace:
    """Read and check the command line.

    Raises:
      UserError: a flag is wrong; the message names it.
    """
    parser = errors.Parser(
        prog='reenact-jax app',
        description=__doc__,
    )
    add = parser.add_argument
    flags.model(add)
    add('--host', default='127.0.0.1', help='address to serve; default 127.0.0.1, this machine')
    add('--port', type=int, default=7860, help='default 7860; 0: one that is free')
    add(
        '--allow-host',
        metavar='NAME',
        action='append',
        default=[],
        help='another name by which browsers reach the page, as of a proxy; as often as wanted',
    )
    add('--browser', action='store_true', help='open the page')
    args = parser.parse_args(arguments)
    if not 0 <= args.port < 65536:
        raise UserError(f'--port {args.port}: a number from 0 to 65535')
    if login(os.environ.get(AUTH)) is None and not _is_this_machine(args.host):
        raise UserError(
            f'--host {args.host}: others could reach the page; set {AUTH}=USER:PASSWORD'
        )
    return args


def _is_this_machine(host: str) -> bool:
    """Tell whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == 'localhost'


def login(text: str | None) -> tuple[str, str] | None:
    """Split USER:PASSWORD.

    Raises:
      UserError: the text has another form.
    """
    if text is None:
        return None
    user, _, password = text.partition(':')
    if not user or not password:
        raise UserError(f'{AUTH}: expected USER:PASSWORD')
    return user, password


def serve(args: argparse.Namespace, folder: pathlib.Path, detector, watcher=None):
    """Start the page and print its address.

    Args:
      args: what `options` returned.
      folder: where uploads and results go.
      detector: what finds faces.
      watcher: another one, for the camera; None: the same.

    Returns:
      Gradio's page and its local address.

    Raises:
      UserError: Gradio is not installed, the model is no bundle, or the port is taken.
    """
    os.environ['GRADIO_ANALYTICS_ENABLED'] = 'False'
    os.environ['GRADIO_TEMP_DIR'] = str(folder / 'uploads')
    try:
        import gradio as gr
    except ImportError:
        raise UserError('the page needs Gradio: pip install -e .[app]') from None
    from reenact_jax.app import page

    studio = Studio(bundle.load(args.model), detector, folder, itertools.count(), watcher)
    doors = camera.Doors()
    plain = dict(font='system-ui', font_mono='monospace')  # other fonts would come from a server
    setup: dict[str, Any] = dict(theme=gr.themes.Default(**plain), css=page.CSS, footer_links=[])
    setup |= _served(args, folder, doors)
    blocks = page.build(studio, doors)
    try:
        _, address, _ = blocks.launch(**setup)
    except OSError:
        where = f'--host {args.host} --port {args.port}'
        raise UserError(f"{where}: taken, or not this machine's address") from None
    print(f'{address}   (Ctrl-C ends it)', flush=True)
    return blocks, address


def _served(args: argparse.Namespace, folder: pathlib.Path, doors: camera.Doors) -> dict[str, Any]:
    """Return the settings of the server: where it listens, and whom it answers."""
    from starlette.middleware import Middleware

    rules = gate.Rules(folder, checks.names_of(args.host, args.allow_host))
    setup: dict[str, Any] = dict(share=False, quiet=True, ssr_mode=False, enable_monitoring=False)
    setup |= dict(inbrowser=args.browser, prevent_thread_lock=True, show_error=True)
    setup |= dict(auth=login(os.environ.get(AUTH)), max_file_size=LARGEST, server_name=args.host)
    before = [Middleware(gate.Gate, rules=rules), Middleware(camera.Camera, doors=doors)]
    setup['app_kwargs'] = {'middleware': before}
    return setup | ({'server_port': args.port} if args.port else {})


def main(arguments: list[str] | None = None) -> int:
    """Run `reenact-jax app`; return its exit code."""
    args = options(arguments)
    command_line.say_device()
    credentials.check()
    for number in (signal.SIGTERM, signal.SIGHUP):  # so that the folder is removed then, too
        signal.signal(number, lambda *_: sys.exit(1))
    detectors = (faces.Detector(args.face_landmarker) for _ in range(2))
    with scratch.folder() as folder, next(detectors) as detector, next(detectors) as watcher:
        page, _ = serve(args, folder, detector, watcher)
        page.block_thread()
    return 0
