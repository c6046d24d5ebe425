#!/usr/bin/env bash
# Trains on Cloud TPU VMs: queues a request for a slice, installs this checkout on all its workers,
# trains, and resumes after a preemption.
#
#   bash launch/tpu_vm.sh COMMAND --name NAME --zone ZONE --type TYPE [OPTIONS] [-- WORDS]
#
# Commands
#   up        queue the request and wait until the slice is there
#   install   copy this checkout (as committed) to all workers and install it
#   train     train on all workers; WORDS are flags of reenact-jax train. A run that was told to
#             stop (exit code 42) starts again; a slice that was taken away is queued and installed
#             again first. The same command, given again, ends a run under way and resumes it.
#   all       up, install, train
#   run       WORDS as a command on all workers, in the checkout, with its environment
#   stop      tell the training to save and end (end a waiting `train` first: it would start again)
#   state     print the state of the request
#   down      give the slice back
#
# Options
#   --name NAME         name of the request and of the TPU VM
#   --zone ZONE         such as us-west4-a
#   --type TYPE         such as v5litepod-16, v6e-16, v5p-8 (all, up and train need it)
#   --project PROJECT   default: gcloud's own
#   --runtime VERSION   TPU software; default: that of the type
#   --on-demand         not spot: dearer, never taken away
#   --reserved          use your reservation
#   --restarts N        most starts after the first one; default 100
#   --extras LIST       extras to install with pip; default tpu,gcs
#   --dry-run           print the commands and run none
#
# Every gcloud command is printed before it runs. Needs gcloud, logged in, with SSH to the workers.
#
#   bash launch/tpu_vm.sh all --name aan --zone us-west4-a --type v5litepod-16 -- \
#     --config=aan --config.data=gs://BUCKET/data/people --workdir=gs://BUCKET/runs/aan
set -euo pipefail

STOPPED=42                 # exit code of a run that can resume: reenact_jax/train/signals.py
BROKEN=255                 # exit code of ssh when its connection broke
PLACE=\~/reenact_jax       # folder of the checkout on the workers
WAIT="${TPU_VM_WAIT:-60}"  # seconds between looks at a request

fail() {
  echo "error: $*" >&2
  exit 1
}

usage() { sed -n '2,/^set /{/^set /!s/^# \{0,1\}//p}' "$0"; }

quoted() { # WORDS as one line that a shell reads as the same words
  local word line=''
  for word in "$@"; do
    [[ "$word" =~ ^[A-Za-z0-9_./:=,@%+-]+$ ]] || word="${word@Q}"
    line+=" $word"
  done
  echo "${line# }"
}

tell() { # GCLOUD WORDS...: print, then run
  printf '$ %s\n' "$(quoted gcloud "$@")"
  [ "$dry" = yes ] || gcloud "$@"
}

runtime_of() {
  case "$1" in
    v6e-*) echo v2-alpha-tpuv6e ;;
    v5litepod-*) echo v2-alpha-tpuv5-lite ;;
    v5p-*) echo v2-alpha-tpuv5 ;;
    v2-* | v3-* | v4-*) echo tpu-ubuntu2204-base ;;
    *) fail "--type $1: give its software with --runtime, see https://cloud.google.com/tpu/docs/runtimes" ;;
  esac
}

state() { # such as ACTIVE; none: there is no request
  if [ "$dry" = yes ]; then
    echo ACTIVE
    return
  fi
  gcloud compute tpus queued-resources describe "$name" "${where[@]}" \
    '--format=value(state.state)' 2>/dev/null || echo none
}

up() {
  [ -n "$type" ] || fail '--type: missing; such as v5litepod-16'
  [ -n "$runtime" ] || runtime="$(runtime_of "$type")"
  tell compute tpus queued-resources create "$name" "${where[@]}" --node-id="$name" \
    --accelerator-type="$type" --runtime-version="$runtime" ${kind:+"$kind"}
  wait_until_active
}

wait_until_active() {
  local now
  echo "# every $WAIT s until it says ACTIVE:"
  printf '$ %s\n' "$(quoted gcloud compute tpus queued-resources describe "$name" "${where[@]}" \
    '--format=value(state.state)')"
  while now="$(state)" && [ "$now" != ACTIVE ]; do
    case "$now" in
      FAILED | SUSPENDED | SUSPENDING | none)
        fail "the request $name is $now; see it with gcloud compute tpus queued-resources describe," \
          'remove it with: bash launch/tpu_vm.sh down ...'
        ;;
    esac
    sleep "$WAIT"
  done
}

down() {
  tell compute tpus queued-resources delete "$name" "${where[@]}" --force --quiet
}

everywhere() { # SCRIPT: on all workers, at once
  tell compute tpus tpu-vm ssh "$name" "${where[@]}" --worker=all --command="$1"
}

