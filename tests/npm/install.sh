#!/bin/sh
# Installs what the tests ask of npm into .local/tools. Nothing happens when the lock is as it was.
set -eu
cd "$(dirname "$0")"
tools=../../.local/tools
if [ -d "$tools/node_modules" ] && cmp -s package-lock.json "$tools/installed-lock.json"; then exit 0; fi
mkdir -p "$tools"
cp package.json package-lock.json "$tools"
cd "$tools"
npm ci --ignore-scripts --no-audit --no-fund --silent
cp package-lock.json installed-lock.json
