// SPDX-License-Identifier: GPL-2.0
/*
 * The cost of a bio by the clock, and without system calls, which cost
 * User-Mode Linux more than a bio does.
 *
 *   echo DEVICE read|write BYTES FIRST STRIDE COUNT seq|random DEPTH CPUS >run
 *   cat run
 *
 * in /sys/module/bio_cost/parameters: bios of BYTES at FIRST + n * STRIDE for n
 * below COUNT, in sequence, or n at random; DEPTH at a time, below a plug if
 * DEPTH is more than one; from each of CPUS CPUs. The answer is the picoseconds
 * of a CPU for a bio: the lower quartile of its batches, which other load
 * disturbs least, as the mean of the CPUs.
 */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/cleanup.h>
#include <linux/file.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/sort.h>
#include <linux/workqueue.h>

#define BATCHES 31
/* The number of bios in a batch; each DEPTH divides it. */
#define BATCH 1024
#define MOST_DEPTH 32
#define MOST_BYTES SZ_1M

struct wish {
	char device[64];
	enum req_op op;
	u64 bytes, first, stride, count;
	bool is_random;
	unsigned int depth, cpus;
};

/* The work of one CPU. */
struct job {
	struct work_struct work;
	struct run *run;
	struct page *data;
	struct bio bios[MOST_DEPTH];
	struct bio_vec vectors[MOST_DEPTH];
	atomic_t in_flight;
	u64 seed, place;
	u64 costs[BATCHES];
	blk_status_t status;
};

struct run {
	struct wish wish;
	struct block_device *disk;
	atomic_t ready;
	struct job jobs[];
};

static u64 answer;

static void one_ended(struct bio *bio)
{
	struct job *job = bio->bi_private;

	if (bio->bi_status)
		job->status = bio->bi_status;
	atomic_dec_return_release(&job->in_flight);
}

static u64 next_byte(struct job *job)
{
	const struct wish *wish = &job->run->wish;
	u64 n = job->place;

	if (wish->is_random) {
		job->seed ^= job->seed << 13;
		job->seed ^= job->seed >> 7;
		job->seed ^= job->seed << 17;
		/* A division would cost as much as a cache miss. */
		n = mul_u64_u64_shr(job->seed, wish->count, 64);
	} else if (++job->place == wish->count) {
		job->place = 0;
	}
	return wish->first + n * wish->stride;
}

static void submit_some(struct job *job)
{
	const struct wish *wish = &job->run->wish;
	unsigned int at;

	for (at = 0; at < wish->depth; at++) {
		struct bio *bio = &job->bios[at];

		bio_reset(bio, job->run->disk, wish->op);
		bio->bi_private = job;
		bio->bi_end_io = one_ended;
		bio->bi_iter.bi_sector = next_byte(job) >> SECTOR_SHIFT;
		__bio_add_page(bio, job->data, wish->bytes, 0);
		submit_bio(bio);
	}
}

/* null_blk completes most bios before it returns, so the wait needs no sleep. */
static void do_some(struct job *job)
{
	struct blk_plug plug;

	atomic_set(&job->in_flight, job->run->wish.depth);
	if (job->run->wish.depth == 1) {
		submit_some(job);
	} else {
		blk_start_plug(&plug);
		submit_some(job);
		blk_finish_plug(&plug);
	}
	while (atomic_read_acquire(&job->in_flight))
		cond_resched();
}

/* Returns the picoseconds for a bio. */
static u64 batch(struct job *job)
{
	u64 begun = ktime_get_ns();
	unsigned int done;

	for (done = 0; done < BATCH; done += job->run->wish.depth)
		do_some(job);
	return div_u64((ktime_get_ns() - begun) * 1000, BATCH);
}

static int ascending(const void *a, const void *b)
{
	u64 left = *(const u64 *)a, right = *(const u64 *)b;

	return (left > right) - (left < right);
}

