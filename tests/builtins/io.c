// SPDX-License-Identifier: GPL-2.0
/*
 * Builtin commands for bash that read, write and wait without the processes
 * that dd, cmp and sleep are. Block devices are opened with O_DIRECT.
 *
 *   copy FROM BYTE TO BYTE BYTES CHUNK: copies so many bytes, from and to these
 *	places, a CHUNK with each call; TO may be - for standard output, and a
 *	file that is there is not cut
 *   durable FROM BYTE TO BYTE BYTES CHUNK: so too, and what is copied is durable
 *   equal FILE BYTE FILE BYTE BYTES: whether both have the same there
 *   sleep SECONDS
 */
#include "command.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

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

/* Two open files, and how far each is. */
struct pair {
	int first, second;
	off_t first_at, second_at;
	int second_is_pipe;
};

/* Does with so many bytes of both what a command is for; whether it could. */
typedef int (*step)(const struct pair *files, char *buffer, size_t bytes);

/* Takes such steps of a chunk at most; words are FILE BYTE FILE BYTE BYTES. */
static int walk(char **words, int flags, off_t chunk, step take)
{
	struct pair files = {
		.first = open_any(words[0], O_RDONLY), .first_at = number(words[1]),
		.second = open_any(words[2], flags), .second_at = number(words[3]),
		.second_is_pipe = words[2][0] == '-',
	};
	off_t left = number(words[4]);
	char *buffer = chunk > 0 ? aligned(2 * chunk) : NULL;
	int done = files.first >= 0 && files.second >= 0 && files.first_at >= 0 &&
		   files.second_at >= 0 && left >= 0 && buffer;

	while (done && left) {
		size_t now = smaller(left, chunk);

		done = take(&files, buffer, now);
		files.first_at += now;
		files.second_at += now;
		left -= now;
	}
	free(buffer);
	close(files.second);
	close(files.first);
	return done;
}

static int copy_step(const struct pair *files, char *buffer, size_t bytes)
{
	return read_all(files->first, buffer, bytes, files->first_at) &&
	       write_all(files->second, buffer, bytes, files->second_at, files->second_is_pipe);
}

static int copy(char **words)
{
	return status_of(walk(words, O_WRONLY | O_CREAT, number(words[5]), copy_step));
}

static int durable(char **words)
{
	return status_of(walk(words, O_WRONLY | O_CREAT | O_SYNC, number(words[5]), copy_step));
}

static int equal_step(const struct pair *files, char *buffer, size_t bytes)
{
	char *other = buffer + CHUNK;

	if (!read_all(files->first, buffer, bytes, files->first_at) ||
	    !read_all(files->second, other, bytes, files->second_at))
		return 0;
	if (!memcmp(buffer, other, bytes))
		return 1;
	builtin_error("they differ behind bytes %lld and %lld", (long long)files->first_at,
		      (long long)files->second_at);
	return 0;
}

static int equal(char **words)
{
	return status_of(walk(words, O_RDONLY, CHUNK, equal_step));
}

static int pause_for(char **words)
{
	double seconds = atof(words[0]);
	struct timespec left = {
		.tv_sec = seconds, .tv_nsec = (seconds - (time_t)seconds) * 1e9,
	};

	while (nanosleep(&left, &left) && errno == EINTR)
		QUIT;
	return EXECUTION_SUCCESS;
}

static int copy_builtin(WORD_LIST *list)
{
	return command(list, 6, 6, copy);
}

static int durable_builtin(WORD_LIST *list)
{
	return command(list, 6, 6, durable);
}

static int equal_builtin(WORD_LIST *list)
{
	return command(list, 5, 5, equal);
}

static int sleep_builtin(WORD_LIST *list)
{
	return command(list, 1, 1, pause_for);
}

static char *copy_doc[] = { "Copies bytes.", NULL };
static char *durable_doc[] = { "Copies bytes, which are durable then.", NULL };
static char *equal_doc[] = { "Whether two files have the same bytes somewhere.", NULL };
static char *sleep_doc[] = { "Waits.", NULL };

struct builtin copy_struct = {
	"copy", copy_builtin, BUILTIN_ENABLED, copy_doc, "copy FROM BYTE TO BYTE BYTES CHUNK", 0,
};

struct builtin durable_struct = {
	"durable", durable_builtin, BUILTIN_ENABLED, durable_doc,
	"durable FROM BYTE TO BYTE BYTES CHUNK", 0,
};

struct builtin equal_struct = {
	"equal", equal_builtin, BUILTIN_ENABLED, equal_doc, "equal FILE BYTE FILE BYTE BYTES", 0,
};

struct builtin sleep_struct = {
	"sleep", sleep_builtin, BUILTIN_ENABLED, sleep_doc, "sleep SECONDS", 0,
};
