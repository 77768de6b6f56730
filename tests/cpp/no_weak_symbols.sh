#!/bin/sh
# Object files that are compiled for one instruction set must define no weak symbol: the linker may take any of several
# weak definitions for the whole process, and one with instructions that the CPU lacks would crash elsewhere.
# usage: no_weak_symbols.sh NM OBJECT...
nm=$1
shift
found=$("$nm" -C --defined-only "$@" | awk '$2 ~ /^[WVu]$/ && !/DW\.ref\.__gxx_personality/')
[ -z "$found" ] && exit 0
echo "$found"
exit 1
