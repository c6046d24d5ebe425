#!/usr/bin/env bash
# The first order motion model at 64 x 64 pixels, trained and measured on synthetic people alone:
# data, training, bundle, tables (the copy of the source and the landmark warp beside it; how much
# of the requested change arrives), pictures of keypoints, deformation and occlusion.
#
#   bash launch/train_fomm.sh            -> out/fomm: tables self/, cross/, gt_cross/; inside.png
#   bash launch/train_fomm.sh --tiny     the same chain with 20 steps, to see whether it runs
#
# Every command is printed before it runs. Started again it goes on where it stopped; Ctrl-C or a
# SIGTERM saves first. FOMM=/some/folder is where all of it goes; PYTHON picks the interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."
source launch/environment.sh

OUT="${FOMM:-out/fomm}"
HEADS="--identities 120 --test-identities 6 --tracks 4 --size 64 --cross-pairs 12"
STEPS=12000
MOST=24
case "${1:-}" in
  '') ;;
  --tiny)
    OUT="${FOMM:-out/fomm-tiny}"
    HEADS="--identities 4 --test-identities 2 --tracks 2 --size 64 --cross-pairs 2 --frames 8"
    STEPS=20
    MOST=2
    ;;
  -h | --help)
    sed -n '2,11s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
  *) fail "unknown argument $1; see bash launch/train_fomm.sh --help" ;;
esac

make_environment video,synthetic
COMMAND="$VENV/bin/reenact-jax"

# Lists of options are meant to split into words.
# shellcheck disable=SC2086
{
  step 'Videos of synthetic people, exact labels' \
    "$COMMAND" prepare synthetic --out "$OUT/heads" $HEADS --seed 5 --val-identities 0
  step 'Train the model' \
    "$COMMAND" train --config fomm:quick --config.hparams.steps=$STEPS --data "$OUT/heads" \
    --workdir "$OUT/run"
  step 'Make a bundle' \
    "$COMMAND" export --generator "$OUT/run" --out "$OUT/bundle" --overwrite
  for pairs in self cross gt_cross; do
    step "Measure it: $pairs" \
      "$COMMAND" evaluate --model "$OUT/bundle" --data "$OUT/heads" --pairs "$pairs" \
      --most $MOST --out "$OUT/$pairs"
  done
}
step 'Draw keypoints, deformation and occlusion' \
  "$COMMAND" evaluate preview --model "$OUT/run" --data "$OUT/heads" --out "$OUT/inside.png"
