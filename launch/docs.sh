#!/usr/bin/env bash
# Builds the documentation site into site/, in an environment of its own: .venv-docs. It reads the
# sources and imports none of them, so that it needs neither jax nor this package installed.
#
#   bash launch/docs.sh              any warning is an error: a broken link, an unknown name
#   bash launch/docs.sh serve        the site at http://127.0.0.1:8000, rebuilt when files change
#
# PYTHON=/path/to/python picks the interpreter (3.11 or 3.12).
set -euo pipefail
cd "$(dirname "$0")/.."
VENV="${DOCS_VENV:-.venv-docs}"
source launch/environment.sh

make_docs_environment() {
  local python stamp wanted packages
  if [ ! -x "$VENV/bin/python" ]; then
    python="$(find_python)" || exit 1
    say "$python -m venv $VENV"
    "$python" -m venv "$VENV" || fail "could not make $VENV (Debian, Ubuntu: apt install python3-venv)"
  fi
  stamp="$VENV/.reenact_jax-docs"
  wanted="$(cksum pyproject.toml)"
  [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && return
  mapfile -t packages < <("$VENV/bin/python" -c '
import tomllib
project = tomllib.load(open("pyproject.toml", "rb"))["project"]
print(*project["optional-dependencies"]["docs"], sep="\n")')
  say "$VENV/bin/python -m pip install ${packages[*]}"
  "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check "${packages[@]}" ||
    fail 'the install failed (its message is above); it needs access to a Python package index'
  echo "$wanted" >"$stamp"
}

make_docs_environment
export NO_MKDOCS_2_WARNING=1
case "${1:-build}" in
  build) set -- build --strict ;;
  serve) set -- serve ;;
  *) fail "unknown argument $1; give build or serve" ;;
esac
say "$VENV/bin/python -m mkdocs $*"
exec "$VENV/bin/python" -m mkdocs "$@"
