/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The on-disk metadata of the device-mapper target "remap".
 *
 * Documentation/format.rst describes their meaning, and how they are read and
 * written. All numbers are little-endian.
 */
#ifndef _UAPI_LINUX_DM_REMAP_H
#define _UAPI_LINUX_DM_REMAP_H

#include <linux/types.h>

#define DM_REMAP_MAGIC		"dm-remap"
#define DM_REMAP_VERSION	1

/* The size of a metadata block, and the granularity of region sizes, in bytes. */
#define DM_REMAP_BLOCK_SIZE	4096
#define DM_REMAP_REGION_GRAIN	(256 * DM_REMAP_BLOCK_SIZE)

/* The role of a device in its array: main, or the first spare. */
#define DM_REMAP_ROLE_MAIN	0
#define DM_REMAP_ROLE_SPARE	1

enum dm_remap_block_kind {
	DM_REMAP_BLOCK_CHECKPOINT	= 1,
	DM_REMAP_BLOCK_RECORDS		= 2,
	DM_REMAP_BLOCK_LOG		= 3,
	DM_REMAP_BLOCK_UNFINISHED	= 4,	/* replaces a head */
};

/* In ro_compat: commits carry sessions, which a writer must support. */
#define DM_REMAP_RO_COMPAT_SESSIONS	(1 << 1)
/* In incompat: the data are on another disk, and those of the array are old. */
#define DM_REMAP_INCOMPAT_MOVED	(1 << 0)

/* The start of every block; 96 bytes. */
struct dm_remap_header {
	__u8	magic[8];
	__le32	crc32c;		/* of bytes 12 to 4095 of the block */
	__le16	version;
	__le16	kind;		/* enum dm_remap_block_kind */
	__u8	array[16];	/* UUID */
	__u8	device[16];	/* UUID */
	__le32	compat;		/* features; an unknown bit is harmless */
	__le32	ro_compat;	/* an unknown bit forbids writing */
	__le32	incompat;	/* an unknown bit forbids reading */
	__le16	role;		/* DM_REMAP_ROLE_* */
	__le16	region;		/* number of the region on the device */
	__le64	number;		/* number of the block in the region */
	__le64	generation;
	__le32	count;		/* records in the block, DM_REMAP_ALONE, or 0 */
	__u8	reserved[4];
	__le64	session;	/* of the commit: see format.rst */
};

/* In a DM_REMAP_BLOCK_UNFINISHED: no head beside it is valid. */
#define DM_REMAP_ALONE		1

/* Saved counters, by their index in dm_remap_standing.counters. */
enum dm_remap_counter {
	DM_REMAP_COUNT_READ_ERRORS	= 0,
	DM_REMAP_COUNT_WRITE_ERRORS	= 1,
	DM_REMAP_COUNT_TRANSIENT	= 2,
	DM_REMAP_COUNT_LOST_READS	= 3,
	DM_REMAP_COUNT_RELOCATED	= 4,
	DM_REMAP_COUNT_REMAPPED		= 5,
	DM_REMAP_COUNT_UNREMAPPED	= 6,
	DM_REMAP_COUNT_RETIRED		= 7,
	DM_REMAP_COUNT_NO_SPARE		= 8,
	DM_REMAP_COUNT_SCAN_FOUND	= 9,
	DM_REMAP_COUNT_SCAN_WEAK	= 10,
	DM_REMAP_COUNT_SCAN_MOVED	= 11,
	DM_REMAP_COUNT_SCAN_PASSES	= 12,
};

#define DM_REMAP_CLEAN		1	/* clean shutdown */
#define DM_REMAP_MAIN_SUM	2	/* main_sum is valid; with DM_REMAP_CLEAN */

/* The state that every commit carries completely; 160 bytes. */
struct dm_remap_standing {
	__le64	flags;		/* DM_REMAP_CLEAN, DM_REMAP_MAIN_SUM */
	__le64	cursor;		/* the unit at which the next scan resumes */
	__le64	counters[16];	/* enum dm_remap_counter */
	__le64	parent;		/* in a log block: session of the previous commit */
	__le64	main_sum;	/* checksum of main's superblocks, see format.rst */
};

#define DM_REMAP_RECORD_RELOCATED	1
#define DM_REMAP_RECORD_ON_MAIN		2
#define DM_REMAP_RECORD_RETIRED		3
#define DM_REMAP_RECORD_KIND_SHIFT	56

/* The state of a unit; 24 bytes. */
struct dm_remap_record {
	__le64	unit;		/* kind << 56, and the number of a unit of main */
	__le64	spare;		/* the number of a unit of the spare */
	__le64	valid;		/* a bit for each block that holds data */
};

#define DM_REMAP_RECORDS_PER_BLOCK	166
#define DM_REMAP_RECORDS_PER_COMMIT	160

/* The head of a checkpoint: the first block of a slot. */
struct dm_remap_checkpoint {
	struct dm_remap_header		header;
	struct dm_remap_standing	standing;
	__le32	unit_sectors;
	__le32	block_sectors;
	__le64	main_sectors;	/* the length of the target */
	__le64	spare_sectors;	/* the length of the spare area */
	__le64	relocated;	/* records of relocated units, which come first */
	__le64	retired;	/* records of retired spare units */
	__le64	record_blocks;	/* blocks of records */
	__le64	region_blocks;
	__le64	log_blocks;
	__u8	devices[8][16];	/* UUIDs by role; zero without a device */
};

/* The blocks of records behind the head. */
struct dm_remap_records {
	struct dm_remap_header	header;
	struct dm_remap_record	records[DM_REMAP_RECORDS_PER_BLOCK];
};

/* A commit. */
struct dm_remap_log {
	struct dm_remap_header		header;
	struct dm_remap_standing	standing;
	struct dm_remap_record		records[DM_REMAP_RECORDS_PER_COMMIT];
};

#endif /* _UAPI_LINUX_DM_REMAP_H */
