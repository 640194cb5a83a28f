// SPDX-License-Identifier: GPL-2.0
/*
 * A builtin command for bash that asks device-mapper without a process of its
 * own: in an emulated machine that costs more than most of what is asked.
 * dmsetup's library is not used either, since each library that a shell has
 * makes its forks slower.
 *
 *   dm message NAME SECTOR WORD...
 *   dm status NAME | dm table NAME
 *   dm events NAME
 *   dm create NAME LINE... | dm load NAME LINE...
 *   dm suspend NAME [noflush] | dm resume NAME
 *   dm remove NAME | dm remove_all
 *
 * Prints what dmsetup prints; fails when the kernel refuses.
 */
#include "command.h"

#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* What a request sends, and what it gets. */
static union {
	struct dm_ioctl head;
	char bytes[1 << 18];
} buffer;

#define DATA (buffer.bytes + sizeof(buffer.head))
#define ROOM (sizeof(buffer) - sizeof(buffer.head))
/* What a request has room for, unless it is found to need more: the kernel copies all of it. */
#define SMALL 16384

static void begin(const char *name)
{
	memset(&buffer.head, 0, sizeof(buffer.head));
	buffer.head.version[0] = 4;
	buffer.head.data_size = SMALL;
	buffer.head.data_start = sizeof(buffer.head);
	snprintf(buffer.head.name, sizeof(buffer.head.name), "%s", name);
}

/* So many bytes of data are sent. */
static void sends(size_t bytes)
{
	if (sizeof(buffer.head) + bytes > SMALL)
		buffer.head.data_size = sizeof(buffer);
}

/* As dmsetup does, comes again with more room until the answer fits. */
static int request(unsigned long what)
{
	int control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC), done;
	struct dm_ioctl asked = buffer.head;

	if (control < 0) {
		builtin_error("no device-mapper: %s", strerror(errno));
		return 0;
	}
	done = ioctl(control, what, &buffer) == 0;
	if (done && buffer.head.flags & DM_BUFFER_FULL_FLAG) {
		buffer.head = asked;
		buffer.head.data_size = sizeof(buffer);
		done = ioctl(control, what, &buffer) == 0;
	}
	if (!done)
		builtin_error("%s: %s", asked.name, strerror(errno));
	close(control);
	return done;
}

static int message(char **words)
{
	struct dm_target_msg *sent = (struct dm_target_msg *)DATA;
	size_t room = ROOM - sizeof(*sent), used = 0;
	intmax_t sector = words[0] ? number(words[0]) : -1;

	if (sector < 0)
		return 0;
	sent->sector = sector;
	sent->message[0] = '\0';
	while (*++words && used < room)
		used += snprintf(sent->message + used, room - used, used ? " %s" : "%s", *words);
	if (used >= room)
		return 0;
	sends(sizeof(*sent) + used + 1);
	if (!request(DM_TARGET_MSG))
		return 0;
	if (buffer.head.flags & DM_DATA_OUT_FLAG)
		fputs(buffer.bytes + buffer.head.data_start, stdout);
	return 1;
}

/* The lines of the table, or what the targets say of themselves. */
static int lines(unsigned int flags)
{
	unsigned int left;
	char *at;

	buffer.head.flags = flags;
	if (!request(DM_TABLE_STATUS))
		return 0;
	at = buffer.bytes + buffer.head.data_start;
	for (left = buffer.head.target_count; left; left--) {
		const struct dm_target_spec *line = (struct dm_target_spec *)at;

		printf("%llu %llu %s %s\n", line->sector_start, line->length, line->target_type,
		       (const char *)(line + 1));
		at = buffer.bytes + buffer.head.data_start + line->next;
	}
	return 1;
}

/* Puts one line of a table at a place of the data; returns the place behind it, or 0. */
static size_t put_line(size_t at, const char *text)
{
	struct dm_target_spec *line = (struct dm_target_spec *)(DATA + at);
	unsigned long long start, length;
	size_t size;
	char type[sizeof(line->target_type)];
	int end = 0;

	if (sscanf(text, "%llu %llu %15s %n", &start, &length, type, &end) != 3)
		return 0;
	size = (sizeof(*line) + strlen(text + end) + 8) & ~7UL;
	if (at + size > ROOM)
		return 0;
	memset(line, 0, sizeof(*line));
	line->sector_start = start;
	line->length = length;
	line->next = size;
	memcpy(line->target_type, type, sizeof(type));
	memcpy(line + 1, text + end, strlen(text + end) + 1);
	return at + size;
}

static int load(const char *name, char **words)
{
	size_t at = 0;
	unsigned int count = 0;

	begin(name);
	for (; *words; words++, count++) {
		at = put_line(at, *words);
		if (!at)
			return 0;
	}
	buffer.head.target_count = count;
	sends(at);
	return request(DM_TABLE_LOAD);
}

static void node(const char *name, char *path, size_t room)
{
	snprintf(path, room, "/dev/mapper/%s", name);
	unlink(path);
}

static int create(const char *name, char **words)
{
	char path[256], target[32];

	if (!request(DM_DEV_CREATE))
		return 0;
	snprintf(target, sizeof(target), "../dm-%u", minor(buffer.head.dev));
	if (load(name, words)) {
		begin(name);
		if (request(DM_DEV_SUSPEND)) {
			node(name, path, sizeof(path));
			return symlink(target, path) == 0;
		}
	}
	begin(name);
	request(DM_DEV_REMOVE);
	return 0;
}

static int removed(const char *name)
{
	char path[256];

	if (!request(DM_DEV_REMOVE))
		return 0;
	node(name, path, sizeof(path));
	return 1;
}

static int suspend(char **words)
{
	buffer.head.flags = DM_SUSPEND_FLAG;
	if (words[0]) {
		if (strcmp(words[0], "noflush"))
			return 0;
		buffer.head.flags |= DM_NOFLUSH_FLAG;
	}
	return request(DM_DEV_SUSPEND);
}

static int events(void)
{
	if (!request(DM_DEV_STATUS))
		return 0;
	printf("%u\n", buffer.head.event_nr);
	return 1;
}

static int ask(const char *what, const char *name, char **words)
{
	begin(name);
	if (!strcmp(what, "message"))
		return message(words);
	if (!strcmp(what, "status"))
		return lines(0);
	if (!strcmp(what, "table"))
		return lines(DM_STATUS_TABLE_FLAG);
	if (!strcmp(what, "events"))
		return events();
	if (!strcmp(what, "create"))
		return create(name, words);
	if (!strcmp(what, "load"))
		return load(name, words);
	if (!strcmp(what, "suspend"))
		return suspend(words);
	if (!strcmp(what, "resume"))
		return request(DM_DEV_SUSPEND);
	if (!strcmp(what, "remove"))
		return removed(name);
	builtin_error("no request '%s'", what);
	return 0;
}

static int dm(char **words)
{
	int done;

	if (words[1]) {
		done = ask(words[0], words[1], words + 2);
	} else if (!strcmp(words[0], "remove_all")) {
		begin("");
		done = request(DM_REMOVE_ALL);
	} else {
		return EX_USAGE;
	}
	fflush(stdout);
	return status_of(done);
}

static int dm_builtin(WORD_LIST *list)
{
	return command(list, 1, ANY_COUNT, dm);
}

static char *dm_doc[] = { "Asks device-mapper.", NULL };

struct builtin dm_struct = {
	"dm", dm_builtin, BUILTIN_ENABLED, dm_doc, "dm REQUEST [NAME [WORD...]]", 0,
};
