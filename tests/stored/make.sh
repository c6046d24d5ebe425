#!/usr/bin/env bash
# Writes tests/stored/COMMIT.tar.xz with the code of that commit:
#
#   bash tests/stored/make.sh COMMIT
#
# PYTHON: an interpreter that has what the commit needs.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
commit=$1 python=${PYTHON:-python}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/code" "$work/$commit"
git -C "$here/../.." archive "$commit" | tar x -C "$work/code"
cd "$work/code"
export PYTHONPATH=$work/code JAX_PLATFORMS=cpu
out=$work/$commit
if [ -e reenact_jax/commands.py ]; then
  command=("$python" -m reenact_jax)
  prepare=("${command[@]}" prepare synthetic)
  train=("${command[@]}" train) export=("${command[@]}" export) configs='' py=''
else # before the commands had one name
  prepare=("$python" -m data_prep.synthetic)
  train=("$python" -m reenact_jax.train) export=("$python" -m reenact_jax.export)
  configs=configs/ py=.py
fi
short=(--config.data="$out/shards" --config.keep=1 --config.preview_every=0)
hparams=--config.hparams
"${prepare[@]}" --out "$out/shards" --identities 4 --test-identities 0 --val-identities 0 \
  --tracks 1 --frames 3 --size 32 --cross-pairs 0
"${train[@]}" --config "${configs}ldnet_fdgan$py:tiny" "${short[@]}" --workdir "$out/ldnet" \
  --config.stages="('ldnet_1',)" $hparams.stage1_steps=2 $hparams.layers=1 $hparams.width=8 \
  $hparams.identity_code=4 $hparams.pose_code=4 $hparams.examples=16
"${train[@]}" --config "${configs}aan$py:tiny" "${short[@]}" --workdir "$work/aan" \
  $hparams.lambda_gan=0 $hparams.steps=2 $hparams.batch_size=2
"${export[@]}" --generator "$work/aan" --transfer "$out/ldnet" --out "$out/bundle"
"$python" "$here/rendered.py" "$out/bundle" "$out/numbers.npz"
rm -r "$out/ldnet/tensorboard"
tar cJf "$here/$commit.tar.xz" -C "$work" "$commit"
ls -l "$here/$commit.tar.xz"
