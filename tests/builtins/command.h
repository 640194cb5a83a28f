/* SPDX-License-Identifier: GPL-2.0 */
/* What our builtin commands for bash have in common. */
#ifndef COMMAND_H
#define COMMAND_H

#include <config.h>

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "builtins.h"
#include "shell.h"
#include "common.h"

#define ANY_COUNT (INT_MAX - 1)

/* Reports what errno says of something. */
static inline int failed(const char *of)
{
	builtin_error("%s: %s", of, strerror(errno));
	return EXECUTION_FAILURE;
}

static inline int status_of(int worked)
{
	return worked ? EXECUTION_SUCCESS : EXECUTION_FAILURE;
}

/* A count of bytes or sectors; -1, and says so, for what is none. */
static inline intmax_t number(char *word)
{
	intmax_t value;

	if (legal_number(word, &value) && value >= 0)
		return value;
	builtin_error("%s: no count", word);
	return -1;
}

/* Runs what a command does, which returns its status, if it has so many words. */
static inline int command(WORD_LIST *list, int least, int most, int (*what)(char **words))
{
	int count, status = EX_USAGE;
	char **words = make_builtin_argv(list, &count);

	if (count > least && count <= most + 1)
		status = what(words + 1);
	free(words);
	if (status == EX_USAGE)
		builtin_usage();
	return status;
}

#endif
