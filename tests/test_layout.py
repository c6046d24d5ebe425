"""The house: a room is a folder, imports go one way, files stay small."""

import ast
import graphlib
import pathlib
import statistics

ROOT = pathlib.Path(__file__).parent.parent
PACKAGE = ROOT / 'reenact_jax'

# A room may import from rooms on earlier lines, and from itself. Where a folder of a room stands on
# a line of its own, it is a room too.
ROOMS = """
common
data
data.shards
geometry
data.batches
media
faces
nets
systems
train
bundle
export
reenact
evaluate.estimators
evaluate
configs
data_prep
sweeps
bench
app
commands
""".strip().splitlines()
LEVEL = {room: level for level, room in enumerate(ROOMS)}
COMMANDS = {
    '__main__',
    'provenance',
    'report',
    'shards',
    'summary',
    'to_onnx',
}  # beside the rooms, thin
SAYS_NOTHING = {'utils', 'util', 'misc', 'helpers', 'tools', 'core', 'base'}


def _module(path: pathlib.Path) -> str:
    parts = path.relative_to(ROOT).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


MODULES = {_module(path): path for path in sorted(PACKAGE.rglob('*.py'))}


def _room(module: str) -> str | None:
    """The innermost room that a module lies in; None: beside the rooms, or not ours."""
    parts = module.split('.')
    rooms = ('.'.join(parts[1:end]) for end in range(len(parts), 1, -1))
    return next((room for room in rooms if parts[0] == 'reenact_jax' and room in LEVEL), None)


def _imports(tree: ast.AST):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                whole = f'{node.module}.{alias.name}'
                yield whole if whole in MODULES else node.module or ''


def _imported(path: pathlib.Path) -> set[str]:
    return set(_imports(ast.parse(path.read_text())))


def test_every_module_lies_in_a_room():
    for module, path in MODULES.items():
        if module == 'reenact_jax' or _room(module):
            continue
        assert module.partition('.')[2] in COMMANDS, f'{path}: put it into a room'
        assert len(path.read_text().splitlines()) <= 12, f'{path}: a command, its work is in a room'


def test_imports_go_one_way():
    wrong = []
    for module, path in MODULES.items():
        own = _room(module)
        for imported in _imported(path):
            room = _room(imported)
            if own and room and LEVEL[room] > LEVEL[own]:
                wrong.append(f'{module} imports {imported}')
            if imported.split('.')[0] in ('data_prep', 'launch', 'configs', 'tests'):
                wrong.append(f'{module} imports {imported}')
    assert not wrong, wrong


def test_no_module_needs_itself():
    graph = {module: _imported(path) & MODULES.keys() for module, path in MODULES.items()}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the modules


def test_names_say_something_and_files_stay_small():
    for module in MODULES:
        assert not set(module.split('.')) & SAYS_NOTHING, module
    lengths = [len(path.read_text().splitlines()) for path in MODULES.values()]
    assert statistics.median(lengths) < 170


def test_every_room_says_what_it_is():
    for folder in {path.parent for path in MODULES.values()}:
        said = ast.get_docstring(ast.parse((folder / '__init__.py').read_text()))
        assert said, f'{folder}: a docstring in __init__.py'


def test_no_heavy_frameworks_and_no_pickle():
    for folder in ('reenact_jax', 'data_prep', 'launch', 'configs'):
        for path in (ROOT / folder).rglob('*.py'):
            modules = {module.split('.')[0] for module in _imported(path)}
            assert not modules & {'tensorflow', 'torch', 'pickle', 'dill', 'joblib'}, path
