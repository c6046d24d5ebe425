#!/usr/bin/env bash
# From nothing to an animated portrait, on a machine with Python 3.11 or 3.12 and two cores:
# makes .venv, animates a portrait with the model in the package, writes synthetic heads, trains
# LD-Net (landmark transfer) and AAN (image generator) at a small size, exports both as one bundle,
# measures it and animates two portraits.
#
#   bash launch/quickstart.sh            under ten minutes after the install -> out/quickstart/
#   bash launch/quickstart.sh --quick    the same chain in two, too short to learn -> out/quick/
#
# Every command is printed before it runs. If interrupted, run it again: it resumes.
# PYTHON=/path/to/python picks the interpreter (3.11 or 3.12).
set -euo pipefail
cd "$(dirname "$0")/.."
source launch/environment.sh

OUT=out/quickstart
HEADS="--identities 24 --test-identities 4 --tracks 4 --size 64 --cross-pairs 8"
POINTS="--identities 300 --tracks 8"
DRIVER=100
LDNET="--config ldnet_fdgan:quick"
AAN="--config aan:quick"
MOST=40
case "${1:-}" in
  '') ;;
  --quick)
    OUT=out/quick
    HEADS="--identities 4 --test-identities 2 --tracks 2 --size 64 --cross-pairs 2 --frames 8"
    POINTS="--identities 20 --tracks 8"
    DRIVER=24
    LDNET="--config ldnet_fdgan:tiny"
    AAN="--config aan:tiny --config.hparams.lambda_gan=0"
    MOST=4
    ;;
  -h | --help)
    sed -n '2,11s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
  *) fail "unknown argument $1; see bash launch/quickstart.sh --help" ;;
esac

make_environment video,synthetic
COMMAND="$VENV/bin/reenact-jax"
installed=$(date +%s)

# Beside the next step, whose compiler leaves a core alone.
mkdir -p "$OUT"
printf '\n== In a moment: out/demo.mp4, a synthetic person who talks, by the model in the package\n'
say "$COMMAND reenact > $OUT/demo.log &"
"$COMMAND" reenact >"$OUT/demo.log" 2>&1 &
demonstration=$!

step 'Synthetic heads: people, videos of them, exact labels' \
  "$COMMAND" prepare synthetic --out "$OUT/heads" $HEADS --val-identities 0

wait "$demonstration" || fail "the demonstration failed: $(tail -n 1 "$OUT/demo.log")"
printf '\nout/demo.mp4 is there.\n'

step 'Landmarks of more people, for the landmark transfer' \
  "$COMMAND" prepare synthetic --out "$OUT/points" $POINTS --seed 1 \
  --landmarks-only --val-identities 0 --test-identities 0 --cross-pairs 0

step 'A driver: two held-out people, every frame' \
  "$COMMAND" prepare synthetic --out "$OUT/drivers" --identities 2 --tracks 1 \
  --frames $DRIVER --size 64 --seed 2 --val-identities 0 --test-identities 0 --cross-pairs 0

step 'Train LD-Net: whose face it is apart from what it does' \
  "$COMMAND" train $LDNET --data "$OUT/points" --workdir "$OUT/ldnet"

step 'Train AAN: the picture of a face from its landmarks' \
  "$COMMAND" train $AAN --data "$OUT/heads" --workdir "$OUT/aan"

newer() { # whether there is a checkpoint that the bundle does not hold yet
  [ ! -e "$OUT/bundle/card.json" ] ||
    [ -n "$(find "$OUT/aan" "$OUT/ldnet" -name digests.json -newer "$OUT/bundle/card.json")" ]
}

if newer; then
  step 'Join both into a bundle, which runs with jax alone' \
    "$COMMAND" export --generator "$OUT/aan" --transfer "$OUT/ldnet" \
    --out "$OUT/bundle" --overwrite
fi

step 'Measure it on people it has not seen; animate one of them and a photograph' \
  "$COMMAND" report --model "$OUT/bundle" --data "$OUT/heads" --out "$OUT" \
  --driving "$OUT/drivers" --most "$MOST"

quick=''
[ "$OUT" = out/quick ] && quick='
This was --quick: it learns so little that faces are grey and landmarks are a scribble. It shows that
the chain works on this machine; without --quick the same takes under ten minutes and draws faces.
'
cat <<END
$quick
Done in $((($(date +%s) - installed) / 60)) min $((($(date +%s) - installed) % 60)) s after the install.
Open
  out/demo.mp4        a synthetic person who talks, by the model in the package
  $OUT/synthetic.mp4  $OUT/synthetic.png    a held-out synthetic person, driven by another
  $OUT/portrait.mp4   $OUT/portrait.png     a photograph, driven by a synthetic person
  $OUT/report.md                            what was measured, beside copying the source
Next, your own (a picture and a video of a face):
  $COMMAND reenact --model $OUT/bundle --source portrait.jpg \\
    --driving clip.mp4 --out result.mp4 --sheet result.png
or a page with sliders:
  $VENV/bin/pip install -e ".[app]" && $COMMAND app --model $OUT/bundle
END
