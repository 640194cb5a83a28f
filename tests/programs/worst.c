// SPDX-License-Identifier: GPL-2.0
/*
 * Repeats a query of a mapped device, and prints the longest time of one in
 * microseconds.
 *
 * A new process for each query would take longer than the query.
 *
 *   worst COUNT NAME status|table|MESSAGE
 */
#include <libdevmapper.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void die(const char *why)
{
	fprintf(stderr, "worst: %s\n", why);
	exit(1);
}

static struct dm_task *prepared(const char *name, const char *what)
{
	int type = DM_DEVICE_TARGET_MSG;
	struct dm_task *made;

	if (!strcmp(what, "status"))
		type = DM_DEVICE_STATUS;
	else if (!strcmp(what, "table"))
		type = DM_DEVICE_TABLE;
	made = dm_task_create(type);
	if (!made || !dm_task_set_name(made, name))
		die("libdevmapper has no memory");
	if (type == DM_DEVICE_TARGET_MSG &&
	    (!dm_task_set_sector(made, 0) || !dm_task_set_message(made, what)))
		die("no message");
	return made;
}

static long long microseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

int main(int count, char **words)
{
	long long begun, took, most = 0;
	struct dm_task *made;
	int left;

	if (count != 4)
		die("want COUNT NAME status|table|MESSAGE");
	left = atoi(words[1]);
	if (left < 1)
		die("COUNT begins at 1");
	for (; left > 0; left--) {
		made = prepared(words[2], words[3]);
		begun = microseconds();
		if (!dm_task_run(made))
			die("the query fails");
		took = microseconds() - begun;
		if (took > most)
			most = took;
		dm_task_destroy(made);
	}
	printf("%lld\n", most);
	return 0;
}
