// SPDX-License-Identifier: GPL-2.0
/*
 * Builtin commands for bash that read, write and wait without the processes
 * that dd, cmp and sleep are. Block devices are opened with O_DIRECT.
 *
 *   copy FROM BYTE TO BYTE BYTES CHUNK: copies so many bytes, from and to these
 *	places, a CHUNK with each call; TO may be - for standard output, and a
 *	file that is there is not cut
 *   equal FILE BYTE FILE BYTE BYTES: whether both have the same there
 *   sleep SECONDS
 */
#define _GNU_SOURCE
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "builtins.h"
#include "shell.h"
#include "common.h"

#define ALIGNMENT 4096
#define CHUNK 1048576

static int open_any(const char *path, int flags)
{
	struct stat about;
	int fd;

	if (!strcmp(path, "-"))
		return dup(STDOUT_FILENO);
	if (stat(path, &about) == 0 && S_ISBLK(about.st_mode))
		flags = (flags & ~O_CREAT) | O_DIRECT;
	fd = open(path, flags | O_CLOEXEC, 0644);
	if (fd < 0)
		builtin_error("%s: %s", path, strerror(errno));
	return fd;
}

static int read_all(int fd, char *to, size_t bytes, off_t at)
{
	while (bytes) {
		ssize_t now = pread(fd, to, bytes, at);

		if (now <= 0) {
			builtin_error("reading at byte %lld: %s", (long long)at,
				      now ? strerror(errno) : "the end");
			return 0;
		}
		to += now;
		bytes -= now;
		at += now;
	}
	return 1;
}

static int write_all(int fd, const char *from, size_t bytes, off_t at, int is_pipe)
{
	while (bytes) {
		ssize_t now = is_pipe ? write(fd, from, bytes) : pwrite(fd, from, bytes, at);

		if (now <= 0) {
			builtin_error("writing at byte %lld: %s", (long long)at, strerror(errno));
			return 0;
		}
		from += now;
		bytes -= now;
		at += now;
	}
	return 1;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static char *aligned(size_t bytes)
{
	void *memory;

	return posix_memalign(&memory, ALIGNMENT, bytes) ? NULL : memory;
}

static int copy(char **words)
{
	off_t from = atoll(words[1]), to = atoll(words[3]);
	size_t left = atoll(words[4]), chunk = atoll(words[5]);
	int source = open_any(words[0], O_RDONLY), done = 0;
	int target = source < 0 ? -1 : open_any(words[2], O_WRONLY | O_CREAT);
	char *buffer = aligned(chunk);

	if (source >= 0 && target >= 0 && buffer && chunk) {
		done = 1;
		while (done && left) {
			size_t now = smaller(left, chunk);

			done = read_all(source, buffer, now, from) &&
			       write_all(target, buffer, now, to, words[2][0] == '-');
			from += now;
			to += now;
			left -= now;
		}
	}
	free(buffer);
	close(target);
	close(source);
	return done;
}

static int equal(char **words)
{
	off_t first = atoll(words[1]), second = atoll(words[3]);
	size_t left = atoll(words[4]);
	int a = open_any(words[0], O_RDONLY), b = open_any(words[2], O_RDONLY), done = 0;
	char *one = aligned(CHUNK), *other = aligned(CHUNK);

	if (a >= 0 && b >= 0 && one && other) {
		done = 1;
		while (done && left) {
			size_t now = smaller(left, CHUNK);

			done = read_all(a, one, now, first) && read_all(b, other, now, second);
			if (done && memcmp(one, other, now)) {
				builtin_error("%s and %s differ behind bytes %lld and %lld",
					      words[0], words[2], (long long)first,
					      (long long)second);
				done = 0;
			}
			first += now;
			second += now;
			left -= now;
		}
	}
	free(other);
	free(one);
	close(b);
	close(a);
	return done;
}

static int run(WORD_LIST *list, int wanted)
{
	int count, status = EX_USAGE;
	char **words = make_builtin_argv(list, &count);

	if (count != wanted + 1) {
		builtin_usage();
	} else {
		int done = wanted == 6 ? copy(words + 1) : equal(words + 1);

		status = done ? EXECUTION_SUCCESS : EXECUTION_FAILURE;
	}
	free(words);
	return status;
}

static int copy_builtin(WORD_LIST *list)
{
	return run(list, 6);
}

static int equal_builtin(WORD_LIST *list)
{
	return run(list, 5);
}

static int sleep_builtin(WORD_LIST *list)
{
	int count, status = EX_USAGE;
	char **words = make_builtin_argv(list, &count);

	if (count != 2) {
		builtin_usage();
	} else {
		double seconds = atof(words[1]);
		struct timespec left = {
			.tv_sec = seconds, .tv_nsec = (seconds - (time_t)seconds) * 1e9,
		};

		while (nanosleep(&left, &left) && errno == EINTR)
			QUIT;
		status = EXECUTION_SUCCESS;
	}
	free(words);
	return status;
}

static char *copy_doc[] = { "Copies bytes.", NULL };
static char *equal_doc[] = { "Whether two files have the same bytes somewhere.", NULL };
static char *sleep_doc[] = { "Waits.", NULL };

struct builtin copy_struct = {
	"copy", copy_builtin, BUILTIN_ENABLED, copy_doc, "copy FROM BYTE TO BYTE BYTES CHUNK", 0,
};

struct builtin equal_struct = {
	"equal", equal_builtin, BUILTIN_ENABLED, equal_doc, "equal FILE BYTE FILE BYTE BYTES", 0,
};

struct builtin sleep_struct = {
	"sleep", sleep_builtin, BUILTIN_ENABLED, sleep_doc, "sleep SECONDS", 0,
};
