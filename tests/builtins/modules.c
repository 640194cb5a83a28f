// SPDX-License-Identifier: GPL-2.0
/*
 * Builtin commands for bash that load and unload modules of the kernel without
 * a process of their own.
 *
 *   insmod FILE [NAME=VALUE...]
 *   rmmod NAME
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "builtins.h"
#include "shell.h"
#include "common.h"

static int load(char **words)
{
	const char *path = *words++;
	char parameters[4096] = "";
	size_t used = 0;
	int file, done;

	for (; *words && used < sizeof(parameters); words++)
		used += snprintf(parameters + used, sizeof(parameters) - used, "%s ", *words);
	if (used >= sizeof(parameters)) {
		errno = E2BIG;
		return -1;
	}
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return -1;
	done = syscall(SYS_finit_module, file, parameters, 0);
	close(file);
	return done;
}

static int unload(char **words)
{
	return syscall(SYS_delete_module, words[0], O_NONBLOCK);
}

/* Runs what a command does if it has words, and no more than that wants. */
static int run(WORD_LIST *list, int most, int (*what)(char **words))
{
	int count, status = EX_USAGE;
	char **words = make_builtin_argv(list, &count);

	if (count < 2 || count > most + 1) {
		builtin_usage();
	} else if (what(words + 1)) {
		builtin_error("%s: %s", words[1], strerror(errno));
		status = EXECUTION_FAILURE;
	} else {
		status = EXECUTION_SUCCESS;
	}
	free(words);
	return status;
}

static int insmod_builtin(WORD_LIST *list)
{
	return run(list, INT_MAX - 1, load);
}

static int rmmod_builtin(WORD_LIST *list)
{
	return run(list, 1, unload);
}

static char *insmod_doc[] = { "Loads a module.", NULL };
static char *rmmod_doc[] = { "Unloads a module.", NULL };

struct builtin insmod_struct = {
	"insmod", insmod_builtin, BUILTIN_ENABLED, insmod_doc, "insmod FILE [NAME=VALUE...]", 0,
};

struct builtin rmmod_struct = {
	"rmmod", rmmod_builtin, BUILTIN_ENABLED, rmmod_doc, "rmmod NAME", 0,
};
