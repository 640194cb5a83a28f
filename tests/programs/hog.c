// SPDX-License-Identifier: GPL-2.0
/*
 * Uses more memory than there is, so that it is swapped out and in, and checks
 * that each page comes back as it was.
 *
 *   hog MEGABYTES SECONDS
 */
#define _GNU_SOURCE
#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define PAGE 4096
#define WORDS (PAGE / sizeof(uint64_t))

/* What a page has in each of its words after so many writes to it. */
static uint64_t word(uint64_t page, uint64_t writes)
{
	return (page << 32 | writes) * 0x9e3779b97f4a7c15ull;
}

static void put(volatile uint64_t *at, uint64_t page, uint64_t writes)
{
	for (size_t i = 0; i < WORDS; i++)
		at[i] = word(page, writes) + i;
}

static void check(volatile uint64_t *at, uint64_t page, uint64_t writes)
{
	for (size_t i = 0; i < WORDS; i++)
		if (at[i] != word(page, writes) + i)
			errx(1, "page %llu is wrong", (unsigned long long)page);
}

int main(int argc, char **argv)
{
	uint64_t pages, done = 0, *memory;
	uint32_t *writes;
	time_t end;

	if (argc != 3)
		errx(2, "usage: hog MEGABYTES SECONDS");
	pages = strtoull(argv[1], NULL, 10) * 256;
	end = time(NULL) + atoi(argv[2]);
	memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	writes = calloc(pages, sizeof(*writes));
	if (memory == MAP_FAILED || !writes)
		err(1, "no memory");
	for (uint64_t page = 0; page < pages; page++)
		put(memory + page * WORDS, page, 0);
	while (time(NULL) < end) {
		uint64_t page = ((uint64_t)random() << 20 ^ random()) % pages;

		check(memory + page * WORDS, page, writes[page]);
		put(memory + page * WORDS, page, ++writes[page]);
		done++;
	}
	for (uint64_t page = 0; page < pages; page++)
		check(memory + page * WORDS, page, writes[page]);
	printf("%llu pages, %llu written again\n", (unsigned long long)pages,
	       (unsigned long long)done);
	return 0;
}
