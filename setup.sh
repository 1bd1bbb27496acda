#!/bin/sh
# Installs what is missing for `make run` or `make test`: Debian packages, then the program in .venv.
# usage: setup.sh run|test|lint|easyocr
set -eu
cd "$(dirname "$0")"

venv=.venv
case "${1:-}" in
    run)  packages="python3-venv mosquitto"; extras="" ;;
    test) packages="python3-venv gcc libc6-dev gpsd gpsd-clients mosquitto openssl postgresql chromium systemd python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good gstreamer1.0-plugins-bad"
          extras="[test]" ;;
    lint) packages="python3-venv"; extras="[test,lint]" ;;
    easyocr) packages="python3-venv"; extras="[test,easyocr,training]"; venv=.venv-easyocr ;;  # several GB: apart
    *)    echo "usage: setup.sh run|test|lint|easyocr" >&2; exit 2 ;;
esac

missing=""
for package in $packages; do
    dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ]; then as_root=""
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then as_root="sudo"
    elif command -v sudo >/dev/null && [ -t 0 ]; then as_root="sudo"
    else
        echo "setup: missing Debian packages and no way to become root; ask for: apt-get install$missing" >&2
        exit 1
    fi
    echo "setup: installing Debian packages:$missing"
    log=$(mktemp)
    # shellcheck disable=SC2086 # words on purpose
    if ! { $as_root apt-get update -q && $as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -q -y --no-install-recommends $missing; } >"$log" 2>&1; then
        tail -n 3 "$log" >&2
        echo "setup: apt-get could not install:$missing (whole output: $log)" >&2
        exit 1
    fi
    rm -f "$log"
fi

python=python3
if ! $python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=/usr/bin/python3
    $python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
        echo "setup: Python 3.11 or newer with its venv module is needed; $($python --version 2>&1) is here" >&2
        exit 1
    }
fi

done_for="$venv/installed-${1}-$(cksum pyproject.toml | cut -d' ' -f1)"
if [ ! -e "$done_for" ]; then
    echo "setup: installing edge-agent$extras in $venv"
    [ -x "$venv/bin/python" ] || $python -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable ".$extras" >"$venv/pip.log" 2>&1 || {
        tail -n 3 "$venv/pip.log" >&2
        echo "setup: pip could not install edge-agent$extras (whole output: $venv/pip.log)" >&2
        exit 1
    }
    rm -f "$venv/installed-$1-"*
    : > "$done_for"
fi
