// SPDX-License-Identifier: GPL-2.0
/*
 * A builtin command for bash that reads the kernel's log without the processes
 * that dmesg and grep are.
 *
 *   kmsg clear
 *   kmsg has TEXT: whether a line since the last clear has the text
 */
#include <config.h>

#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>

#include "builtins.h"
#include "shell.h"
#include "common.h"

/* What klogctl's first argument means; no header of the C library says so. */
enum { READ_ALL = 3, CLEAR = 5, SIZE = 10 };

static int has(const char *text)
{
	int size = klogctl(SIZE, NULL, 0), found = 0;
	char *log = size > 0 ? malloc(size + 1) : NULL;

	if (!log)
		return 0;
	size = klogctl(READ_ALL, log, size);
	if (size >= 0) {
		log[size] = '\0';
		found = !!strstr(log, text);
	}
	free(log);
	return found;
}

static int kmsg_builtin(WORD_LIST *list)
{
	int count, status = EX_USAGE;
	char **words = make_builtin_argv(list, &count);

	if (count == 2 && !strcmp(words[1], "clear"))
		status = klogctl(CLEAR, NULL, 0) ? EXECUTION_FAILURE : EXECUTION_SUCCESS;
	else if (count == 3 && !strcmp(words[1], "has"))
		status = has(words[2]) ? EXECUTION_SUCCESS : EXECUTION_FAILURE;
	free(words);
	if (status == EX_USAGE)
		builtin_usage();
	return status;
}

static char *kmsg_doc[] = { "Reads the kernel's log.", NULL };

struct builtin kmsg_struct = {
	"kmsg", kmsg_builtin, BUILTIN_ENABLED, kmsg_doc, "kmsg clear | kmsg has TEXT", 0,
};
