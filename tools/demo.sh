#!/usr/bin/env bash
# The main jobs on a simulated service: all is well, then a fault, then the proof that it is seen.
# usage: demo.sh FOLDER_WITH_BINARIES FOLDER_FOR_REPORTS
set -euo pipefail

bin=$1
out=$2
reports=$(cd "$(dirname "$0")/../crates/vuln-gate/tests/fixtures" && pwd)
mkdir -p "$out"
rm -rf "${out:?}"/*

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
plain() { printf '\n== %s\n' "$*"; }
if [ ! -t 1 ] || [ -n "${NO_COLOR:-}" ]; then say() { plain "$@"; }; fi

# The simulations end with the demo, however that ends, and by themselves after ten minutes.
sims=()
end() {
  for sim in "${sims[@]}"; do kill "$sim" 2>/dev/null || :; done
  wait 2>/dev/null || :
}
trap end EXIT

# ready FILE: until the simulation that was started last has written where it listens.
ready() {
  for _ in $(seq 200); do
    [ -s "$1" ] && return
    kill -0 "${sims[-1]}" 2>/dev/null || { cat "${1%.env}.log" >&2; exit 1; }
    sleep 0.05
  done
  echo "error: the simulation was not ready within 10 s" >&2
  exit 1
}

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

# holds FILE TEXT...: the report says what it has to say.
holds() {
  local file=$1 wanted
  shift
  for wanted in "$@"; do
    grep -qF "$wanted" "$file" || { echo "error: $file lacks $wanted" >&2; exit 1; }
  done
}

"$bin/gs-sim" --pods 2.1.0,2.1.0,2.1.0 --ready-file "$out/sim.env" --exit-after 600s >"$out/sim.log" 2>&1 &
sims+=($!)
ready "$out/sim.env"
url=$(sed -n 's/^url=//p' "$out/sim.env")
control=$(sed -n 's/^control=//p' "$out/sim.env")

say "1 of 5, smoke-test. The simulated service stands at $url, three pods of version 2.1.0"
say "smoke-test $url --expect-version 2.1.0"
expect 0 "$bin/smoke-test" "$url" --expect-version 2.1.0 --output html="$out/healthy.html" --output json="$out/healthy.json"

say "Now a fault: the pipeline answers an error with status 200, and one of three pods is still old"
"$bin/gs-sim" fault --control "$control" '[{"kind": "error-body", "route": "/api/v1/pipeline/stats", "message": "Signal pipeline not available"}]'
"$bin/gs-sim" pods --control "$control" 2.1.0,2.1.0,2.0.9
say "The same command again"
expect 1 "$bin/smoke-test" "$url" --expect-version 2.1.0 --output html="$out/faulty.html" --output json="$out/faulty.json"
holds "$out/faulty.json" '"reason": "error_body"' '"reason": "wrong_version"'
say "What changed between the two runs"
expect 1 "$bin/smoke-test" diff "$out/healthy.json" "$out/faulty.json"
"$bin/gs-sim" fault --control "$control" '[]'
"$bin/gs-sim" pods --control "$control" 2.1.0,2.1.0,2.1.0

# targets NAME: the configuration that names the pods of the rollout that was started last.
targets() {
  sims+=($!)
  ready "$out/$1.env"
  {
    echo '[canary-monitor]'
    echo 'scrape = ['
    sed -n 's/^\(canary\|stable\)=\(.*\)$/  "\1=\2",/p' "$out/$1.env"
    echo ']'
  } >"$out/$1.toml"
}

say "2 of 5, canary-monitor. Nine stable pods and a canary with 10% of the traffic; 15 minutes pass in 45 s"
"$bin/gs-sim" rollout --stable 9 --canary 1 --rate 20 --time-scale 20 --exit-after 600s --ready-file "$out/fit.env" >"$out/fit.log" 2>&1 &
targets fit
expect 0 "$bin/canary-monitor" --config "$out/fit.toml" --weight 10% --duration 15m --time-scale 20 --log "$out/fit.jsonl" --output html="$out/canary-fit.html" --output json="$out/canary-fit.json"
say "Now a canary that answers in twice the time: no limit is broken, and it is worse than stable"
"$bin/gs-sim" rollout --stable 9 --canary 1 --rate 20 --behaviour slow --factor 2 --time-scale 20 --exit-after 600s --ready-file "$out/slow.env" >"$out/slow.log" 2>&1 &
targets slow
expect 1 "$bin/canary-monitor" --config "$out/slow.toml" --weight 10% --duration 15m --time-scale 20 --log "$out/slow.jsonl" --output html="$out/canary-slow.html" --output json="$out/canary-slow.json"
holds "$out/canary-slow.json" '"reason": "latency"'
say "What the guide's plain rule would have said of the same canary"
expect 0 "$bin/canary-monitor" replay "$out/slow.jsonl" --judge limits
expect 1 "$bin/canary-monitor" report "$out/slow.jsonl" --html "$out/canary-slow-charts.html" -q

say "3 of 5, load-test. 100 users of three personas for 20 seconds"
expect 0 "$bin/load-test" "$url" --users 100 --ramp 2s --duration 20s --seed 1 --output html="$out/load.html" --output json="$out/load.json"

say "4 of 5, vuln-gate. Three reports: one with findings, one clean, and one of a scanner that failed"
expect 1 "$bin/vuln-gate" "$reports/trivy/golden-pip.json" "$reports/npm_audit/no_vuln.json" "$reports/npm_audit_7_plus/own-endpoint-405.json" --max-age off --output html="$out/vulnerabilities.html" --output sarif="$out/vulnerabilities.sarif"
say "Only the clean one and the failed one: no finding, and yet no green"
expect 3 "$bin/vuln-gate" "$reports/npm_audit/no_vuln.json" "$reports/npm_audit_7_plus/own-endpoint-405.json" --max-age off --output json="$out/vulnerabilities.json"

say "5 of 5, secret-scan. A repository with a key that was committed and taken out again"
repository=$out/repository
git init -q "$repository"
commit() {
  git -C "$repository" add -A
  git -C "$repository" -c user.name=demo -c user.email=demo@example.invalid -c commit.gpgsign=false commit -q -m "$1"
}
echo 'print("hello")' >"$repository/app.py"
commit 'a start'
# Made on the spot, so that no file of ours holds anything that looks like a key.
key=sk_test_$(od -An -tx1 -N 18 /dev/urandom | tr -d ' \n')
echo "stripe_key = \"$key\"" >"$repository/settings.py"
commit 'settings'
git -C "$repository" rm -q settings.py
commit 'settings belong elsewhere'
if command -v gitleaks >/dev/null; then
  expect 1 "$bin/secret-scan" "$repository" --engine gitleaks --output html="$out/secrets.html" --output json="$out/secrets.json"
  holds "$out/secrets.json" '"in_head": false'
  if grep -qF "$key" "$out"/secrets.*; then
    echo 'error: a report holds the key' >&2
    exit 1
  fi
else
  say "There is no Gitleaks here, and no Go to build it: the honest answer is no verdict"
  expect 3 "$bin/secret-scan" "$repository" --engine gitleaks --output json="$out/secrets.json"
fi

say "Every fault was found, for the right reason. Pages to open:"
printf '  %s\n' "$out"/*.html
