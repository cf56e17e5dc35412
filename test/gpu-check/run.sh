#!/bin/sh
# Checks every kernel on this machine's GPU and measures it: see README.txt. Needs a driver and what every Linux has.
# usage: run.sh [--device cuda|sim] [--small] [--out DIR] [--only TEXT] [--no-cases] [--no-benchmarks] [--no-torch] [--repeats N] [--bundled-libc]
set -eu
PATH=${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}
export PATH
here=$(cd "$(dirname "$0")" && pwd)
device=cuda out=. torch=auto bundled=0 small=0
take() { [ "$1" -ge 2 ] || { echo "run.sh: error: $2 wants a value" >&2; exit 1; }; }
while [ $# -gt 0 ]; do
  case $1 in
    --device) take $# "$1"; device=$2; shift 2 ;;
    --device=*) device=${1#*=}; shift ;;
    --out) take $# "$1"; out=$2; shift 2 ;;
    --out=*) out=${1#*=}; shift ;;
    --only | --repeats) take $# "$1"; eval "option_${1#--}=\$2"; shift 2 ;;
    --only=* | --repeats=*) name=${1%%=*}; eval "option_${name#--}=\${1#*=}"; shift ;;
    --small) small=1; shift ;;
    --no-cases) no_cases=1; shift ;;
    --no-benchmarks) no_benchmarks=1; shift ;;
    --no-torch) torch=no; shift ;;
    --bundled-libc) bundled=1; shift ;;
    --help | -h) sed -n '2,3s/^# //p' "$0"; exit 0 ;;
    *) echo "run.sh: error: unknown option '$1'; run.sh --help lists them" >&2; exit 1 ;;
  esac
done
[ "$device" = cuda ] || [ "$device" = sim ] || { echo "run.sh: error: --device is cuda or sim, not '$device'" >&2; exit 1; }
mkdir -p "$out" 2>/dev/null && [ -w "$out" ] ||
  { echo "run.sh: error: results cannot be written to $out; give another folder with --out" >&2; exit 1; }

rm -f "$out/results.json" "$out/results.md"
work=$(mktemp -d "${TMPDIR:-/tmp}/gpu-check-XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
# The C library of this system where it is new enough, else the one in the folder.
if [ $bundled = 1 ] || ! LD_LIBRARY_PATH="$here/lib" "$here/bin/peer-gpu-check" --help >/dev/null 2>&1; then
  run() { program=$1; shift; "$here/lib/libc/ld-linux-x86-64.so.2" --library-path "$here/lib:$here/lib/libc" "$here/bin/$program" "$@"; }
else
  run() { program=$1; shift; LD_LIBRARY_PATH="$here/lib" "$here/bin/$program" "$@"; }
fi
run xz -dc "$here/data.tar.xz" | tar -x -C "$work"

set -- "$work" --device "$device" --json "$out/results.json" --markdown "$out/results.md"
[ $small = 0 ] || set -- "$@" --small
[ -z "${no_cases-}" ] || set -- "$@" --no-cases
[ -z "${no_benchmarks-}" ] || set -- "$@" --no-benchmarks
[ -z "${option_only-}" ] || set -- "$@" --only "$option_only"
[ -z "${option_repeats-}" ] || set -- "$@" --repeats "$option_repeats"
if [ "$device" = cuda ] && [ $torch = auto ] &&
  python3 -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
  set -- "$@" --torch python3
fi
status=0
run peer-gpu-check "$@" || status=$?
[ ! -f "$out/results.json" ] || echo "results: $out/results.json, $out/results.md"
exit $status
