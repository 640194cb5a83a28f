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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "builtins.h"
#include "shell.h"
#include "common.h"

static int load(const char *path, char **words)
{
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

static int ended(const char *name, int done)
{
	if (done)
		builtin_error("%s: %s", name, strerror(errno));
	return done ? EXECUTION_FAILURE : EXECUTION_SUCCESS;
}

static int insmod_builtin(WORD_LIST *list)
{
	int count, status = EX_USAGE;
	char **words = make_builtin_argv(list, &count);

	if (count >= 2)
		status = ended(words[1], load(words[1], words + 2));
	else
		builtin_usage();
	free(words);
	return status;
}

static int rmmod_builtin(WORD_LIST *list)
{
	int count, status = EX_USAGE;
	char **words = make_builtin_argv(list, &count);

	if (count == 2)
		status = ended(words[1], syscall(SYS_delete_module, words[1], O_NONBLOCK));
	else
		builtin_usage();
	free(words);
	return status;
}

static char *insmod_doc[] = { "Loads a module.", NULL };
static char *rmmod_doc[] = { "Unloads a module.", NULL };

struct builtin insmod_struct = {
	"insmod", insmod_builtin, BUILTIN_ENABLED, insmod_doc, "insmod FILE [NAME=VALUE...]", 0,
};

struct builtin rmmod_struct = {
	"rmmod", rmmod_builtin, BUILTIN_ENABLED, rmmod_doc, "rmmod NAME", 0,
};
