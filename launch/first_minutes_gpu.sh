#!/usr/bin/env bash
# Tests an NVIDIA GPU in eight minutes: what it is, whether it computes as the CPU does, how fast
# AAN and FD-GAN train at paper size, whether a killed run resumes. Results: OUT/first_minutes.json.
#
#   bash launch/first_minutes_gpu.sh [--out DIR] [--seconds N]
#   bash launch/first_minutes_gpu.sh --tiny      tests this script on the CPU, in minutes
#
# Needs the extras cuda12 and synthetic (and test, for its last part) in .venv; PYTHON=/path/to/python
# names another interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."

case " $* " in
  *' -h '* | *' --help '*) sed -n '2,/^set /{/^set /!s/^# \{0,1\}//p}' "$0" && exit 0 ;;
  *' --tiny '*) export JAX_PLATFORMS=cpu ;;
  *) export JAX_PLATFORMS=cuda,cpu ;; # the CPU beside it, to compare with
esac
# Memory is allocated when it is needed, so that the peak in use means something.
export XLA_PYTHON_CLIENT_PREALLOCATE=false
exec "${PYTHON:-.venv/bin/python}" -m launch.first_minutes "$@"
