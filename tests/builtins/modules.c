// SPDX-License-Identifier: GPL-2.0
/*
 * Builtin commands for bash that load and unload modules of the kernel without
 * a process of their own.
 *
 *   insmod FILE [NAME=VALUE...]
 *   rmmod NAME
 */
#include "command.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

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
		return failed(path);
	}
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return failed(path);
	done = syscall(SYS_finit_module, file, parameters, 0);
	close(file);
	return done ? failed(path) : EXECUTION_SUCCESS;
}

static int unload(char **words)
{
	if (syscall(SYS_delete_module, words[0], O_NONBLOCK))
		return failed(words[0]);
	return EXECUTION_SUCCESS;
}

static int insmod_builtin(WORD_LIST *list)
{
	return command(list, 1, ANY_COUNT, load);
}

static int rmmod_builtin(WORD_LIST *list)
{
	return command(list, 1, 1, unload);
}

static char *insmod_doc[] = { "Loads a module.", NULL };
static char *rmmod_doc[] = { "Unloads a module.", NULL };

struct builtin insmod_struct = {
	"insmod", insmod_builtin, BUILTIN_ENABLED, insmod_doc, "insmod FILE [NAME=VALUE...]", 0,
};

struct builtin rmmod_struct = {
	"rmmod", rmmod_builtin, BUILTIN_ENABLED, rmmod_doc, "rmmod NAME", 0,
};
