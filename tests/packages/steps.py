# SPDX-License-Identifier: GPL-2.0
"""What is tested of the packages, in order."""

import re
import shutil
import subprocess

import boot
import deb
import kernel
from cache import TOP

import boots

MODULE = "dm-remap"
# The names of files that the packages bring or make; the kernel's headers have other names with `remap`.
OURS = re.compile(r"dm.remap|remapctl|remaptab|/[0-9]+-?remap|/systemd/system/remap-|/initramfs-tools/.*remap")
BACKPORTS = ["-t", "trixie-backports"]


class World:
    """The system that the tests share, and what they know of it."""

    def __init__(self, root, folder, packages):
        self.root, self.folder = root, folder
        # The disk image of the system, once it was made.
        self._system = None
        (self.dkms,) = packages.glob("dm-remap-dkms_*_all.deb")
        (self.remapctl,) = packages.glob("remapctl_*_amd64.deb")
        root.apt("update")
        # For each series, the releases of its kernels, the newest first.
        self.releases = {series: self._releases(series) for series in kernel.SERIES}

    def _releases(self, series):
        pattern = rf"^linux-headers-{re.escape(series)}\.[0-9]+\+deb13-amd64$"
        found = self.root.run("apt-cache", "--names-only", "search", pattern)
        names = [line.split()[0].removeprefix("linux-headers-") for line in found.splitlines()]
        return sorted(names, key=lambda name: [int(part) for part in re.findall(r"\d+", name)], reverse=True)

    def newest(self, series):
        """The newest kernel of a series."""
        return self.releases[series][0]

    def version(self, package):
        """The version of a package that apt knows."""
        shown = self.root.run("apt-cache", "show", "--no-all-versions", package)
        return re.search(r"^Version: (\S+)$", shown, re.MULTILINE)[1]

    def source(self, release):
        """The source package of a kernel, as apt is told to install it."""
        series = ".".join(release.split(".")[:2])
        return f"linux-source-{series}={self.version(f'linux-headers-{release}')}"

    def add_kernel(self, release):
        """Installs a kernel, its headers and its source, as the README says."""
        names = [f"linux-image-{release}", f"linux-headers-{release}", self.source(release)]
        self.root.apt("install", *BACKPORTS, *names)

    def is_installed(self, release):
        """Whether dkms says that the module is installed for a kernel."""
        return ": installed" in self.root.run("dkms", "status", "-m", MODULE, "-k", release)

    def image(self):
        """The disk image of the system as it is when this is first called."""
        self._system = self._system or boot.image(self.root, self.folder)
        return self._system

    def metadata(self, release, headers=None):
        """Runs the script that makes what Debian's headers lack: its status, and what it printed."""
        (script,) = (self.root.path / "usr/src").glob(f"{MODULE}-*/dkms/rust-metadata")
        words = [f"/{script.relative_to(self.root.path)}", release, "/var/cache/other"]
        return self.root.attempt(*words, *([headers] if headers else []))

    def headers(self, release, change):
        """A copy of a kernel's headers in which a command of sed was run on a file."""
        source, copy = f"/usr/src/linux-headers-{release}", f"/root/headers-{release}"
        self.root.run("rm", "-rf", copy)
        self.root.run("cp", "-a", source, copy)
        command, file = change
        self.root.run("sed", "-i", command, f"{copy}/{file}")
        return copy


def says(result, wanted_status, *words):
    """A command must have ended with that status and printed these words."""
    status, text = result
    assert status == wanted_status, f"status {status}, not {wanted_status}:\n{text}"
    flat = " ".join(text.split())
    missing = [word for word in words if word not in flat]
    assert not missing, f"{missing} not in:\n{text}"


def lintian_finds_nothing(world):
    """Debian's own checker."""
    command = ["lintian", "--fail-on", "error,warning", world.dkms, world.remapctl]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stdout + done.stderr


def remapctl_comes_and_goes(world):
    """The tool's package is complete, starts nothing, and leaves nothing."""
    root = world.root
    before = root.files()
    root.apt("install", *root.add(world.remapctl))
    root.run("remapctl", "--version")
    for name in ("man/man8/remapctl.8.gz", "man/man8/remapctl-format.8.gz", "bash-completion/completions/remapctl"):
        assert (root.path / "usr/share" / name).exists(), name
    enabled = [name for name in root.files() - before if name.startswith("/etc/systemd/system/")]
    assert not enabled, f"enabled: {enabled}"
    root.apt("purge", "--autoremove", "remapctl")
    left = root.files() - before
    assert not left, f"left: {sorted(left)}"


