/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Prototypes of helpers.c, for the compiler and for bindgen.
 *
 * Per-CPU pointers are plain pointers here: bindgen knows no address spaces,
 * and on the Rust side a newtype keeps them from being dereferenced.
 */
#ifndef _DM_REMAP_HELPERS_H
#define _DM_REMAP_HELPERS_H

#include <linux/bio.h>
#include <linux/blk-cgroup.h>
#include <linux/blkdev.h>
#include <linux/freezer.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/nodemask.h>
#include <linux/part_stat.h>
#include <linux/percpu.h>
#include <linux/ratelimit.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include <linux/topology.h>
#include <linux/workqueue.h>

struct srcu_ctr *rust_helper_srcu_down_read_fast(struct srcu_struct *ssp);
void rust_helper_srcu_up_read_fast(struct srcu_struct *ssp, struct srcu_ctr *scp);
int rust_helper_init_srcu_struct_fast_updown(struct srcu_struct *ssp);

u64 *rust_helper_alloc_percpu(size_t size, size_t align);
void rust_helper_free_percpu(u64 *counter);
void rust_helper_this_cpu_add(u64 *counter, u64 value);
u64 *rust_helper_per_cpu_ptr(u64 *counter, int cpu);
unsigned int rust_helper_cpumask_next_possible(int cpu);

void rust_helper_bio_associate_blkg_from_root(struct bio *bio);
struct page *rust_helper_zero_page(void);
void rust_helper_bio_set_dev(struct bio *bio, struct block_device *bdev);
void rust_helper_bio_advance(struct bio *bio, unsigned int bytes);
void rust_helper_bio_clear_flag(struct bio *bio, unsigned int bit);

sector_t rust_helper_bdev_nr_sectors(struct block_device *bdev);
unsigned int rust_helper_bdev_logical_block_size(struct block_device *bdev);
unsigned int rust_helper_bdev_physical_block_size(struct block_device *bdev);
unsigned int rust_helper_bdev_max_discard_sectors(struct block_device *bdev);
bool rust_helper_bdev_is_zoned(struct block_device *bdev);
bool rust_helper_bdev_read_only(struct block_device *bdev);
u64 rust_helper_disk_done(struct block_device *bdev);
unsigned int rust_helper_disk_in_flight(struct block_device *bdev);
struct file *rust_helper_get_file(struct file *file);

void rust_helper_ratelimit_state_init(struct ratelimit_state *rs, int interval, int burst);

unsigned int rust_helper_memalloc_noio_save(void);
void rust_helper_memalloc_noio_restore(unsigned int flags);
void rust_helper_non_block_start(void);
void rust_helper_non_block_end(void);

struct task_struct *
rust_helper_kthread_create_named(int (*main)(void *data), void *data, const char *name);
bool rust_helper_this_module_get(void);
void rust_helper_this_module_put(void);
void rust_helper_kthread_begin(void);
void rust_helper_kthread_sleep_begin(void);
void rust_helper_kthread_sleep_end(void);

struct kmem_cache *
rust_helper_kmem_cache_create(const char *name, unsigned int size, unsigned int align);
void *rust_helper_kmem_cache_alloc_on(struct kmem_cache *cache, gfp_t flags, int node);
int rust_helper_virt_to_nid(const void *address);
int rust_helper_numa_node_id(void);
int rust_helper_next_possible_node(int node);
bool rust_helper_node_has_memory(int node);

struct workqueue_struct *rust_helper_alloc_reclaim_workqueue(const char *name);

#endif
