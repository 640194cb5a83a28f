// SPDX-License-Identifier: GPL-2.0
/*
 * The cost of an I/O in ticks of the time-stamp counter. If QEMU counts
 * instructions (-icount shift=0), these are instructions.
 *
 *   cost DEVICE read|write BYTES FIRST STRIDE COUNT seq|random DEPTH CPUS
 *
 * I/O of BYTES, which bypasses the page cache, at FIRST + n * STRIDE for n below
 * COUNT: in sequence, or n at random; DEPTH at a time, from each of CPUS CPUs.
 * Prints the minimum and the median cost of an I/O over batches; from several
 * CPUs, the total time divided by the number of I/Os, twice.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

typedef unsigned long long u64;

#define BATCHES 11
#define MOST 32

static struct {
	int file;
	int is_write;
	size_t bytes;
	u64 first, stride, count;
	int is_random;
	unsigned int depth, cpus;
} wanted;

static u64 place, seed = 88172645463325252ULL;
static char *memory;
static aio_context_t context;

static u64 next_offset(void)
{
	u64 n = place++ % wanted.count;

	if (wanted.is_random) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		n = seed % wanted.count;
	}
	return wanted.first + n * wanted.stride;
}

static void one(void)
{
	u64 at = next_offset();
	ssize_t done;

	if (wanted.is_write)
		done = pwrite(wanted.file, memory, wanted.bytes, at);
	else
		done = pread(wanted.file, memory, wanted.bytes, at);
	if (done != (ssize_t)wanted.bytes)
		err(1, "I/O at %llu", at);
}

static void many(void)
{
	struct iocb requests[MOST], *list[MOST];
	struct io_event events[MOST];
	unsigned int at;

	memset(requests, 0, sizeof(requests));
	for (at = 0; at < wanted.depth; at++) {
		list[at] = &requests[at];
		requests[at].aio_fildes = wanted.file;
		requests[at].aio_lio_opcode = wanted.is_write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
		requests[at].aio_buf = (uintptr_t)memory;
		requests[at].aio_nbytes = wanted.bytes;
		requests[at].aio_offset = next_offset();
	}
	if (syscall(SYS_io_submit, context, at, list) != at)
		err(1, "io_submit");
	if (syscall(SYS_io_getevents, context, at, at, events, NULL) != at)
		err(1, "io_getevents");
	for (at = 0; at < wanted.depth; at++)
		if (events[at].res != (long long)wanted.bytes)
			errx(1, "I/O failed: %lld", (long long)events[at].res);
}

/* The cost of an I/O, times 10. */
static u64 batch(unsigned int ios)
{
	u64 begun = __rdtsc();
	unsigned int done;

	for (done = 0; done < ios; done += wanted.depth) {
		if (wanted.depth == 1)
			one();
		else
			many();
	}
	return (__rdtsc() - begun) * 10 / done;
}

static int ascending(const void *a, const void *b)
{
	u64 left = *(const u64 *)a, right = *(const u64 *)b;

	return (left > right) - (left < right);
}

static void parse(char **words)
{
	wanted.is_write = !strcmp(words[1], "write");
	wanted.bytes = strtoull(words[2], NULL, 0);
	wanted.first = strtoull(words[3], NULL, 0);
	wanted.stride = strtoull(words[4], NULL, 0);
	wanted.count = strtoull(words[5], NULL, 0);
	wanted.is_random = !strcmp(words[6], "random");
	wanted.depth = strtoul(words[7], NULL, 0);
	wanted.cpus = strtoul(words[8], NULL, 0);
	if (!wanted.bytes || !wanted.count || !wanted.depth || wanted.depth > MOST || !wanted.cpus)
		errx(2, "a number makes no sense");
}

static void prepare(const char *device)
{
	wanted.file = open(device, (wanted.is_write ? O_WRONLY : O_RDONLY) | O_DIRECT);
	if (wanted.file < 0)
		err(1, "%s", device);
	if (posix_memalign((void **)&memory, 1 << 21, wanted.bytes))
		errx(1, "no memory");
	memset(memory, 1, wanted.bytes);
	if (syscall(SYS_io_setup, MOST, &context))
		err(1, "io_setup");
}

static void print(u64 least, u64 median)
{
	printf("%.1f %.1f\n", least / 10.0, median / 10.0);
}

static void alone(const char *device, unsigned int ios)
{
	u64 costs[BATCHES];
	unsigned int at;

	prepare(device);
	batch(ios);
	for (at = 0; at < BATCHES; at++)
		costs[at] = batch(ios);
	qsort(costs, BATCHES, sizeof(costs[0]), ascending);
	print(costs[0], costs[BATCHES / 2]);
}

/* The shared state: the number of ready processes, and the start and end of each. */
struct shared {
	unsigned int ready;
	u64 begun[16], ended[16];
};

static void job(const char *device, unsigned int ios, unsigned int cpu, struct shared *shared)
{
	cpu_set_t only;
	unsigned int at;

	CPU_ZERO(&only);
	CPU_SET(cpu, &only);
	if (sched_setaffinity(0, sizeof(only), &only))
		err(1, "CPU %u", cpu);
	prepare(device);
	seed += cpu;
	batch(ios);
	__atomic_add_fetch(&shared->ready, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&shared->ready, __ATOMIC_SEQ_CST) < wanted.cpus)
		sched_yield();
	shared->begun[cpu] = __rdtsc();
	for (at = 0; at < BATCHES; at++)
		batch(ios);
	shared->ended[cpu] = __rdtsc();
	exit(0);
}

static void together(const char *device, unsigned int ios)
{
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	u64 begun = ~0ULL, ended = 0, cost;
	unsigned int cpu;
	int status;

	if (shared == MAP_FAILED || wanted.cpus > 16)
		errx(1, "too many CPUs");
	for (cpu = 0; cpu < wanted.cpus; cpu++)
		if (!fork())
			job(device, ios, cpu, shared);
	for (cpu = 0; cpu < wanted.cpus; cpu++)
		if (wait(&status) < 0 || status)
			errx(1, "a job failed");
	for (cpu = 0; cpu < wanted.cpus; cpu++) {
		begun = shared->begun[cpu] < begun ? shared->begun[cpu] : begun;
		ended = shared->ended[cpu] > ended ? shared->ended[cpu] : ended;
	}
	cost = (ended - begun) * 10 / ((u64)ios * BATCHES * wanted.cpus);
	print(cost, cost);
}

int main(int argc, char **argv)
{
	unsigned int ios;

	if (argc != 10)
		errx(2, "want DEVICE read|write BYTES FIRST STRIDE COUNT seq|random DEPTH CPUS");
	parse(argv + 1);
	ios = wanted.bytes > 65536 ? 128 : 2048;
	if (wanted.cpus == 1)
		alone(argv[1], ios);
	else
		together(argv[1], ios);
	return 0;
}