install() {
  local archive=reenact_jax.tar.gz script
  printf '$ %s\n' "$(quoted git archive --format=tar.gz --output="$archive" HEAD)"
  if [ "$dry" = no ]; then
    archive="$(mktemp -d)/$archive"
    git archive --format=tar.gz --output="$archive" HEAD
  fi
  tell compute tpus tpu-vm scp "$archive" "$name:" "${where[@]}" --worker=all
  # The machines' own Python is 3.10: uv brings one that fits.
  script="mkdir -p $PLACE && tar -xzf reenact_jax.tar.gz -C $PLACE && cd $PLACE"
  script+=' && python3 -m pip install --quiet --user "uv>=0.5,<1"'
  script+=' && python3 -m uv venv --quiet --allow-existing --python 3.12 .venv'
  script+=" && python3 -m uv pip install --quiet --python .venv/bin/python -e $(quoted ".[$extras]")"
  everywhere "$script"
}

remote() { # WORDS: the script that runs them in the checkout, with its environment
  echo "cd $PLACE && PATH=\$PWD/.venv/bin:\$PATH PYTHONUNBUFFERED=1 exec $(quoted "$@")"
}

# A training leaves its number in train.pid. One that is still there (a connection broke, somebody
# else started it) is told to save and end, and waited for: two cannot have the chips.
end_old="cd $PLACE && "
# shellcheck disable=SC2016  # the workers expand it
end_old+='if old=$(cat train.pid 2>/dev/null) && grep -qs reenact-jax /proc/$old/cmdline; then '
# shellcheck disable=SC2016
end_old+='kill -TERM $old; timeout 300 tail --pid=$old -f /dev/null || kill -KILL $old; fi'

training() {
  everywhere "$end_old; echo \$\$ >train.pid && $(remote reenact-jax train --distributed "$@")"
}

train() {
  local code now left="$restarts" words="$*"
  [ -n "$type" ] || fail '--type: missing; a slice that was taken away is asked for again'
  case " $words" in
    *' --workdir=gs://'* | *' --workdir gs://'*) ;;
    *) fail '--workdir: expected a bucket, --workdir=gs://...: all workers write there, and the' \
      'disks of these machines go with them' ;;
  esac
  if [ "$dry" = yes ]; then
    training "$@"
    echo "# exit code $STOPPED or $BROKEN: the same again, at most $restarts times; where the request" \
      'is not ACTIVE any more, after down, up and install'
    return
  fi
  while true; do
    code=0
    training "$@" || code=$?
    [ "$code" -ne 0 ] || return 0
    [ "$code" -eq "$STOPPED" ] || sleep "$WAIT"  # a slice that is taken away says ACTIVE for a while
    now="$(state)"
    echo "# the training ended with exit code $code; the request is $now"
    case "$now $code" in
      "ACTIVE $STOPPED" | "ACTIVE $BROKEN") ;;
      ACTIVE*) return "$code" ;;
    esac
    [ "$left" -gt 0 ] || fail "--restarts $restarts: used up; the same command goes on"
    left=$((left - 1))
    if [ "$now" != ACTIVE ]; then
      [ "$now" = none ] || down
      up
      install
    fi
  done
}

[ $# -gt 0 ] || set -- --help
case "$1" in -h | --help) usage && exit 0 ;; esac
command="$1"
shift
name='' zone='' type='' project='' runtime='' kind=--spot restarts=100 extras=tpu,gcs dry=no
while [ $# -gt 0 ]; do
  case "$1" in
    --dry-run) dry=yes ;;
    --on-demand) kind='' ;;
    --reserved) kind=--reserved ;;
    -h | --help) usage && exit 0 ;;
    --)
      shift
      break
      ;;
    --name=* | --zone=* | --type=* | --project=* | --runtime=* | --restarts=* | --extras=*)
      option="${1%%=*}" value="${1#*=}"
      shift
      set -- "$option" "$value" "$@"
      continue
      ;;
    --name | --zone | --type | --project | --runtime | --restarts | --extras)
      [ $# -gt 1 ] || fail "$1: without a value; see --help"
      printf -v "${1#--}" '%s' "$2"
      shift
      ;;
    *) fail "unknown argument $1; see --help (flags of the training stand behind --)" ;;
  esac
  shift
done
[[ "$name" =~ ^[a-z]([a-z0-9-]*[a-z0-9])?$ ]] ||
  fail "--name '$name': expected small letters, digits and hyphens, such as aan-1"
[ -n "$zone" ] || fail '--zone: missing, such as us-west4-a'
[[ "$restarts" =~ ^[0-9]+$ ]] || fail "--restarts $restarts: expected a number"
where=(--zone="$zone" ${project:+--project="$project"})
[ "$dry" = yes ] || command -v gcloud >/dev/null ||
  fail 'gcloud is not installed: https://cloud.google.com/sdk/docs/install'
cd "$(dirname "$0")/.."

case "$command" in
  up | install | down) "$command" ;;
  state) tell compute tpus queued-resources describe "$name" "${where[@]}" '--format=value(state.state)' ;;
  train) train "$@" ;;
  all)
    up
    install
    train "$@"
    ;;
  run)
    [ $# -gt 0 ] || fail 'run: without a command; it stands behind --'
    everywhere "$(remote "$@")"
    ;;
  stop) everywhere "$end_old" ;;
  *) fail "unknown command $command; see --help" ;;
esac
