# SPDX-License-Identifier: GPL-2.0
#
# What a system gets, whether by hand or in the Debian packages. None of this needs the build root.
#
#   make program          builds remapctl, its man pages and completions in build/, with the system's cargo
#   make install          installs these, and what is in system/
#   make modules          builds the module for a kernel whose headers have Rust metadata (KDIR=)
#   make modules_install  installs that module
#   make install-dkms     installs the source for DKMS, for Debian's kernels
#
# DESTDIR= and PREFIX= (/usr) choose where, CARGO= and CARGO_FLAGS= how.

PREFIX ?= /usr
CARGO ?= cargo
KDIR ?= /lib/modules/$(shell uname -r)/build

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' tools/remapctl/Cargo.toml)
OUT := build
CARGO_OUT ?= $(OUT)/cargo
GENERATED := $(OUT)/generated
ROOT = $(DESTDIR)$(PREFIX)
DKMS_SOURCE = $(DESTDIR)/usr/src/dm-remap-$(VERSION)

.PHONY: program install install-program install-system install-dkms modules modules_install

program:
	$(CARGO) build --release --locked $(CARGO_FLAGS) --package remapctl --target-dir $(CARGO_OUT)
	$(CARGO_OUT)/release/remapctl generate $(GENERATED)

install: install-program install-system

install-program:
	@[ -e $(GENERATED)/remapctl.8 ] || { echo "run 'make program' first"; exit 2; }
	install -D -m 755 $(CARGO_OUT)/release/remapctl $(ROOT)/sbin/remapctl
	install -d $(ROOT)/share/man/man8
	install -m 644 $(GENERATED)/*.8 $(ROOT)/share/man/man8
	install -D -m 644 $(GENERATED)/remapctl.bash $(ROOT)/share/bash-completion/completions/remapctl
	install -D -m 644 $(GENERATED)/_remapctl $(ROOT)/share/zsh/vendor-completions/_remapctl
	install -D -m 644 $(GENERATED)/remapctl.fish $(ROOT)/share/fish/vendor_completions.d/remapctl.fish

# $(call install_tree,SOURCE,DESTINATION,MODE): all files of a folder but tests, if there is one, with its subfolders.
install_tree = $(if $(wildcard $(1)),cd $(1) && find . -type f ! -name '*.test.*' \
	-exec install -D -m $(3) {} $(abspath $(2))/{} \;)

# Programs that others run are in initramfs-tools/ and dracut/; the rest are files that others read.
install-system:
	install -d $(DESTDIR)/etc/remapctl $(ROOT)/lib/udev/rules.d
	$(call install_tree,system/remapctl,$(DESTDIR)/etc/remapctl,644)
	$(call install_tree,system/udev,$(ROOT)/lib/udev/rules.d,644)
	$(call install_tree,system/systemd,$(ROOT)/lib/systemd/system,644)
	$(call install_tree,system/initramfs-tools,$(ROOT)/share/initramfs-tools,755)
	$(call install_tree,system/dracut,$(ROOT)/lib/dracut/modules.d,755)
	$(call install_tree,system/grafana,$(ROOT)/share/remapctl/grafana,644)
	$(call install_tree,system/prometheus,$(ROOT)/share/remapctl/prometheus,644)
	for page in $(wildcard system/*.[1-8]); do \
		install -D -m 644 $$page $(ROOT)/share/man/man$${page##*.}/$${page##*/} || exit; \
	done
	for example in $(wildcard system/*.example); do \
		install -D -m 644 -t $(ROOT)/share/doc/remapctl/examples $$example || exit; \
	done

install-dkms:
	for file in Kbuild dkms/series $$(find include rust src -name '*.[ch]' -o -name '*.rs'); do \
		install -D -m 644 $$file $(DKMS_SOURCE)/$$file || exit; \
	done
	install -D -m 755 dkms/rust-metadata $(DKMS_SOURCE)/dkms/rust-metadata
	sed 's/#MODULE_VERSION#/$(VERSION)/' dkms/dkms.conf >$(DKMS_SOURCE)/dkms.conf

modules modules_install:
	$(MAKE) -C $(KDIR) M=$(CURDIR) MO=$(CURDIR)/$(OUT)/module $@
