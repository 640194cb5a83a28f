// SPDX-License-Identifier: GPL-2.0
/*
 * Repeats an operation of device mapper, and fails one of the kernel's
 * allocations each time: the FIRST, then every STEPth after it, until no further
 * allocation can fail. Then the operation must succeed. If there are fewer
 * allocations than FIRST, the count continues at 1 after the last, so that at
 * least one allocation fails.
 *
 * The program is in C because fail-nth belongs to a thread: a request must be a
 * system call of the thread whose allocation fails, without another process,
 * which would make hundreds of allocations of its own. The Rust library of the
 * tests waits in a resume for an event of udev, which a failed allocation may
 * suppress.
 *
 *   nth FIRST STEP constructor NAME SECTORS PARAMS	loads a remap table
 *   nth FIRST STEP load NAME SECTORS PARAMS		resumes a table
 *   nth FIRST STEP message NAME WORDS			sends a message
 *
 * In WORDS, % stands for 8 times the number of previous runs. NAME is a mapped
 * device, whose table is replaced. The caller configures which allocations may
 * fail, see "fail-nth" in the kernel's fault-injection.rst. The output is the
 * number of allocations, of failed allocations, of failed operations, and of
 * successful operations.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <libdevmapper.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fail_nth;

static void die(const char *why)
{
	fprintf(stderr, "nth: %s\n", why);
	exit(1);
}

/* Makes the allocation with that number fail, or none for 0. */
static void arm(int number)
{
	char text[16];
	int length = snprintf(text, sizeof(text), "%d", number);

	if (pwrite(fail_nth, text, length, 0) != length)
		die("cannot write fail-nth");
}

/* Returns how many more allocations were needed to reach it. */
static int disarm(void)
{
	char text[16] = "";

	if (pread(fail_nth, text, sizeof(text) - 1, 0) <= 0)
		die("cannot read fail-nth");
	arm(0);
	return atoi(text);
}

static struct dm_task *task(int type, const char *name)
{
	struct dm_task *made = dm_task_create(type);

	if (!made || !dm_task_set_name(made, name))
		die("libdevmapper has no memory");
	return made;
}

static struct dm_task *reload(const char *name, const char *type, char **table)
{
	struct dm_task *made = task(DM_DEVICE_RELOAD, name);

	if (!dm_task_add_target(made, 0, strtoull(table[0], NULL, 10), type, table[1]))
		die("no table");
	return made;
}

/* Runs a task that must succeed. */
static void must(struct dm_task *made, const char *what)
{
	if (!dm_task_run(made))
		die(what);
	dm_task_destroy(made);
}

/* The task to run with a failing allocation, after the given number of runs. */
static struct dm_task *prepared(const char *what, const char *name, char **words, int times)
{
	struct dm_task *made;
	char text[256];
	char *place;

	if (!strcmp(what, "constructor"))
		return reload(name, "remap", words);
	if (!strcmp(what, "load")) {
		must(reload(name, "error", words), "no error target");
		must(task(DM_DEVICE_RESUME, name), "cannot resume the error target");
		must(reload(name, "remap", words), "the table is refused");
		return task(DM_DEVICE_RESUME, name);
	}
	made = task(DM_DEVICE_TARGET_MSG, name);
	place = strchr(words[0], '%');
	if (place)
		snprintf(text, sizeof(text), "%.*s%d%s", (int)(place - words[0]), words[0],
			 8 * times, place + 1);
	else
		snprintf(text, sizeof(text), "%s", words[0]);
	if (!dm_task_set_sector(made, 0) || !dm_task_set_message(made, text))
		die("no message");
	return made;
}

static void silent(int level, const char *file, int line, int error, const char *format, ...)
{
}

/* Runs the task with that allocation failing, and sets how many more allocations were needed. */
static bool works(const char *what, const char *name, char **words, int times, int number,
		  int *left)
{
	struct dm_task *made = prepared(what, name, words, times);
	bool worked;

	arm(number);
	worked = dm_task_run(made);
	*left = disarm();
	dm_task_destroy(made);
	if (*left && !worked)
		die("fails when no allocation does");
	if (!strcmp(what, "constructor") && worked)
		must(task(DM_DEVICE_CLEAR, name), "cannot clear");
	return worked;
}

int main(int count, char **words)
{
	int number, step, left, done = 0, failed = 0, refused = 0;
	const char *what, *name;
	bool worked;

	if (count < 6)
		die("want FIRST STEP constructor|load|message NAME WORDS...");
	number = atoi(words[1]);
	step = atoi(words[2]);
	what = words[3];
	name = words[4];
	if (number < 1 || step < 1)
		die("FIRST and STEP begin at 1");
	fail_nth = open("/proc/thread-self/fail-nth", O_RDWR);
	if (fail_nth < 0)
		die("this kernel has no fail-nth");
	dm_log_with_errno_init(silent);
	for (;;) {
		worked = works(what, name, words + 5, done++, number, &left);
		if (left == number)
			die("makes no allocation");
		if (left && failed)
			break;
		if (left) {
			number = 1 + (number - 1) % (number - left);
			continue;
		}
		failed++;
		refused += !worked;
		number += step;
	}
	printf("allocations %d\nfailed %d\nrefused %d\ndone %d\n", number - left, failed, refused,
	       done);
	return 0;
}
