"""The programs that tools/bench runs: installs what apt has of them, and builds them in build/bench."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/bench"
NAMES = ["go", "asio", "tokio", "flume", "async-channel", "crossbeam"]
CRATES = ["tokio", "tokio-util", "flume", "async-channel", "crossbeam-channel"]
RUST_RIVALS = ["tokio", "flume", "async-channel", "crossbeam"]
REGISTRY = pathlib.Path("/usr/share/cargo/registry")


class Unavailable(Exception):
    """Why a rival cannot run here."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def output(*command, **more):
    """What a command prints, or nothing if it fails or is not there."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, **more)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def run(command, what, **more):
    """Runs a step of a build; its output is shown only when it fails."""
    say(f"building {what}")
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                          stdin=subprocess.DEVNULL, **more)
    if done.returncode:
        say(done.stdout)
        raise Unavailable(f"{what} does not build, see above")


def shell(script, *arguments):
    """Runs a line of bash with what tools/lib/packages.sh has; its output goes to stderr."""
    return subprocess.run(["bash", "-c", f"source tools/lib/packages.sh; {script}", "bench", *arguments], cwd=ROOT,
                          stdout=sys.stderr, stdin=subprocess.DEVNULL).returncode


def may_install():
    sudo = shutil.which("sudo") and subprocess.run(["sudo", "-n", "true"], stderr=subprocess.DEVNULL).returncode == 0
    return bool(shutil.which("apt-get") and (os.geteuid() == 0 or sudo))


def candidate(package):
    found = re.search(r"^  Candidate: (.*)$", output("apt-cache", "policy", package, env={**os.environ, "LC_ALL": "C"}),
                      re.M)
    return found[1] if found and found[1] != "(none)" else ""


def installed(package):
    return output("dpkg-query", "-W", "-f=${Status}", package).endswith("ok installed")


def newest(pattern):
    """The package whose name has the greatest number in it, as `golang-1.23-go`."""
    names = [n for n in output("apt-cache", "pkgnames").split() if re.fullmatch(pattern, n) and candidate(n)]
    return max(names, key=lambda n: [int(x) for x in re.findall(r"\d+", n)], default="")


def install(packages, why):
    """Installs what is missing, one after the other, so that one which cannot be does not stop the rest."""
    missing = [p for p in packages if p and not installed(p)]
    if not missing:
        return
    if not may_install():
        say(f"{why}: not installed, and not to be installed from here (needs apt and root): {' '.join(missing)}")
        return
    say(f"installing {' '.join(missing)}")
    command = 'apt install -y --no-install-recommends --no-remove "$@"'
    if shell(command, *missing) != 0:
        for package in missing:
            shell(command, package)


def need_ours():
    """What levada's own build needs. Exits as tools/test does if that cannot be had."""
    if code := shell("need g++ pkg-config meson ninja liburing"):
        sys.exit(code)


def install_rivals(wanted):
    if "go" in wanted and not newest(r"golang-1\.(2[3-9]|[3-9]\d)-go") and may_install():
        shell("apt_add_backports")
    if "go" in wanted:
        install([newest(r"golang-1\.\d+-go") or "golang-go"], "Go")
    if "asio" in wanted and boost_version() < (1, 78):
        install([newest(r"libboost1\.\d+-dev") or "libboost-dev"], "Boost")
    if any(r in wanted for r in RUST_RIVALS):
        if not (pathlib.Path("/usr/bin/rustc").exists() and pathlib.Path("/usr/bin/cargo").exists()):
            # Debian keeps a newer one for its browsers.
            web = candidate("rustc-web") and candidate("cargo-web")
            install(["rustc-web", "cargo-web"] if web else ["rustc", "cargo"], "Rust")
        install([f"librust-{crate}-dev" for crate in CRATES], "Rust's crates")


