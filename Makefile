# SPDX-License-Identifier: GPL-2.0
#
# Everything is built and run in the build root (see scripts/enter), so that
# `make demo` and `make test` need nothing but a Debian host with root.
#
#   make            builds the module for the debug kernel
#   make tools      builds remapctl, its man pages and completions
#   make test       all tests; T=pattern for those whose name contains it
#   make quick      those that need no emulated machine, and those of the host
#   make flakes     all tests N=5 times on an idle machine, and as often on a busy one
#   make crash      guests killed 2000 times (20 times TIMES=count), and a log of writes replayed at every point
#   make torture    ten million operations against the model (OPS=count for each of its eight native tests), and an
#                   hour of swapping (SWAP=seconds), and 300 cycles of what might leak (five times CYCLES=count)
#   make mutants    bugs are planted, and must be seen
#   make allocations             every allocation fails once
#   make fuzz       more than a million runs of the fuzz targets
#   make bench      what I/O costs beside dm-linear, and metadata, on the bench kernel
#   make bench-native            that part of it that is by the clock, in User-Mode Linux
#   make bench-compare    fails where I/O costs more than tests/bench/baseline.json says
#   make soak       five minutes of verified I/O while units are moved
#   make demo       a disk with bad sectors, without and with remap
#   make guest SCRIPT=file.sh    runs a script as root in a guest
#   make shell      a shell in the same guest
#   make lint       rustfmt, clippy, shellcheck, checkpatch, promtool
#   make doc        the documentation, without warnings
#   make rust-analyzer           writes rust-project.json
#   make clean      removes what was built from this checkout; ALL=1 all but the build root
#
# For guests: KERNEL=debug|bench  SMP=cpus  MEM=megabytes  NUMA=nodes
#             DISKS="nvme:64M:write@8000+8:read@16000 scsi:1G:4k"  COUNTED=1 (a clock that counts instructions)
#             UML=1 (as a process of the host, with DISKS="virtio:64M" at most, without NUMA= and COUNTED=)
#             LEAKS=0 (no kmemleak and no debugobjects, which is quicker)

export KERNEL UML SMP MEM NUMA LEAKS DISKS T KSERIES ALL OPS SEED SWAP CYCLES N RUNS COUNTS HANDS JSON
export REPETITIONS COUNTED

ENTER := scripts/enter
DEV := $(ENTER) python3 scripts/dev

.PHONY: all tools test quick flakes bench bench-native bench-compare fuzz crash torture mutants allocations
.PHONY: demo soak guest shell lint doc rust-analyzer clean
all:
	@$(DEV)/module.py

tools:
	@$(DEV)/tools.py

test:
	@$(ENTER) python3 tests/run.py

quick:
	@QUICK=1 $(ENTER) python3 tests/run.py

flakes:
	@$(ENTER) python3 tests/flakes.py

fuzz:
	@$(DEV)/fuzz.py

# 20 kills of each of 100 native guests and of one of QEMU's, and some thousand points of a log.
crash:
	@T=crash. TIMES=$(or $(TIMES),100) KILLS=20 WRITES=1500 $(ENTER) python3 tests/run.py

# Ten million operations, and some thousand on disks that QEMU emulates; and an hour of swapping.
torture:
	@QUICK=1 T=model. OPS=$(or $(OPS),1250000) $(ENTER) python3 tests/run.py
	@T=disk_with_bad_sectors OPS=100000 $(ENTER) python3 tests/run.py
	@T=swap. SWAP=$(or $(SWAP),3600) $(ENTER) python3 tests/run.py
	@T=leak CYCLES=$(or $(CYCLES),60) $(ENTER) python3 tests/run.py

mutants:
	@$(ENTER) python3 tests/mutants.py

# One CPU, and memory for the disks.
bench:
	@$(ENTER) python3 tests/bench/cost.py
	@$(ENTER) python3 tests/bench/native.py
	@$(ENTER) python3 tests/bench/structures.py
	@KERNEL=bench SMP=1 MEM=4096 $(DEV)/guest.py - <tests/bench/metadata.sh
	@KERNEL=bench COUNTED=1 SMP=1 MEM=2048 $(DEV)/guest.py - <tests/bench/scan.sh

bench-native:
	@$(ENTER) python3 tests/bench/native.py

# Fails where I/O costs more than in the figures of the tree.
bench-compare:
	@$(ENTER) python3 tests/bench/cost.py --compare tests/bench/baseline.json

# Each allocation of the constructor, the load and the messages fails once.
allocations:
	@T=lifecycle.failing_allocations STEP=1 $(ENTER) python3 tests/run.py

# 256 MiB with bad sectors in every part that a file system uses, and a good spare.
empty :=
DEMO_FAULTS := $(subst $(empty) ,,\
	:write@4133+2:write@33001+2:write@66013+2:write@99007+2:write@140001+2 \
	:write@200003+2:write@284219+2:write@300007+2:write@390001+2:write@450007+2 \
	:read@50001:read@120003:read@180007:read@240001:read@320003:read@480001)
DEMO_DISKS := scsi:256M$(DEMO_FAULTS) scsi:16M
demo:
	@KERNEL=$(or $(KERNEL),debug) LEAKS=$(or $(LEAKS),0) MEM=$(or $(MEM),512) DISKS="$(DEMO_DISKS)" $(DEV)/guest.py - <tests/demo/demo.sh

soak:
	@$(DEV)/guest.py - <tests/soak.sh

guest:
	@[ -f "$(SCRIPT)" ] || { echo "make guest SCRIPT=file.sh: no such file: '$(SCRIPT)'"; exit 2; }
	@$(DEV)/guest.py - <"$(SCRIPT)"

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