def package_before_kernel(world):
    """The module is built and signed when the headers of a kernel arrive."""
    release = world.newest(kernel.SERIES[0])
    root = world.root
    root.apt("install", *root.add(world.dkms, world.remapctl))
    world.add_kernel(release)
    assert world.is_installed(release), root.run("dkms", "status")
    assert root.run("modinfo", "-k", release, "-F", "signer", "dm_remap").strip() == "DKMS module signing key"


def the_next_series(world):
    """The same for the kernels of the other series."""
    for release in map(world.newest, kernel.SERIES[1:]):
        world.add_kernel(release)
        assert world.is_installed(release), world.root.run("dkms", "status")


def without_packages(world):
    """`make modules` and the like, for a kernel whose headers have Rust metadata."""
    root, release = world.root, world.newest(kernel.SERIES[0])
    for name in deb.sources():
        target = root.path / "root/source" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TOP / name, target)
    make = ["make", "-C", "/root/source", f"KDIR=/var/cache/{MODULE}/{release}"]
    root.run(*make, "modules", "-j2")
    root.run(*make, "modules_install", "INSTALL_MOD_PATH=/root/target")
    (module,) = (root.path / "root/target/lib/modules" / release / "updates").glob("dm_remap.ko*")
    assert root.run("modinfo", "-F", "vermagic", f"/{module.relative_to(root.path)}").split()[0] == release
    root.run(*make, "install-dkms", "DESTDIR=/root/target")
    packaged = root.run("bash", "-c", "cd /usr/src/dm-remap-* && find . -type f | sort")
    assert packaged == root.run("bash", "-c", "cd /root/target/usr/src/dm-remap-* && find . -type f | sort")


def other_kernels_are_refused(world):
    """A kernel of another series, and one with PREEMPT_RT, are named, and apt goes on."""
    newest = world.newest(kernel.SERIES[0])
    rt = newest.replace("-amd64", "-rt-amd64")
    says(world.root.attempt_apt("install", *BACKPORTS, f"linux-headers-{rt}"), 0, f"not built for {rt}", "PREEMPT_RT")
    shown = world.root.run("apt-cache", "depends", "linux-headers-amd64/trixie")
    other = re.search(r"Depends: linux-headers-(\S+)", shown)[1]
    result = world.root.attempt_apt("install", f"linux-headers-{other}")
    says(result, 0, f"not built for {other}: its series is", f"supports {' '.join(kernel.SERIES)}")


def older_kernel_waits_for_its_source(world):
    """A kernel whose source is not installed is named, and built when its source arrives."""
    older = world.releases[kernel.SERIES[0]][1]
    source = world.source(older)
    result = world.root.attempt_apt("install", *BACKPORTS, f"linux-headers-{older}")
    says(result, 0, f"not built for {older}", f"install {source}")
    assert not world.is_installed(older)
    world.root.apt("install", "--allow-downgrades", source)
    assert world.is_installed(older), world.root.run("dkms", "status")


def reinstalled_without_source(world):
    """All kernels have the module again when the package was upgraded, whatever became of their source."""
    releases = [*map(world.newest, kernel.SERIES), world.releases[kernel.SERIES[0]][1]]
    sources = [f"linux-source-{series}" for series in kernel.SERIES]
    world.root.run("bash", "-c", "mkdir /root/away && mv /usr/src/linux-source-*.tar.xz /root/away")
    world.root.apt("install", "--reinstall", *world.root.add(world.dkms))
    missing = [release for release in releases if not world.is_installed(release)]
    assert not missing, f"without the module: {missing}; {sources}"
    release = releases[0]
    says(world.metadata(release), 77, "its source is missing", f"install {world.source(release)}")
    world.root.run("bash", "-c", "mv /root/away/* /usr/src")


