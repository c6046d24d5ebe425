#!/usr/bin/env bash
# Makes .venv with the test extras and runs the tests; arguments go to pytest.
#
#   bash launch/test.sh                      the whole suite, twenty minutes on two cores
#   bash launch/test.sh tests/test_step.py   one file
#   bash launch/test.sh -m long              the tests that take minutes
#
# PYTHON=/path/to/python picks the interpreter (3.11 or 3.12).
set -euo pipefail
cd "$(dirname "$0")/.."
source launch/environment.sh

make_environment video,synthetic,identity,app,c2pa,test

# Formatting, lint and types belong to the suite; they are skipped if only some tests are asked for.
if [ $# -eq 0 ]; then
  say "$VENV/bin/ruff format --check . && $VENV/bin/ruff check ."
  "$VENV/bin/ruff" format --check .
  "$VENV/bin/ruff" check .
  say "$VENV/bin/basedpyright --pythonpath $VENV/bin/python"
  "$VENV/bin/basedpyright" --pythonpath "$VENV/bin/python"
  # Two processes: most tests compile, on one core. A file stays in one, for its fixtures.
  set -- -n 2 --dist loadfile
fi
say "$VENV/bin/python -m pytest $*"
exec "$VENV/bin/python" -m pytest "$@"
