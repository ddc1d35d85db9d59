# shellcheck shell=bash disable=SC2016
# Sourced by the tools: `need WHAT...` installs what of it is missing with the system's package manager.
# Nothing is asked of the package manager or the network when everything is there.
# Exit status 3: something is missing and could not be installed.

version_at_least() { # FOUND WANTED
    [[ $(printf '%s\n' "$2" "$1" | sort -V | head -n1) == "$2" ]]
}

find_clang() { # the clang++ to build with: 19, else one that is new enough
    local name
    for name in clang++-19 clang++ clang++-{20,21,18,17}; do
        if command -v "$name" >/dev/null && (($(clang_major "$name") >= 17)); then
            echo "$name"
            return
        fi
    done
    return 1
}

clang_major() { "$1" -dumpversion | cut -d. -f1; }

find_clang_format() { # of version 19, whose form the sources have: others break lines elsewhere
    local name
    for name in clang-format-19 clang-format; do
        if command -v "$name" >/dev/null && [[ $("$name" --version) == *" version 19."* ]]; then
            echo "$name"
            return
        fi
    done
    return 1
}

have() { # WHAT
    local cxx clang
    case $1 in
        g++)
            read -r -a cxx <<<"${CXX:-g++}"
            command -v "${cxx[0]}" >/dev/null && version_at_least "$("${cxx[@]}" -dumpversion)" 12
            ;;
        meson) command -v meson >/dev/null && version_at_least "$(meson --version)" 1.0 ;;
        ninja) command -v ninja >/dev/null || command -v ninja-build >/dev/null ;;
        pkg-config) command -v pkg-config >/dev/null ;;
        liburing) pkg-config --atleast-version=2.3 liburing 2>/dev/null ;;
        catch2) pkg-config --atleast-version=3 catch2-with-main 2>/dev/null ;;
        clang) find_clang >/dev/null ;;
        clang-rt)
            clang=$(find_clang) &&
                echo 'int main() {}' | "$clang" -x c++ -fsanitize=address - -o /dev/null 2>/dev/null
            ;;
        clang-format) find_clang_format >/dev/null ;;
        hiredis) pkg-config --exists hiredis 2>/dev/null ;;
        redis-tools) command -v redis-cli >/dev/null && command -v redis-benchmark >/dev/null ;;
        redis-py) python3 -c 'import redis' 2>/dev/null || /usr/bin/python3 -c 'import redis' 2>/dev/null ;;
        openssl) command -v openssl >/dev/null ;;
        libssl) pkg-config --exists openssl 2>/dev/null ;;
        glib) pkg-config --exists glib-2.0 2>/dev/null ;;
        boost) echo '#include <boost/asio.hpp>' | "${CXX:-g++}" -x c++ -E - >/dev/null 2>&1 ;;
        spin | gdb | ab) command -v "$1" >/dev/null ;;
        *) echo "packages.sh: unknown: $1" >&2 && return 1 ;;
    esac
}

manager() {
    local name
    for name in apt-get dnf pacman; do
        if command -v "$name" >/dev/null; then
            echo "$name"
            return
        fi
    done
    return 1
}

package() { # WHAT MANAGER: the package's name there
    case $2:$1 in
        apt-get:ninja | dnf:ninja) echo ninja-build ;;
        apt-get:liburing) echo liburing-dev ;;
        dnf:liburing) echo liburing-devel ;;
        apt-get:hiredis) echo libhiredis-dev ;;
        dnf:hiredis) echo hiredis-devel ;;
        dnf:redis-tools | pacman:redis-tools) echo redis ;;
        apt-get:redis-py | dnf:redis-py) echo python3-redis ;;
        pacman:redis-py) echo python-redis ;;
        apt-get:ab) echo apache2-utils ;;
        dnf:ab) echo httpd-tools ;;
        pacman:ab) echo apache ;;
        apt-get:libssl) echo libssl-dev ;;
        dnf:libssl) echo openssl-devel ;;
        pacman:libssl) echo openssl ;;
        apt-get:glib) echo libglib2.0-dev ;;
        dnf:glib) echo glib2-devel ;;
        pacman:glib) echo glib2 ;;
        apt-get:boost) echo libboost-dev ;;
        dnf:boost) echo boost-devel ;;
        dnf:g++) echo gcc-c++ ;;
        pacman:g++) echo gcc ;;
        dnf:pkg-config) echo pkgconf-pkg-config ;;
        pacman:pkg-config) echo pkgconf ;;
        apt-get:catch2) apt_catch2 ;;
        dnf:catch2) echo catch-devel ;;
        apt-get:clang) echo clang-19 ;;
        apt-get:clang-rt) echo libclang-rt-19-dev ;;
        dnf:clang-rt | pacman:clang-rt) echo compiler-rt ;;
        apt-get:clang-format) echo clang-format-19 ;;
        dnf:clang-format) echo clang-tools-extra ;;
        pacman:clang-format) echo clang ;;
        *) echo "$1" ;;
    esac
}

