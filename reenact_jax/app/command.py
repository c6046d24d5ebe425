"""A page in the browser where a model animates portraits.

    reenact-jax app --model BUNDLE

Choose or photograph a portrait, or take one of the synthetic ones. Move sliders: landmarks and the
head's pose with any model, action units with a bundle made with FACEGAN's transfer, another
background with FACEGAN's generator. Or choose or record a driver, and animate.

The page is served to this machine alone, and asks nothing of any other. Pictures stay in a
temporary folder that is removed when the command ends. For others to reach the page, use
--host 0.0.0.0, with a user and a password in REENACT_APP_AUTH=USER:PASSWORD. The page needs Gradio:
pip install -e .[app]
"""

import argparse
import ipaddress
import itertools
import os
import pathlib
import signal
import sys
import tempfile
from typing import Any

from reenact_jax import bundle, faces
from reenact_jax.app.studio import Studio
from reenact_jax.common import command_line, errors
from reenact_jax.common.errors import UserError
from reenact_jax.media import credentials
from reenact_jax.reenact import flags

AUTH = 'REENACT_APP_AUTH'
LARGEST = '500mb'  # largest size of an upload


def options(arguments: list[str] | None) -> argparse.Namespace:
    """Read and check the command line."""
    parser = errors.Parser(
        prog='reenact-jax app',
        description=__doc__,
    )
    add = parser.add_argument
    flags.model(add)
    add('--host', default='127.0.0.1', help='address to serve; default 127.0.0.1, this machine')
    add('--port', type=int, default=7860, help='default 7860; 0: one that is free')
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


def serve(args: argparse.Namespace, folder: pathlib.Path, detector):
    """Start the page and print its address.

    Args:
      args: what `options` returned.
      folder: where uploads and results go.
      detector: what finds faces.

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

    auth = login(os.environ.get(AUTH))
    studio = Studio(bundle.load(args.model), detector, folder, itertools.count())
    plain = dict(font='system-ui', font_mono='monospace')  # other fonts would come from a server
    setup: dict[str, Any] = dict(
        theme=gr.themes.Default(**plain), css=page.CSS, footer_links=[], ssr_mode=False
    )
    setup |= dict(share=False, quiet=True, inbrowser=args.browser, prevent_thread_lock=True)
    setup |= dict(auth=auth, max_file_size=LARGEST, show_error=True, server_name=args.host)
    if args.port:
        setup['server_port'] = args.port
    blocks = page.build(studio)
    try:
        _, address, _ = blocks.launch(**setup)
    except OSError:
        where = f'--host {args.host} --port {args.port}'
        raise UserError(f"{where}: taken, or not this machine's address") from None
    print(f'{address}   (Ctrl-C ends it)', flush=True)
    return blocks, address


def main(arguments: list[str] | None = None) -> int:
    """Run `reenact-jax app`; return its exit code."""
    args = options(arguments)
    command_line.say_device()
    credentials.check()
    for number in (signal.SIGTERM, signal.SIGHUP):  # so that the folder is removed then, too
        signal.signal(number, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory() as folder, faces.Detector(args.face_landmarker) as detector:
        page, _ = serve(args, pathlib.Path(folder), detector)
        page.block_thread()
    return 0
