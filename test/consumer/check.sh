#!/usr/bin/env bash
# check.sh BUILD_FOLDER MAIN_CPP COMPILER [ARG...]: installs the build into a temporary place, then compiles and
# runs MAIN_CPP against what was installed, as `pkg-config levada` describes it.
set -euo pipefail

build=$1 main=$2
shift 2
compiler=("$@")

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

DESTDIR=$stage meson install -C "$build" --no-rebuild --quiet

# The .pc names the prefix the build was configured with; here it lives below $stage.
pc=$(find "$stage" -name levada.pc)
[[ -n $pc ]] || { echo "levada.pc was not installed"; exit 1; }
sed -i "s|^prefix=|prefix=$stage|" "${pc%/*}"/*.pc
export PKG_CONFIG_PATH=${pc%/*}${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
libdir=$(pkg-config --variable=libdir levada)

read -r -a flags <<<"$(pkg-config --cflags --libs levada)"
"${compiler[@]}" "$main" -o "$stage/consumer" "${flags[@]}"
LD_LIBRARY_PATH=$libdir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} "$stage/consumer"

# Built with containers of another shape than the library's, it does not link.
other=-D_GLIBCXX_DEBUG
[[ " ${compiler[*]} " == *" -D_GLIBCXX_DEBUG "* ]] && other=-U_GLIBCXX_DEBUG
if "${compiler[@]}" "$other" "$main" -o "$stage/mixed" "${flags[@]}" 2>"$stage/why"; then
    echo "a program with $other links with a library without it"
    exit 1
fi
grep -q 'levada::detail::built_with_[a-z]*_containers' "$stage/why" || { cat "$stage/why"; exit 1; }
