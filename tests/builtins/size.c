// SPDX-License-Identifier: GPL-2.0
/*
 * A builtin command for bash: the size of a file, without the process that
 * stat is.
 *
 *   size VARIABLE FILE: sets the variable to the bytes of the file
 */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "builtins.h"
#include "shell.h"
#include "common.h"

static int size_builtin(WORD_LIST *list)
{
	int count, status = EX_USAGE;
	char **words = make_builtin_argv(list, &count);
	struct stat about;
	char text[24];

	if (count != 3) {
		builtin_usage();
	} else if (stat(words[2], &about)) {
		builtin_error("%s: %s", words[2], strerror(errno));
		status = EXECUTION_FAILURE;
	} else {
		snprintf(text, sizeof(text), "%lld", (long long)about.st_size);
		bind_variable(words[1], text, 0);
		status = EXECUTION_SUCCESS;
	}
	free(words);
	return status;
}

static char *size_doc[] = { "The size of a file.", NULL };

struct builtin size_struct = {
	"size", size_builtin, BUILTIN_ENABLED, size_doc, "size VARIABLE FILE", 0,
};
