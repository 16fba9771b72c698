"""An arm64 Debian with the package in it, run on this machine by QEMU's user-mode emulation.

`unpacked` is Debian's and our files laid out, and nothing set up: no ARM instruction runs while it
is made, so it takes seconds. `installed` is a Debian that set itself up by ARM's own dpkg, with our
package installed by apt. What was made is kept under `cache`, the installed package by its SHA-256;
a `Root` sees it through an overlay of its own, so that nothing that is done to it stays.

The emulated processor is a Cortex-A72 (Raspberry Pi 4), and says so in /proc/cpuinfo and /sys: the
host's own would be read as an ARM's and crash the library with which ONNX Runtime looks at them.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ARCH = "arm64"
RELEASE = "bookworm"
PACKAGES = "python3,libseccomp2,libstdc++6,systemd"
PROCESSOR = "cortex-a72"
CORES = 4
CPUINFO = """\
processor\t: {core}
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3

"""
TOOLS = ("qemu-aarch64", "mmdebstrap", "gcc")
BINFMT = Path("/proc/sys/fs/binfmt_misc")
BINFMT_OF_DEBIAN = Path("/usr/lib/binfmt.d/qemu-aarch64.conf")
INSIDE = Path(__file__).with_name("inside")
PYTHON = "/opt/ostiary/bin/python3"
GUEST = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "OSTIARY_MODELS": "/usr/share/ostiary/models",
}
NICE = ("nice", "--adjustment=10")
RUN_WITHIN_S = 1800.0

ENTER = r"""
set -eu
mount -t overlay overlay -o "lowerdir=$BASE,upperdir=$WORK/upper,workdir=$WORK/work" "$WORK/root"
cd "$WORK/root"
mkdir -p dev emulator mnt proc reference sys tmp
mount -t proc proc proc
mount --rbind /dev dev
mount -t tmpfs tmpfs sys
cp --recursive "$PROCESSOR/sys/." sys
mount --bind "$PROCESSOR/cpuinfo" proc/cpuinfo
mount --bind "$EMULATOR" emulator
mount --bind "$SHARED" mnt
mount --bind "$REFERENCE" reference
exec env -i $GUEST "QEMU_CPU=$QEMU_CPU" unshare --root=. --wd=/mnt -- $EMULATED "$@"
"""
EMULATED = "/emulator/ld-linux-x86-64.so.2 --library-path /emulator /emulator/qemu-aarch64"


def why_not() -> str | None:
    """Why no ARM program can be run here; None where it can."""
    if os.geteuid() != 0:
        return "an arm64 Debian needs root (mounts, chroot)"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    return f"{', '.join(missing)} not installed: make debian" if missing else None


def why_not_installed() -> str | None:
    """Why no ARM program can start others here, as an installation does; None where it can."""
    if BINFMT_OF_DEBIAN.is_file() and BINFMT.is_dir():
        return why_not()
    return "the kernel has no binfmt_misc, or qemu-user-static is not installed"


@dataclass(frozen=True, slots=True)
class Root:
    """A Debian, seen through an overlay under `work`. `base` is what lies below that: folders,
    the uppermost first, with colons between them.

    `shared` is its /mnt, `reference` its /reference. `by_binfmt`: programs may start others, which
    the kernel hands to the emulator, too; instructions cannot be counted then.
    """

    base: str
    work: Path
    shared: Path
    emulator: Path
    by_binfmt: bool = False

    def run(
        self, *command: str, count: bool = False, reference: Path | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run an ARM program; AssertionError where it fails."""
        guest = dict(GUEST)
        if reference is not None:
            guest["PYTHONPATH"] = "/reference:/mnt/export"
        environment = os.environ | {
            "BASE": self.base,
            "WORK": str(self.work),
            "SHARED": str(self.shared),
            "EMULATOR": str(self.emulator),
            "PROCESSOR": str(self.emulator / "processor"),
            "REFERENCE": str(reference or self.shared),
            "EMULATED": self._emulated(count),
            "GUEST": " ".join(f"{name}={value}" for name, value in guest.items()),
            "QEMU_CPU": PROCESSOR,
        }
        done = subprocess.run(
            [*NICE, "unshare", "--mount", "bash", "-c", ENTER, "enter", *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RUN_WITHIN_S,
            env=environment,
            check=False,
        )
        if check:
            assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done

    def _emulated(self, count: bool) -> str:
        assert not (count and self.by_binfmt), "a program that the kernel starts is not counted"
        plugin = " -plugin /emulator/count.so" if count else ""
        return "" if self.by_binfmt else EMULATED + plugin


def unpacked(cache: Path, work: Path, shared: Path, package: Path) -> Root:
    """Debian's files and the package's, none of them set up."""
    base = _debian(cache, "extract")
    root = Root(str(base), _overlay(work), shared, _emulator(work))
    subprocess.run(["dpkg-deb", "--extract", package, work / "upper"], check=True)
    return root


def installed(cache: Path, work: Path, shared: Path, package: Path) -> Root:
    """The package in a Debian that is set up, installed by ARM's apt."""
    _register_emulator()
    base = _debian(cache, "minbase")
    digest = hashlib.sha256(package.read_bytes()).hexdigest()[:12]
    layer = cache / f"installed-{digest}"
    with _locked(cache, "installed"):
        if not layer.is_dir():
            making = layer.with_suffix(".making")
            shutil.rmtree(making, ignore_errors=True)
            arm = Root(str(base), _overlay(making), shared, _emulator(work), by_binfmt=True)
            shutil.copy(package, shared / "ostiary.deb")
            arm.run("apt-get", "install", "--yes", "/mnt/ostiary.deb")
            (making / "upper").rename(layer)
            shutil.rmtree(making)
    return Root(f"{layer}:{base}", _overlay(work), shared, _emulator(work), by_binfmt=True)


def counting(root: Root) -> Root:
    """The same root, entered so that instructions can be counted."""
    return Root(root.base, root.work, root.shared, root.emulator)


def counts(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """Instructions a run of each stage of `inside/frame.py`: the mean of all runs."""
    marks = re.findall(r"^instructions (\d+) (\d+)$", done.stderr, re.MULTILINE)
    stages = done.stdout.split()
    sums = dict.fromkeys(stages, 0)
    for (began, before), (ended, after) in zip(marks[::2], marks[1::2], strict=True):
        assert int(ended) == int(began) + 1
        sums[stages[int(began) // 2]] += int(after) - int(before)
    runs = len(marks) // 2 // len(stages)
    assert runs > 0, done.stderr
    return {stage: total // runs for stage, total in sums.items()}


def _plugin(folder: Path) -> Path:
    """`count.so`, compiled."""
    library = folder / "emulator/count.so"
    library.parent.mkdir(parents=True, exist_ok=True)
    flags = ["-shared", "-fPIC", "-O2", "-Wall", "-Werror"]
    subprocess.run(["gcc", *flags, "-o", library, INSIDE / "count.c"], check=True)
    return library


def _overlay(work: Path) -> Path:
    for name in ("upper", "work", "root"):
        (work / name).mkdir(parents=True)
    return work


@contextmanager
def _locked(cache: Path, name: str) -> Iterator[None]:
    """One test run at a time makes what is kept."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _debian(cache: Path, variant: str) -> Path:
    """mmdebstrap's root folder of that variant, made where it is not there yet."""
    base = cache / f"{RELEASE}-{ARCH}-{variant}"
    with _locked(cache, variant):
        if not base.is_dir():
            making = base.with_suffix(".making")
            shutil.rmtree(making, ignore_errors=True)
            options = [f"--arch={ARCH}", f"--variant={variant}", f"--include={PACKAGES}"]
            log = base.with_suffix(".log")
            with log.open("wb") as said:
                done = subprocess.run(
                    [*NICE, "mmdebstrap", *options, RELEASE, making], stdout=said, stderr=said
                )
            assert done.returncode == 0, log.read_text(encoding="utf-8")[-2000:]
            making.rename(base)
    return base


def _emulator(work: Path) -> Path:
    """A folder with QEMU, the libraries that it needs, the counter, and what describes the
    processor: all that has to be within reach in the root folder."""
    folder = _plugin(work).parent
    program = shutil.which("qemu-aarch64")
    assert program is not None
    linked = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    for needed in (program, *re.findall(r"(/\S+\.so\S*)", linked)):
        shutil.copy(needed, folder / Path(needed).name)
    cpus = folder / "processor/sys/devices/system/cpu"
    for core in range(CORES):
        topology = cpus / f"cpu{core}/topology"
        topology.mkdir(parents=True, exist_ok=True)
        (topology / "core_id").write_text(f"{core}\n", encoding="ascii")
        (topology / "physical_package_id").write_text("0\n", encoding="ascii")
    for name in ("possible", "present", "online"):
        (cpus / name).write_text(f"0-{CORES - 1}\n", encoding="ascii")
    cpuinfo = "".join(CPUINFO.format(core=core) for core in range(CORES))
    (folder / "processor/cpuinfo").write_text(cpuinfo, encoding="ascii")
    return folder


def _register_emulator() -> None:
    """Let the kernel hand ARM programs to QEMU, as systemd-binfmt does where it runs."""
    if not (BINFMT / "register").exists():
        subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", BINFMT], check=True)
    if not (BINFMT / "qemu-aarch64").exists():
        (BINFMT / "register").write_bytes(BINFMT_OF_DEBIAN.read_bytes().strip())
