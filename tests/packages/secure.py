# SPDX-License-Identifier: GPL-2.0
"""A boot with Secure Boot: firmware with Microsoft's keys, shim and GRUB as Debian signs them."""

from cache import run

import boot
from root import Root

# What makes and starts such a machine; none of it is on the machine.
PACKAGES = ["dosfstools", "grub-efi-amd64-signed", "mtools", "openssl", "ovmf", "python3-virt-firmware", "shim-signed"]
# Whose key the machine owner enrols; any UUID does.
OWNER = "605dab50-e046-4300-abb6-3dd810dd8b23"
SHIM = "/usr/lib/shim/shimx64.efi.signed"
GRUB = "/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed"
CONFIGURATION = """set timeout=0
menuentry Debian {{
	linux /vmlinuz {line}
	initrd /initrd
}}
"""


class Firmware:
    """The tools and files, in a root of their own."""

    def __init__(self, folder):
        folder.mkdir()
        self.root = Root(folder)
        self.root.apt("update")
        self.root.apt("install", *PACKAGES)

    def unmount(self):
        """Ends it."""
        self.root.unmount()

    def variables(self, key, path):
        """Makes the firmware's variables, in which `key` (a certificate in DER), if any, is enrolled as the machine
        owner's."""
        own = "/usr/share/OVMF/OVMF_VARS_4M.ms.fd"
        if key:
            self.root.add(key)
            self.root.run("openssl", "x509", "-inform", "der", "-in", f"/root/{key.name}", "-out", "/root/key.pem")
            self.root.run("virt-fw-vars", "-i", own, "--add-mok", OWNER, "/root/key.pem", "-o", "/root/vars.fd")
            own = "/root/vars.fd"
        run(["cp", f"{self.root.path}{own}", path])

    def system_partition(self, vmlinuz, initrd, path):
        """Makes the disk from which the firmware starts the kernel."""
        configuration = CONFIGURATION.format(line=boot.LINE)
        (self.root.path / "root/grub.cfg").write_text(configuration, encoding="ascii")
        self.root.add(vmlinuz, initrd)
        self.root.run("truncate", "-s", "256M", "/root/esp.img")
        self.root.run("mkfs.vfat", "-F", "32", "/root/esp.img")
        self.root.run("mmd", "-i", "/root/esp.img", "::/EFI", "::/EFI/BOOT", "::/EFI/debian")
        files = {SHIM: "EFI/BOOT/BOOTX64.EFI", GRUB: "EFI/BOOT/grubx64.efi", "/root/grub.cfg": "EFI/debian/grub.cfg"}
        files |= {f"/root/{vmlinuz.name}": "vmlinuz", f"/root/{initrd.name}": "initrd"}
        for source, target in files.items():
            self.root.run("mcopy", "-i", "/root/esp.img", source, f"::/{target}")
        run(["cp", "--sparse=always", self.root.path / "root/esp.img", path])


class SecureStock(boot.Stock):
    """A machine that starts only what is signed by a key it knows."""

    # pylint: disable-next=too-many-arguments
    def __init__(self, root, system, kernel, folder, firmware, key=None):
        super().__init__(root, system, kernel, [], folder)
        self.code = firmware.root.path / "usr/share/OVMF/OVMF_CODE_4M.ms.fd"
        firmware.variables(key, folder / "vars.fd")
        firmware.system_partition(self.vmlinuz, self.initrd, folder / "esp.img")

    def machine(self):
        words = ["-machine", "q35,smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on"]
        flash = "if=pflash,format=raw"
        words += ["-drive", f"{flash},unit=0,readonly=on,file={self.code}"]
        words += ["-drive", f"{flash},unit=1,file={self.folder / 'vars.fd'}"]
        words += ["-drive", f"if=none,id=esp,format=raw,file={self.folder / 'esp.img'}"]
        return words + ["-device", "ide-hd,drive=esp,bus=ide.0,bootindex=0"]