def unsuitable_kernels_are_named(world):
    """What the versions of packages and the configuration say."""
    root, release = world.root, world.newest(kernel.SERIES[-1])
    headers = world.headers(release, ("/^CONFIG_RUST=/d", ".config"))
    says(world.metadata(release, headers), 77, "lacks CONFIG_RUST")
    own = f"{kernel.SERIES[-1]}.99-own"
    says(world.metadata(own), 77, "its headers are missing")
    headers = world.headers(release, ("", ".config"))
    says(world.metadata(own, headers), 77, "belongs to no package of Debian")
    status = (root.path / "var/lib/dpkg/status").read_text(encoding="utf-8")
    begin = status.index(f"Package: linux-image-{release}\n")
    other = status[:begin] + re.sub(r"Version: \S+", "Version: 1.2-3", status[begin:], count=1)
    (root.path / "var/lib/dpkg/status").write_text(other, encoding="utf-8")
    says(world.metadata(release), 77, "the kernel has version 1.2-3", "upgrade both")
    (root.path / "var/lib/dpkg/status").write_text(status, encoding="utf-8")


def a_system_in_need_is_stopped(world):
    """Where the module is in use, a kernel that may boot next must not come without it."""
    root = world.root
    sys = world.folder / "sys"
    (sys / "module/dm_remap").mkdir(parents=True)
    (sys / "module/dm_remap/refcnt").write_text("1\n", encoding="ascii")
    root.sys = sys
    uname = root.path / "usr/bin/uname"
    saved = uname.read_bytes()
    uname.write_text(f"#!/bin/sh\necho {world.newest(kernel.SERIES[0])}\n", encoding="ascii")
    newer = f"{kernel.SERIES[-1]}.99+deb13-amd64"
    says(world.metadata(newer), 1, "in use")
    says(world.metadata("6.12.1+deb13-amd64"), 77, "its headers are missing")
    uname.write_bytes(saved)
    root.sys = ""


def other_toolchains_are_named(world):
    """A compiler that did not build the kernel is an error."""
    root, release = world.root, world.newest(kernel.SERIES[0])
    compiler = "x86_64-linux-gnu-gcc-14"
    for program in ("rustc", "bindgen", compiler):
        path = f"/usr/bin/{program}"
        root.run("mv", path, f"{path}.real")
        says(world.metadata(release), 1, f"{program} is missing")
        (root.path / path[1:]).write_text("#!/bin/sh\necho other 1.2.3\n", encoding="ascii")
        root.run("chmod", "755", path)
        says(world.metadata(release), 1, "built the kernel, and here is 'other 1.2.3'")
        root.run("mv", f"{path}.real", path)


def other_crates_are_seen(world):
    """Crates that do not export what the kernel exports are not the kernel's."""
    release = world.newest(kernel.SERIES[-1])
    rename = ("0,/\\t_R/s/\\t_R/\\t_Rother/", "Module.symvers")
    world.root.apt("install", "--allow-downgrades", world.source(release))
    says(world.metadata(release, world.headers(release, rename)), 1, "2 symbols of its crates differ")
    assert not (world.root.path / "var/cache/other").exists()
    assert not (world.root.path / "var/cache/other.part").exists()


def kernel_goes(world):
    """The metadata and the module of a kernel that is removed go too."""
    release = world.newest(kernel.SERIES[-1])
    world.root.apt("purge", f"linux-image-{release}", f"linux-headers-{release}")
    left = [name for name in world.root.files() if release in name and OURS.search(name)]
    assert not left, f"left: {sorted(left)}"


def purged_without_trace(world):
    """Nothing of the packages is left when they are purged."""
    assert any(map(OURS.search, world.root.files()))
    world.root.apt("purge", "dm-remap-dkms", "remapctl")
    left = list(filter(OURS.search, world.root.files()))
    assert not left, f"left: {sorted(left)}"


ALL = [
    lintian_finds_nothing,
    remapctl_comes_and_goes,
    package_before_kernel,
    the_next_series,
    boots.stock_kernels_boot,
    boots.an_adopted_disk_comes_back,
    boots.an_adopted_disk_survives,
    boots.data_move_to_a_new_disk,
    boots.secure_boot,
    boots.root_on_an_array,
    without_packages,
    other_kernels_are_refused,
    older_kernel_waits_for_its_source,
    reinstalled_without_source,
    unsuitable_kernels_are_named,
    a_system_in_need_is_stopped,
    other_toolchains_are_named,
    other_crates_are_seen,
    kernel_goes,
    purged_without_trace,
]