def boost_version():
    text = ""
    if pathlib.Path("/usr/include/boost/version.hpp").exists():
        text = pathlib.Path("/usr/include/boost/version.hpp").read_text()
    found = re.search(r"#define BOOST_VERSION (\d+)", text)
    number = int(found[1]) if found else 0
    return (number // 100000, number // 100 % 1000)


def set_up(what):
    """Builds what Meson builds in a release build with examples or with benchmarks. Gives the compiler."""
    command = ["meson", "setup", str(BUILD), "-Dbuildtype=release", "-Dtests=disabled",
               f"-Dbenchmarks={'enabled' if what == 'benchmarks' else 'disabled'}",
               f"-Dexamples={'enabled' if what == 'examples' else 'disabled'}"]
    if (BUILD / "build.ninja").exists():
        command.append("--reconfigure")
    try:
        run(command, "levada (setup)", cwd=ROOT)
        run(["meson", "compile", "-C", str(BUILD)], "levada", cwd=ROOT)
    except Unavailable as why:
        say(f"tools/bench: {why}")
        sys.exit(2)
    # What Meson chose when it set the directory up, which CXX need not name any more.
    commands = json.loads((BUILD / "compile_commands.json").read_text())
    compiler = next(word for word in commands[0]["command"].split() if not word.endswith("ccache"))
    return output(compiler, "--version").splitlines()[0]


def build_ours():
    """Ours, and Asio's. Gives (program, compiler)."""
    compiler = set_up("benchmarks")
    return BUILD / "bench/channel", compiler


def build_servers():
    """The example servers. Gives (folder of the build, compiler)."""
    need_ours()
    return BUILD, set_up("examples")


def build_latency():
    """The programs of bench/latency. Gives (folder of the build, compiler)."""
    need_ours()
    return BUILD, set_up("benchmarks")


def build_go():
    programs = sorted(pathlib.Path("/usr/lib").glob("go-1.*/bin/go"),
                      key=lambda p: [int(x) for x in re.findall(r"\d+", p.parts[3])])
    go = str(programs[-1]) if programs else shutil.which("go")
    if not go:
        raise Unavailable("not installed (package golang-go)")
    target = BUILD / "rivals/go"
    sources = sorted(str(p) for p in (ROOT / "bench/go").glob("*.go"))
    run([go, "build", "-o", str(target), *sources], "Go's program",
        env={**os.environ, "GO111MODULE": "off", "GOTOOLCHAIN": "local", "GOCACHE": str(BUILD / "rivals/go-cache"),
             "GOROOT": ""})
    return [str(target)], output(go, "version")


def find_asio():
    program = BUILD / "bench/asio"
    if not program.exists():
        raise Unavailable("needs Boost 1.78 or later (package libboost1.81-dev)")
    return [str(program)], "Boost " + ".".join(str(n) for n in boost_version())


def crate_version(crate):
    versions = [p.name[len(crate) + 1:] for p in REGISTRY.glob(f"{crate}-[0-9]*")]
    return max(versions, key=lambda v: [int(x) for x in re.findall(r"\d+", v)], default="")


def build_rust():
    """Builds the crate offline from Debian's sources; gives (program, rustc's version)."""
    for crate in CRATES:
        if not crate_version(crate):
            raise Unavailable(f"librust-{crate}-dev is not installed")
    # /usr/bin first: another toolchain that stands before it on PATH may want the network.
    cargo, rustc = (p if pathlib.Path(p := f"/usr/bin/{name}").exists() else shutil.which(name)
                    for name in ("cargo", "rustc"))
    if not cargo or not rustc:
        raise Unavailable("no cargo and rustc (packages cargo, rustc)")
    place = BUILD / "rivals/rust"
    # A copy, since cargo writes its lock file beside the sources.
    shutil.rmtree(place / "crate", ignore_errors=True)
    shutil.copytree(ROOT / "bench/rust", place / "crate", copy_function=shutil.copy2)
    (place / "debian.toml").write_text(f'[source.crates-io]\nreplace-with = "debian"\n'
                                       f'[source.debian]\ndirectory = "{REGISTRY}"\n')
    run([cargo, "build", "--release", "--offline", "--config", str(place / "debian.toml"),
         "--target-dir", str(place / "target")], "Rust's program", cwd=place / "crate",
        env={**os.environ, "RUSTC": rustc, "CARGO_HOME": str(place / "home")})
    return place / "target/release/levada-rivals", output(rustc, "--version")


def prepare(wanted):
    """Builds everything. Gives ({name: (command, version)}, {name: why it is left out})."""
    need_ours()
    install_rivals(wanted)
    program, compiler = build_ours()
    ready, left_out = {"ours": ([str(program), "--lines"], compiler)}, {}
    rust = None
    for name in wanted:
        try:
            if name == "go":
                ready[name] = build_go()
            elif name == "asio":
                ready[name] = find_asio()
            else:
                if isinstance(rust, Unavailable):
                    raise rust
                if rust is None:
                    try:
                        rust = build_rust()
                    except Unavailable as why:
                        rust = why
                        raise
                crates = {"crossbeam": ["crossbeam-channel"], "tokio": ["tokio"]}.get(name, [name, "tokio"])
                versions = ", ".join(f"{c} {crate_version(c)}" for c in crates)
                ready[name] = ([str(rust[0]), "-backend", name], f"{versions}; {rust[1]}")
        except Unavailable as why:
            left_out[name] = str(why)
            say(f"left out: {name}: {why}")
    return ready, left_out
