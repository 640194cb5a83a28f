// SPDX-License-Identifier: GPL-2.0
/*
 * A builtin command for bash that reads the kernel's log without the processes
 * that dmesg and grep are.
 *
 *   kmsg clear
 *   kmsg has TEXT: whether a line since the last clear has the text
 */
#include "command.h"

#include <sys/klog.h>

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

static int kmsg(char **words)
{
	if (!strcmp(words[0], "clear") && !words[1])
		return klogctl(CLEAR, NULL, 0) ? failed("clear") : EXECUTION_SUCCESS;
	if (!strcmp(words[0], "has") && words[1])
		return status_of(has(words[1]));
	return EX_USAGE;
}

static int kmsg_builtin(WORD_LIST *list)
{
	return command(list, 1, 2, kmsg);
}

static char *kmsg_doc[] = { "Reads the kernel's log.", NULL };

struct builtin kmsg_struct = {
	"kmsg", kmsg_builtin, BUILTIN_ENABLED, kmsg_doc, "kmsg clear | kmsg has TEXT", 0,
};
