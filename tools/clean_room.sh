#!/bin/sh
# Copy the tracked files to an empty folder and test there with a fresh HOME and a plain PATH, as on a fresh machine.
# usage: clean_room.sh CHECKOUT
set -eu
room=$(mktemp -d "${TMPDIR:-/tmp}/mnnlite-clean-room.XXXXXX")
mkdir "$room/home" "$room/tree"
git -C "$1" ls-files -z | (cd "$1" && xargs -0 cp --parents -t "$room/tree")
cd "$room/tree"
for target in test $(grep -q '^demo:' Makefile && echo demo); do
  echo "== make $target in $room/tree"
  env -i HOME="$room/home" PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 make "$target"
done
echo "== pip install . as a user does, and mnnlite info"
python=$(PATH=/usr/local/bin:/usr/bin:/bin command -v python3)
$python -m venv "$room/venv"
env -i HOME="$room/home" PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 "$room/venv/bin/pip" install -q .
cd "$room"
env -i HOME="$room/home" PATH=/usr/bin:/bin LANG=C.UTF-8 "$room/venv/bin/mnnlite" info
cd /
rm -rf "$room"
echo "clean room: fine"
