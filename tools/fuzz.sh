#!/usr/bin/env bash
# Fuzzes every target of every crate for some seconds each; the first crash ends it with its input named.
# usage: fuzz.sh FOLDER_WITH_CARGO_FUZZ SECONDS_EACH
set -euo pipefail

bin=$1
seconds=$2
cd "$(dirname "$0")/.."
rustup run nightly rustc --version >/dev/null || { echo 'error: fuzzing needs a nightly toolchain: rustup toolchain install nightly' >&2; exit 3; }
targets=0
for folder in crates/*/fuzz; do
  [ -f "$folder/Cargo.toml" ] || continue
  while read -r target; do
    echo "== $folder $target, $seconds s"
    (cd "$folder/.." && RUSTUP_TOOLCHAIN=nightly "$bin/cargo-fuzz" run "$target" -- -max_total_time="$seconds" -rss_limit_mb=2048 -verbosity=0)
    targets=$((targets + 1))
  done < <(sed -n '/^\[\[bin\]\]/,/^$/s/^name = "\(.*\)"/\1/p' "$folder/Cargo.toml")
done
[ "$targets" -gt 0 ] || { echo 'error: no fuzz target was found' >&2; exit 3; }
echo "$targets targets, none crashed"
