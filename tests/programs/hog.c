// SPDX-License-Identifier: GPL-2.0
/*
 * Uses more memory than there is, so that it is swapped out and in, and checks
 * that each page comes back as it was.
 *
 *   hog MEGABYTES SECONDS
 */
#define _GNU_SOURCE
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define PAGE 4096
#define WORDS (PAGE / sizeof(unsigned long))

/* What a page has in each of its words after so many writes to it. */
static unsigned long word(unsigned long page, unsigned long writes)
{
	return (page << 32 | writes) * 0x9e3779b97f4a7c15ul;
}

static void put(unsigned long *at, unsigned long page, unsigned long writes)
{
	for (size_t i = 0; i < WORDS; i++)
		at[i] = word(page, writes) + i;
}

static void check(unsigned long *at, unsigned long page, unsigned long writes)
{
	for (size_t i = 0; i < WORDS; i++)
		if (at[i] != word(page, writes) + i)
			errx(1, "page %lu is wrong", page);
}

int main(int argc, char **argv)
{
	unsigned long pages, done = 0, *memory;
	unsigned int *writes;
	time_t end;

	if (argc != 3)
		errx(2, "usage: hog MEGABYTES SECONDS");
	pages = strtoul(argv[1], NULL, 10) * 256;
	end = time(NULL) + atoi(argv[2]);
	memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	writes = calloc(pages, sizeof(*writes));
	if (memory == MAP_FAILED || !writes)
		err(1, "no memory");
	for (unsigned long page = 0; page < pages; page++)
		put(memory + page * WORDS, page, 0);
	while (time(NULL) < end) {
		unsigned long page = ((unsigned long)random() << 20 ^ random()) % pages;

		check(memory + page * WORDS, page, writes[page]);
		put(memory + page * WORDS, page, ++writes[page]);
		done++;
	}
	for (unsigned long page = 0; page < pages; page++)
		check(memory + page * WORDS, page, writes[page]);
	printf("%lu pages, %lu written again\n", pages,
	       done);
	return 0;
}
