// SPDX-License-Identifier: GPL-2.0
/*
 * What one I/O costs, in ticks of the time-stamp counter: where QEMU counts
 * instructions (-icount shift=0), these are instructions.
 *
 *   cost DEVICE read|write BYTES FIRST STRIDE COUNT seq|random DEPTH
 *
 * I/O of BYTES, which bypasses the page cache, at FIRST + n * STRIDE for n below
 * COUNT: in sequence, or n at random; DEPTH at a time. Prints the least and the
 * median cost of one I/O over batches of them.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <x86intrin.h>

#define BATCHES 11
#define MOST 32

static struct {
	int file;
	int is_write;
	size_t bytes;
	uint64_t first, stride, count;
	int is_random;
	unsigned int depth;
} wanted;

static uint64_t place, seed = 88172645463325252ULL;
static char *memory;
static aio_context_t context;

static uint64_t next_offset(void)
{
	uint64_t n = place++ % wanted.count;

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
	uint64_t at = next_offset();
	ssize_t done;

	if (wanted.is_write)
		done = pwrite(wanted.file, memory, wanted.bytes, at);
	else
		done = pread(wanted.file, memory, wanted.bytes, at);
	if (done != (ssize_t)wanted.bytes)
		err(1, "I/O at %llu", (unsigned long long)at);
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
	if (syscall(SYS_io_submit, context, wanted.depth, list) != wanted.depth)
		err(1, "io_submit");
	if (syscall(SYS_io_getevents, context, wanted.depth, wanted.depth, events, NULL) != wanted.depth)
		err(1, "io_getevents");
	for (at = 0; at < wanted.depth; at++)
		if (events[at].res != (int64_t)wanted.bytes)
			errx(1, "I/O failed: %lld", (long long)events[at].res);
}

/* The cost of one I/O, times 10. */
static uint64_t batch(unsigned int ios)
{
	uint64_t begun = __rdtsc();
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
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

int main(int argc, char **argv)
{
	uint64_t costs[BATCHES], least, median;
	unsigned int at, ios;

	if (argc != 9)
		errx(2, "usage: cost DEVICE read|write BYTES FIRST STRIDE COUNT seq|random DEPTH");
	wanted.is_write = !strcmp(argv[2], "write");
	wanted.file = open(argv[1], (wanted.is_write ? O_WRONLY : O_RDONLY) | O_DIRECT);
	if (wanted.file < 0)
		err(1, "%s", argv[1]);
	wanted.bytes = strtoull(argv[3], NULL, 0);
	wanted.first = strtoull(argv[4], NULL, 0);
	wanted.stride = strtoull(argv[5], NULL, 0);
	wanted.count = strtoull(argv[6], NULL, 0);
	wanted.is_random = !strcmp(argv[7], "random");
	wanted.depth = strtoul(argv[8], NULL, 0);
	if (!wanted.bytes || !wanted.count || !wanted.depth || wanted.depth > MOST)
		errx(2, "a number makes no sense");
	if (posix_memalign((void **)&memory, 1 << 21, wanted.bytes))
		errx(1, "no memory");
	memset(memory, 1, wanted.bytes);
	if (syscall(SYS_io_setup, MOST, &context))
		err(1, "io_setup");
	ios = wanted.bytes > 65536 ? 128 : 2048;
	batch(ios);
	for (at = 0; at < BATCHES; at++)
		costs[at] = batch(ios);
	qsort(costs, BATCHES, sizeof(costs[0]), ascending);
	least = costs[0];
	median = costs[BATCHES / 2];
	printf("%llu.%llu %llu.%llu\n", (unsigned long long)least / 10, (unsigned long long)least % 10,
	       (unsigned long long)median / 10, (unsigned long long)median % 10);
	return 0;
}
