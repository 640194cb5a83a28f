# SPDX-License-Identifier: GPL-2.0
#
# Everything is built and run in the build root (see scripts/enter), so that
# `make demo` and `make test` need only a Debian host with root.
#
#   make                 builds the module for the debug kernel
#   make tools           builds remapctl, its man pages and completions
#   make test            runs all tests; T=pattern selects tests whose names contain it
#   make quick           runs the tests without an emulated machine, and those of the host
#   make flakes          runs all tests N=5 times on an idle machine, and as often on a busy one
#   make crash           kills guests 2000 times (20 times TIMES=count), and replays a log of
#                        writes with a power loss at every point
#   make torture         runs ten million operations against the model (OPS=count for each of
#                        its eight native tests), an hour of swapping (SWAP=seconds), and
#                        300 cycles of possible leaks (five times CYCLES=count)
#   make simulate        runs 10^8 operations (OPS=count) of the engine over simulated disks, and
#                        all sequences of four acts (ACTS=length) with each I/O failing once
#   make mutants         plants bugs, which the tests must detect
#   make allocations     fails every allocation once
#   make fuzz            runs the fuzz targets more than a million times
#   make bench           measures I/O beside dm-linear, and metadata, on the bench kernel
#   make bench-native    measures the part by the clock, in User-Mode Linux
#   make bench-compare   fails if I/O costs more than in tests/bench/baseline.json
#   make soak            runs five minutes of verified I/O during relocations
#   make demo            shows a disk with bad sectors, without and with remap
#   make guest SCRIPT=file.sh
#                        runs a script as root in a guest
#   make shell           opens a shell in the same guest
#   make lint            runs rustfmt, clippy, shellcheck, checkpatch, promtool
#   make doc             builds the documentation without warnings
#   make deb             builds the Debian packages in build/
#   make packages        tests the packages on Debian's kernels, in an hour
#   make rust-analyzer   writes rust-project.json
#   make program         builds remapctl without the build root; for this, make install and
#                        other targets see scripts/install.mk
#   make clean           removes the builds of this checkout; ALL=1 all but the build root
#
# For guests: KERNEL=debug|bench  SMP=cpus  MEM=megabytes  NUMA=nodes
#             DISKS="nvme:64M:write@8000+8:read@16000 scsi:1G:4k"
#             COUNTED=1  a clock that counts instructions
#             UML=1      a process of the host, with DISKS="virtio:64M" at most, and
#                        without NUMA= and COUNTED=
#             LEAKS=0    no kmemleak and no debugobjects, which is faster

export KERNEL UML SMP MEM NUMA LEAKS DISKS COUNTED T KSERIES ALL OPS ACTS SEED SWAP CYCLES N
export RUNS REPETITIONS COUNTS HANDS JSON

ENTER := scripts/enter
DEV := $(ENTER) python3 scripts/dev

.PHONY: all tools test quick flakes bench bench-native bench-compare fuzz crash torture simulate mutants
.PHONY: allocations demo soak guest shell lint doc deb packages
.PHONY: rust-analyzer clean
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

# 20 kills of each of 100 native guests and of a guest in QEMU, and some thousand points of a log.
crash:
	@T=crash. TIMES=$(or $(TIMES),100) KILLS=20 WRITES=1500 $(ENTER) python3 tests/run.py

# Ten million operations, some thousand on disks that QEMU emulates, and an hour of swapping.
torture:
	@QUICK=1 T=model. OPS=$(or $(OPS),1250000) $(ENTER) python3 tests/run.py
	@T=disk_with_bad_sectors OPS=100000 $(ENTER) python3 tests/run.py
	@T=swap. SWAP=$(or $(SWAP),3600) $(ENTER) python3 tests/run.py
	@T=leak CYCLES=$(or $(CYCLES),60) $(ENTER) python3 tests/run.py

simulate:
	@$(ENTER) python3 tests/simulate.py

mutants:
	@$(ENTER) python3 tests/mutants.py

# One CPU, and enough memory for the disks.
bench:
	@$(ENTER) python3 tests/bench/cost.py
	@$(ENTER) python3 tests/bench/native.py
	@$(ENTER) python3 tests/bench/structures.py
	@KERNEL=bench SMP=1 MEM=4096 $(DEV)/guest.py - <tests/bench/metadata.sh
	@KERNEL=bench COUNTED=1 SMP=1 MEM=2048 $(DEV)/guest.py - <tests/bench/scan.sh
	@UML=1 KERNEL=bench LEAKS=0 MEM=1536 $(DEV)/guest.py - <tests/bench/storm.sh

bench-native:
	@$(ENTER) python3 tests/bench/native.py

# Fails if I/O costs more than in the figures of the tree.
bench-compare:
	@$(ENTER) python3 tests/bench/cost.py --compare tests/bench/baseline.json

# Each allocation of the constructor, of activation and of messages fails once.
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
	@KERNEL=$(or $(KERNEL),debug) LEAKS=$(or $(LEAKS),0) MEM=$(or $(MEM),512) \
		DISKS="$(DEMO_DISKS)" $(DEV)/guest.py - <tests/demo/demo.sh

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

deb:
	@$(DEV)/deb.py

packages:
	@$(ENTER) python3 tests/packages/run.py

rust-analyzer:
	@$(DEV)/analyzer.py

clean:
	@$(DEV)/clean.py

include scripts/install.mk
