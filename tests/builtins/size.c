// SPDX-License-Identifier: GPL-2.0
/*
 * A builtin command for bash: the size of a file, without the process that
 * stat is.
 *
 *   size VARIABLE FILE: sets the variable to the bytes of the file
 */
#include "command.h"

#include <stdio.h>
#include <sys/stat.h>

static int size(char **words)
{
	struct stat about;
	char text[24];

	if (stat(words[1], &about))
		return failed(words[1]);
	snprintf(text, sizeof(text), "%lld", (long long)about.st_size);
	bind_variable(words[0], text, 0);
	return EXECUTION_SUCCESS;
}

static int size_builtin(WORD_LIST *list)
{
	return command(list, 2, 2, size);
}

static char *size_doc[] = { "The size of a file.", NULL };

struct builtin size_struct = {
	"size", size_builtin, BUILTIN_ENABLED, size_doc, "size VARIABLE FILE", 0,
};