/* The first batch warms up; then all CPUs start together. */
static void work(struct work_struct *work)
{
	struct job *job = container_of(work, struct job, work);
	struct run *run = job->run;
	unsigned int at;

	batch(job);
	atomic_inc(&run->ready);
	while (atomic_read(&run->ready) < run->wish.cpus)
		cpu_relax();
	for (at = 0; at < BATCHES; at++) {
		job->costs[at] = batch(job);
		cond_resched();
	}
	sort(job->costs, BATCHES, sizeof(job->costs[0]), ascending, NULL);
}

static int prepare(struct run *run, struct job *job)
{
	unsigned int at;

	job->data = alloc_pages(GFP_KERNEL | __GFP_ZERO | __GFP_COMP, get_order(run->wish.bytes));
	if (!job->data)
		return -ENOMEM;
	job->run = run;
	job->seed = 88172645463325252ULL + (job - run->jobs);
	for (at = 0; at < MOST_DEPTH; at++)
		bio_init(&job->bios[at], run->disk, &job->vectors[at], 1, run->wish.op);
	INIT_WORK(&job->work, work);
	return 0;
}

static void give_up(struct job *job)
{
	unsigned int at;

	if (!job->data)
		return;
	for (at = 0; at < MOST_DEPTH; at++)
		bio_uninit(&job->bios[at]);
	__free_pages(job->data, get_order(job->run->wish.bytes));
}

static int measure(struct run *run)
{
	unsigned int cpus = run->wish.cpus, cpu;
	u64 sum = 0;

	for (cpu = 0; cpu < cpus; cpu++) {
		int error = prepare(run, &run->jobs[cpu]);

		if (error)
			return error;
	}
	for (cpu = 0; cpu < cpus; cpu++)
		schedule_work_on(cpu, &run->jobs[cpu].work);
	for (cpu = 0; cpu < cpus; cpu++)
		flush_work(&run->jobs[cpu].work);
	for (cpu = 0; cpu < cpus; cpu++) {
		if (run->jobs[cpu].status)
			return blk_status_to_errno(run->jobs[cpu].status);
		sum += run->jobs[cpu].costs[BATCHES / 4];
	}
	answer = div_u64(sum, cpus);
	return 0;
}

static int parse(const char *words, struct wish *wish)
{
	char op[8], order[8];

	if (sscanf(words, "%63s %7s %llu %llu %llu %llu %7s %u %u", wish->device, op,
		   &wish->bytes, &wish->first, &wish->stride, &wish->count, order,
		   &wish->depth, &wish->cpus) != 9)
		return -EINVAL;
	wish->op = strcmp(op, "write") ? REQ_OP_READ : REQ_OP_WRITE;
	wish->is_random = !strcmp(order, "random");
	if (!wish->bytes || wish->bytes > MOST_BYTES || !wish->count || !wish->depth ||
	    wish->depth > MOST_DEPTH || BATCH % wish->depth || !wish->cpus ||
	    wish->cpus > num_online_cpus())
		return -EINVAL;
	return 0;
}

static int run_set(const char *words, const struct kernel_param *param)
{
	struct file *file __free(fput) = NULL;
	struct run *run __free(kvfree) = NULL;
	struct wish wish;
	unsigned int cpu;
	int error = parse(words, &wish);

	if (error)
		return error;
	file = bdev_file_open_by_path(wish.device, BLK_OPEN_READ | BLK_OPEN_WRITE, NULL, NULL);
	if (IS_ERR(file))
		return PTR_ERR(file);
	run = kvzalloc(struct_size(run, jobs, wish.cpus), GFP_KERNEL);
	if (!run)
		return -ENOMEM;
	run->wish = wish;
	run->disk = file_bdev(file);
	error = measure(run);
	for (cpu = 0; cpu < wish.cpus; cpu++)
		give_up(&run->jobs[cpu]);
	return error;
}

static int run_get(char *buffer, const struct kernel_param *param)
{
	return sysfs_emit(buffer, "%llu\n", answer);
}

static const struct kernel_param_ops run_ops = { .set = run_set, .get = run_get };
module_param_cb(run, &run_ops, NULL, 0600);
MODULE_PARM_DESC(run, "what is measured, and what it cost");
MODULE_DESCRIPTION("What a bio costs");
MODULE_LICENSE("GPL");
