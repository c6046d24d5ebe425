"""The house: one-way imports between rooms, and files that stay small."""

import ast
import pathlib

ROOT = pathlib.Path(__file__).parent.parent

# A room may import from rooms on earlier lines, and from its own line.
ROOMS = """
errors settings command_line wire
layouts tracks
storage
shards
landmarks images rigid openface folds flows layers
batches
prepare losses optimisers stages binding
nets step
sharding
systems
config checkpoints checkpoint_files digests
faces media sound certificates credentials results loops sheets watermark
runs
train summary
metrics
trained
exporting bundle live precision model_card export
onnx_rewrites onnx_graphs to_onnx
frames
openings regions relative starts
edits action_units turning motion pasting composing portraits painting drivers spool smoothing
animation
recording reenact_flags
estimators
evaluate
reenact report bench provenance
app
""".strip().splitlines()
LEVEL = {room: level for level, line in enumerate(ROOMS) for room in line.split()}


def _room(module: str) -> str | None:
    parts = module.split('.')
    return parts[1] if parts[0] == 'reenact_jax' and len(parts) > 1 else None


def _imports(tree: ast.AST):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == 'reenact_jax':
            yield from (f'reenact_jax.{alias.name}' for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ''


def test_imports_go_one_way():
    wrong = []
    for path in sorted((ROOT / 'reenact_jax').rglob('*.py')):
        own = path.relative_to(ROOT / 'reenact_jax').parts[0].removesuffix('.py')
        if own == '__init__':
            continue
        assert own in LEVEL, f'{path}: give the room {own!r} a place in ROOMS'
        for module in _imports(ast.parse(path.read_text())):
            room = _room(module)
            if room in LEVEL and LEVEL[room] > LEVEL[own]:
                wrong.append(f'{own} imports {room}')
            if module.split('.')[0] in ('data_prep', 'launch', 'configs', 'tests'):
                wrong.append(f'{own} imports {module}')
    assert not wrong, wrong


def test_no_heavy_frameworks_and_no_pickle():
    for folder in ('reenact_jax', 'data_prep', 'launch', 'configs'):
        for path in (ROOT / folder).rglob('*.py'):
            modules = {module.split('.')[0] for module in _imports(ast.parse(path.read_text()))}
            assert not modules & {'tensorflow', 'torch', 'pickle', 'dill', 'joblib'}, path
