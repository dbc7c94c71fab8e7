#!/bin/sh
# Installs what draws the served documents into .local/asyncapi_page, from whatever npm registry this machine uses.
# Never fails: without it the pages load the same version from a public CDN, and without that they show text.
# The lock names the one package that browsers load: its bundle has its dependencies inside.
set -eu
cd "$(dirname "$0")/../.."

wanted=tools/asyncapi_page
here=.local/asyncapi_page
bundle="$here/node_modules/@asyncapi/react-component/browser/standalone/index.js"
key="$(command -v npm || echo "no npm") $(cat "$wanted/package.json" "$wanted/package-lock.json" | cksum)"
# What did not work is not tried at every start: only with another npm, or after `make clean`.
if [ "$(cat "$here/.tried-with" 2>/dev/null)" = "$key" ]; then exit 0; fi

say() { echo "set-up: $*; the pages of the contracts load it from a public CDN instead"; }
write() { mkdir -p "$here" && cp "$wanted/package.json" "$wanted/package-lock.json" "$here/"; }
install() {
    # What the user's configuration may say against it, said here; the registry is the user's.
    npm ci --prefix "$here" --location=project --global=false --package-lock=true --dry-run=false --workspaces=false \
        --install-strategy=hoisted --omit=dev --ignore-scripts --no-audit --no-fund --no-update-notifier --prefer-offline \
        --fetch-retries=0 --fetch-timeout=20000 </dev/null >"$here/npm.log" 2>&1 && [ -f "$bundle" ]
}

rm -rf "$here" 2>/dev/null || true
if ! write 2>/dev/null; then
    say "cannot write to $here, so the viewer of contracts is not installed"
    exit 0
fi
if ! command -v npm >/dev/null 2>&1; then
    say "there is no npm, so the viewer of contracts is not installed"
elif ! install; then
    rm -rf "$here/node_modules"
    say "npm could not install the viewer of contracts ($here/npm.log says why)"
fi
echo "$key" >"$here/.tried-with"
