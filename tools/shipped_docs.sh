#!/usr/bin/env bash
# Manual pages and completions, made by the tools themselves.
# usage: shipped_docs.sh FOLDER_WITH_BINARIES FOLDER_TO_WRITE TOOL...
set -euo pipefail

bin=$1
out=$2
shift 2
mkdir -p "$out/man" "$out/completions"
for tool in "$@"; do
  "$bin/$tool" man >"$out/man/$tool.1"
  for shell in bash zsh fish elvish powershell; do
    "$bin/$tool" completions "$shell" >"$out/completions/$tool.$shell"
  done
done