apt_candidate() { LC_ALL=C apt-cache policy "$1" 2>/dev/null | sed -n 's/^  Candidate: //p'; }

apt_catch2() { # Catch2's package; Debian before 13 has version 3 in libcatch2-dev of backports
    if [[ $(apt_candidate catch2) == [3-9].* ]]; then echo catch2; else echo libcatch2-dev; fi
}

debian_codename() { # nothing on other systems
    (. /etc/os-release 2>/dev/null && [[ ${ID:-} == debian ]] && echo "${VERSION_CODENAME:-}") || true
}

as_root() {
    if ((EUID == 0)); then env "$@"; else sudo env "$@"; fi
}

apt() { as_root DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -q "$@" </dev/null; }

apt_add_backports() { # adds Debian's backports to apt's sources; nothing on other systems
    local codename mirror keyring=/usr/share/keyrings/debian-archive-keyring.gpg list
    codename=$(debian_codename)
    [[ -n $codename ]] || return 0
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' "Codename: $codename" | sort -u | head -n1)
    list=/etc/apt/sources.list.d/$codename-backports.list
    echo "Adding $codename-backports to apt's sources: $list"
    echo "deb [signed-by=$keyring] ${mirror:-http://deb.debian.org/debian} $codename-backports main" |
        as_root tee "$list" >/dev/null
    apt update
}

# Makes a Catch2 of version 3 known to apt where only backports has it.
apt_backports_for_catch2() {
    [[ $(apt_candidate catch2) == [3-9].* || $(apt_candidate libcatch2-dev) == [3-9].* ]] || apt_add_backports
}

install_packages() { # MANAGER PACKAGE...
    local manager=$1
    shift
    case $manager in
        apt-get) apt install -y --no-install-recommends "$@" ;;
        dnf) as_root dnf install -y "$@" </dev/null ;;
        pacman) as_root pacman -S --needed --noconfirm "$@" </dev/null ;;
    esac
}

need() { # WHAT...
    local what with missing=() names=()
    for what in "$@"; do have "$what" || missing+=("$what"); done
    ((${#missing[@]})) || return 0

    if ! with=$(manager); then
        echo "Missing: ${missing[*]}. No package manager known here (apt, dnf, pacman): please install them." >&2
        exit 3
    fi
    if ((EUID != 0)) && ! { command -v sudo >/dev/null && { [[ -t 0 ]] || sudo -n true 2>/dev/null; }; }; then
        for what in "${missing[@]}"; do names+=("$(package "$what" "$with")"); done
        echo "Missing packages: ${names[*]}. Installing them needs root, and there is no sudo to ask:" \
            "please install them with $with, or run this as root." >&2
        if [[ " ${names[*]} " == *" libcatch2-dev "* ]]; then
            echo "libcatch2-dev is in $(debian_codename)-backports." >&2
        fi
        exit 3
    fi

    if [[ $with == apt-get ]]; then
        apt update || echo "apt-get update failed: going on with what apt knows" >&2
        if [[ " ${missing[*]} " == *" catch2 "* ]]; then
            apt_backports_for_catch2 || echo "backports could not be added" >&2
        fi
    fi
    for what in "${missing[@]}"; do names+=("$(package "$what" "$with")"); done
    echo "Installing with $with: ${names[*]}"
    install_packages "$with" "${names[@]}" || echo "$with could not install all of: ${names[*]}" >&2
    hash -r

    local still=()
    for what in "${missing[@]}"; do
        have "$what" && continue
        case $what in
            # Meson builds these itself from subprojects/ when it can reach the network.
            liburing | catch2) echo "$what: no version here that is new enough; Meson will fetch it" >&2 ;;
            *) still+=("$what") ;;
        esac
    done
    if ((${#still[@]})); then
        echo "Still missing, or too old: ${still[*]} (wanted: g++ 12, meson 1.0, clang 17)." >&2
        exit 3
    fi
}
