// SPDX-License-Identifier: GPL-2.0
/*
 * Loads and unloads a module so many times, without the processes that insmod
 * and rmmod are.
 *
 *   reload FILE NAME TIMES
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int file, times;

	if (argc != 4)
		errx(2, "usage: reload FILE NAME TIMES");
	file = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (file < 0)
		err(1, "%s", argv[1]);
	for (times = atoi(argv[3]); times > 0; times--) {
		if (syscall(SYS_finit_module, file, "", 0))
			err(1, "loading %s", argv[2]);
		if (syscall(SYS_delete_module, argv[2], O_NONBLOCK))
			err(1, "unloading %s", argv[2]);
	}
	return 0;
}
