"""The shipped configs: their presets, and the values of one.

    reenact-jax config --list            every config and its presets
    reenact-jax config --list aan        the description of one config, and its presets
    reenact-jax config aan:small         all values, as JSON; a file of yours is named by its path

Every value can be changed on the command line of `train`: --config.FIELD=VALUE for the run's,
--config.hparams.FIELD=VALUE for the system's. `reenact-jax summary --config aan:small` says what
each value of the system means and where it comes from.
"""

import importlib.util
import inspect
import json
import pathlib
from types import ModuleType

from reenact_jax.common import errors, shipped
from reenact_jax.common.errors import UserError


def load(file: str) -> ModuleType:
    """Import a config file.

    Raises:
      UserError: the file is not there or has no function `get_config`.
    """
    spec = importlib.util.spec_from_file_location(pathlib.Path(file).stem, file)
    if spec and spec.loader:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        if hasattr(module, 'get_config'):
            return module
    raise UserError(f'{file}: no config file: it has no function get_config(preset)')


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = errors.Parser('reenact-jax config', __doc__)
    parser.add_argument(
        'config', nargs='?', metavar='NAME[:PRESET]', help='shipped config, or FILE.py[:PRESET]'
    )
    parser.add_argument('--list', action='store_true', help='list presets instead of values')
    args = parser.parse_args(arguments)
    if args.config is None and not args.list:
        raise UserError('config: name one, or give --list; see reenact-jax config --help')
    name, _, preset = (args.config or '').partition(':')
    if not name:
        for config in shipped.names():
            print(f'{config}: {", ".join(_presets(load(shipped.find(config))))}')
        return 0
    module = load(shipped.find(name, flag='config'))
    if args.list:
        print(f'{inspect.getdoc(module)}\n\nPresets: {", ".join(_presets(module))}')
        return 0
    values = module.get_config(preset) if preset else module.get_config()
    print(json.dumps(json.loads(values.to_json_best_effort()), indent=1))
    return 0


def _presets(module: ModuleType) -> list[str]:
    """List the names of a config's presets."""
    return list(getattr(module, 'PRESETS', {'(one)': None}))
