#!/usr/bin/env bash
# How much longer does secret-scan take than the slower of its two engines alone?
#
#   crates/secret-scan/benches/overhead.sh [COMMITS [ROUNDS]]
#
# Makes a repository of its own (every commit adds 24 lines to one of 60 files, one in forty is a merge, some hold a
# planted value that is made of parts), runs each program ROUNDS times in turn, and compares the shortest wall times
# and the processor times. Both engines use every core, so on two cores side by side already takes longer than the
# slower one alone: `both` is that floor. Needs git, gitleaks and trufflehog (`make tools`), and a built secret-scan
# (GS_BIN, or target/*/secret-scan).
set -euo pipefail

commits=${1:-2000}
rounds=${2:-3}
here=$(cd "$(dirname "$0")/../../.." && pwd)
PATH="$here/.tools/bin:$PATH"
for folder in "${GS_BIN:-}" "$here/target/release" "$here/target/bench-fast" "$here/target/debug"; do
  if [ -n "$folder" ] && [ -x "$folder/secret-scan" ]; then bin="$folder/secret-scan"; break; fi
done
: "${bin:?build secret-scan first}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

git init --quiet --initial-branch main "$work/repo"
awk -v commits="$commits" 'BEGIN {
  srand(7)
  letters = "abcdefghijklmnopqrstuvwxyz"
  for (n = 1; n <= commits; n++) {
    more = ""
    for (line = 0; line < 12; line++) {
      word = ""
      for (c = 0; c < 12; c++) word = word substr(letters, int(rand() * 26) + 1, 1)
      more = more "def handle_" word "(order, price):  # step " line " of " n "\n    return order.size * price + " line "\n"
    }
    if (n % 97 == 0) {
      token = ""
      for (c = 0; c < 36; c++) token = token substr(letters, int(rand() * 26) + 1, 1)
      more = more "token = \"gh" "p_" token "\"\n"
    }
    merge = (n % 40 == 0 && n > 20)
    print "commit refs/heads/main"
    print "mark :" n
    print "committer Ada <ada@example.com> " 1700000000 + n * 60 " +0000"
    message = "change " n
    print "data " length(message); print message
    if (n > 1) print "from :" n - 1
    # A merge with an older commit of the same line takes nothing new in.
    if (merge) { print "merge :" n - 20; continue }
    file = n % 60
    body[file] = body[file] more
    print "M 100644 inline src/part_" file ".py"
    print "data " length(body[file]); print body[file]
  }
}' | git -C "$work/repo" fast-import --quiet
git -C "$work/repo" reset --quiet --hard

TIMEFORMAT='%R %U %S'
took() { # name, exit code of a run that did its work, command...: wall and processor milliseconds
  local name=$1 wanted=$2 said
  shift 2
  said=$({ time { "$@" >"$work/out" 2>"$work/err" && echo 0 >"$work/code" || echo $? >"$work/code"; }; } 2>&1)
  if [ "$(cat "$work/code")" != "$wanted" ]; then
    echo "error: $name ended with $(cat "$work/code"), not $wanted: nothing is measured of a run that fails" >&2
    tail -5 "$work/err" >&2
    exit 1
  fi
  echo "$name $said" | awk '{ print $1, int($2 * 1000), int(($3 + $4) * 1000) }' >>"$work/times"
}
for _ in $(seq "$rounds"); do
  took gitleaks 77 gitleaks git --no-banner --exit-code 77 --report-format json --report-path - --log-opts=--all "$work/repo"
  took trufflehog 0 trufflehog git "file://$work/repo" --json --no-update --no-verification
  took both 0 bash -c 'gitleaks git --no-banner --exit-code 77 --report-format json --report-path - --log-opts=--all "$1" & trufflehog git "file://$1" --json --no-update --no-verification & wait' _ "$work/repo"
  took secret-scan 1 "$bin" "$work/repo" --no-verification --output json
done
grep -q '"outcome": "complete"' "$work/out" || { echo "secret-scan did not complete:"; tail -5 "$work/out" "$work/err"; exit 1; }
echo "$commits commits, shortest of $rounds rounds, $bin"
awk '!($1 in wall) || $2 < wall[$1] { wall[$1] = $2 } !($1 in cpu) || $3 < cpu[$1] { cpu[$1] = $3 }
  END {
    slower = wall["gitleaks"] > wall["trufflehog"] ? wall["gitleaks"] : wall["trufflehog"]
    split("gitleaks trufflehog both secret-scan", names, " ")
    for (i = 1; i <= 4; i++) printf "%-12s %6d ms wall  %6d ms processor\n", names[i], wall[names[i]], cpu[names[i]]
    printf "wall over the slower one alone: %.2f; over both side by side: %.2f\n", wall["secret-scan"] / slower, wall["secret-scan"] / wall["both"]
    printf "processor time over that of both alone: %.2f\n", cpu["secret-scan"] / (cpu["gitleaks"] + cpu["trufflehog"])
  }' "$work/times"
