# SPDX-License-Identifier: GPL-2.0
#
# Everything is built and run in the build root (see scripts/enter), so that
# `make demo` and `make test` need nothing but a Debian host with root.
#
#   make            builds the module for the debug kernel
#   make test       all tests; T=pattern for those whose name contains it
#   make demo       a disk with bad sectors, without and with remap
#   make guest SCRIPT=file.sh    runs a script as root in a guest
#   make shell      a shell in the same guest
#   make lint       rustfmt, clippy, shellcheck, checkpatch
#   make doc        the documentation, without warnings
#   make rust-analyzer           writes rust-project.json
#
# For guests: KERNEL=debug|bench  SMP=cpus  MEM=megabytes  NUMA=nodes
#             DISKS="nvme:64M:write@8000+8:read@16000 scsi:1G:4k"

export KERNEL SMP MEM NUMA DISKS T KSERIES

ENTER := scripts/enter
DEV := $(ENTER) python3 scripts/dev

.PHONY: all test demo guest shell lint doc rust-analyzer clean
all:
	@$(DEV)/module.py

test:
	@$(ENTER) python3 tests/run.py

# 256 MiB with bad sectors in every part that a file system uses, and a good spare.
DEMO_DISKS := scsi:256M$(foreach s,4133 33001 66013 99007 140001 200003 262219 300007 390001 450007,:write@$(s)+2)\
$(foreach s,50001 120003 180007 240001 320003 480001,:read@$(s)) scsi:16M
demo:
	@KERNEL=$(or $(KERNEL),debug) DISKS="$(DEMO_DISKS)" $(DEV)/guest.py tests/demo/demo.sh

guest:
	@$(DEV)/guest.py "$(SCRIPT)"

shell:
	@$(DEV)/guest.py --shell

lint:
	@$(DEV)/lint.py

doc:
	@$(DEV)/doc.py

rust-analyzer:
	@$(DEV)/analyzer.py

clean:
	@$(DEV)/clean.py
