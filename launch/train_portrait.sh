#!/usr/bin/env bash
# The recipe of the portrait bundle in the package, trained on synthetic people alone: data, two
# landmark transfers (LD-Net; FACEGAN's, which action units drive), image generator, bundle. It takes
# about two hours of two cores.
#
#   bash launch/train_portrait.sh            -> out/portrait/bundle
#   bash launch/train_portrait.sh --tiny     the same chain in minutes, too short to learn
#
# Every command is printed before it runs. Started again it goes on where it stopped; Ctrl-C or a
# SIGTERM saves first. PORTRAIT=/some/folder is where all of it goes; PYTHON picks the interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."
source launch/environment.sh

OUT="${PORTRAIT:-out/portrait}"
HEADS="--identities 800 --test-identities 12 --tracks 2 --size 128 --cross-pairs 24"
POINTS="--identities 2000 --tracks 8"
LDNET="--config ldnet_fdgan:small"
LT="--config facegan:lt"
AAN="--config aan:portrait"
case "${1:-}" in
  '') ;;
  --tiny)
    OUT="${PORTRAIT:-out/portrait-tiny}"
    HEADS="--identities 4 --test-identities 2 --tracks 2 --size 64 --cross-pairs 2 --frames 8"
    POINTS="--identities 20 --tracks 8"
    LDNET="--config ldnet_fdgan:tiny"
    LT="--config facegan:lt --config.hparams.lt_steps=8"
    AAN="--config aan:tiny --config.hparams.lambda_gan=0"
    ;;
  -h | --help)
    sed -n '2,10s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
  *) fail "unknown argument $1; see bash launch/train_portrait.sh --help" ;;
esac

make_environment video,synthetic
COMMAND="$VENV/bin/reenact-jax"

# Lists of options are meant to split into words.
# shellcheck disable=SC2086
{
  step 'Videos of synthetic people, exact labels' \
    "$COMMAND" prepare synthetic --out "$OUT/heads" $HEADS --seed 21 --val-identities 0
  step 'Landmarks of more people' \
    "$COMMAND" prepare synthetic --out "$OUT/points" $POINTS --seed 22 \
    --landmarks-only --val-identities 0 --test-identities 0 --cross-pairs 0
  step 'Train the landmark transfer' \
    "$COMMAND" train $LDNET --data "$OUT/points" --workdir "$OUT/ldnet"
  step 'Train the landmark transfer that action units drive' \
    "$COMMAND" train $LT --data "$OUT/points" --workdir "$OUT/lt"
  step 'Train the image generator' \
    "$COMMAND" train $AAN --data "$OUT/heads" --workdir "$OUT/aan"
}
step 'Join them into a bundle' \
  "$COMMAND" export --generator "$OUT/aan" --transfer "$OUT/ldnet" --transfer "$OUT/lt" \
  --dtype float16 --out "$OUT/bundle" --overwrite
