// SPDX-License-Identifier: GPL-2.0
/*
 * Preloaded into remapctl: appends all that it writes, and when it waits for that
 * to be durable, to the file that LOG names. Nothing is made durable: the test
 * plays what a disk might have done.
 *
 * A record is three numbers, the inode, the offset and the length, and then the
 * bytes; an offset of all ones is a wait.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void record(int file, uint64_t offset, const void *bytes, uint64_t length)
{
	static int log = -1;
	const char *path = getenv("LOG");
	struct stat found;
	uint64_t numbers[3];

	if (!path)
		return;
	if (log < 0)
		log = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (log < 0 || fstat(file, &found))
		abort();
	numbers[0] = found.st_ino;
	numbers[1] = offset;
	numbers[2] = length;
	if (write(log, numbers, sizeof(numbers)) != sizeof(numbers))
		abort();
	if (write(log, bytes, length) != (ssize_t)length)
		abort();
}

ssize_t pwrite64(int file, const void *bytes, size_t length, off64_t offset)
{
	ssize_t (*next)(int file, const void *bytes, size_t length, off64_t offset);

	next = dlsym(RTLD_NEXT, "pwrite64");
	record(file, offset, bytes, length);
	return next(file, bytes, length, offset);
}

int fdatasync(int file)
{
	record(file, UINT64_MAX, "", 0);
	return 0;
}
