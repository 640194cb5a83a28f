// SPDX-License-Identifier: GPL-2.0
/*
 * A builtin command for bash that makes and removes folders without the
 * processes that mkdir, rmdir and rm are.
 *
 *   folder make NAME...
 *   folder remove NAME...: each is empty, or a file
 *   folder empty NAME...: removes what they have, but not what is mounted there
 */
#include "command.h"

#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int make(const char *name)
{
	return mkdir(name, 0755);
}

static int remove_entry(const char *path, const struct stat *about, int kind, struct FTW *place)
{
	return place->level ? remove(path) : 0;
}

static int empty(const char *name)
{
	return nftw(name, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static int folder(char **words)
{
	const char *what = *words++;
	int (*does)(const char *name) = !strcmp(what, "make") ? make :
					!strcmp(what, "remove") ? remove :
					!strcmp(what, "empty") ? empty : NULL;

	if (!does)
		return EX_USAGE;
	for (; *words; words++)
		if (does(*words))
			return failed(*words);
	return EXECUTION_SUCCESS;
}

static int folder_builtin(WORD_LIST *list)
{
	return command(list, 2, ANY_COUNT, folder);
}

static char *folder_doc[] = { "Makes and removes folders.", NULL };

struct builtin folder_struct = {
	"folder", folder_builtin, BUILTIN_ENABLED, folder_doc, "folder make|remove|empty NAME...",
	0,
};
