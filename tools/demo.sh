#!/usr/bin/env bash
# The main job on a simulated service: all is well, then a fault, then the proof that it is seen.
# usage: demo.sh FOLDER_WITH_BINARIES FOLDER_FOR_REPORTS
set -euo pipefail

bin=$1
out=$2
mkdir -p "$out"
rm -f "$out"/*

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
plain() { printf '\n== %s\n' "$*"; }
if [ ! -t 1 ] || [ -n "${NO_COLOR:-}" ]; then say() { plain "$@"; }; fi

# The simulation ends with the demo, however that ends, and by itself after ten minutes.
"$bin/gs-sim" --pods 2.1.0,2.1.0,2.1.0 --ready-file "$out/sim.env" --exit-after 600s >"$out/sim.log" 2>&1 &
sim=$!
trap 'kill "$sim" 2>/dev/null; wait "$sim" 2>/dev/null || :' EXIT
for _ in $(seq 100); do
  [ -s "$out/sim.env" ] && break
  kill -0 "$sim" 2>/dev/null || { cat "$out/sim.log" >&2; exit 1; }
  sleep 0.05
done
url=$(sed -n 's/^url=//p' "$out/sim.env")
control=$(sed -n 's/^control=//p' "$out/sim.env")

# expect CODE COMMAND...: the demo is a test too, and fails where a tool ends otherwise.
expect() {
  local wanted=$1 code=0
  shift
  "$@" || code=$?
  if [ "$code" != "$wanted" ]; then
    echo "error: the demo expected exit code $wanted, and got $code from: $*" >&2
    exit 1
  fi
}

say "The simulated GoldenSignals service stands at $url, three pods of version 2.1.0"
say "smoke-test $url --expect-version 2.1.0"
expect 0 "$bin/smoke-test" "$url" --expect-version 2.1.0 --output html="$out/healthy.html" --output json="$out/healthy.json"

say "Now a fault: the pipeline answers an error with status 200, and one of three pods is still old"
"$bin/gs-sim" fault --control "$control" '[{"kind": "error-body", "route": "/api/v1/pipeline/stats", "message": "Signal pipeline not available"}]'
"$bin/gs-sim" pods --control "$control" 2.1.0,2.1.0,2.0.9
say "The same command again"
expect 1 "$bin/smoke-test" "$url" --expect-version 2.1.0 --output html="$out/faulty.html" --output json="$out/faulty.json"
for wanted in '"reason": "error_body"' '"reason": "wrong_version"'; do
  grep -qF "$wanted" "$out/faulty.json" || { echo "error: the report lacks $wanted" >&2; exit 1; }
done

say "What changed between the two runs"
expect 1 "$bin/smoke-test" diff "$out/healthy.json" "$out/faulty.json"

say "Both faults were found, for the right reasons. Pages to open:"
printf '  %s\n' "$out/healthy.html" "$out/faulty.html"
