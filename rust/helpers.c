// SPDX-License-Identifier: GPL-2.0
/*
 * What Rust cannot call because it is inline or a macro in C. Most functions
 * do nothing but call what they are named after.
 */

#include "helpers.h"

/* Without regard to attributes in which bitcode of C and of Rust differ. */
#ifdef CONFIG_RUST_INLINE_HELPERS
#define __rust_helper __always_inline
#else
#define __rust_helper
#endif

__rust_helper struct srcu_ctr *
rust_helper_srcu_down_read_fast(struct srcu_struct *ssp)
{
	return (struct srcu_ctr *)(uintptr_t)srcu_down_read_fast(ssp);
}

__rust_helper void
rust_helper_srcu_up_read_fast(struct srcu_struct *ssp, struct srcu_ctr *scp)
{
	srcu_up_read_fast(ssp, (struct srcu_ctr __percpu *)(uintptr_t)scp);
}

__rust_helper int
rust_helper_init_srcu_struct_fast_updown(struct srcu_struct *ssp)
{
	return init_srcu_struct_fast_updown(ssp);
}

__rust_helper void rust_helper_this_cpu_add(u64 *counter, u64 value)
{
	this_cpu_add(*(u64 __percpu *)(uintptr_t)counter, value);
}

__rust_helper u64 *rust_helper_per_cpu_ptr(u64 *counter, int cpu)
{
	return per_cpu_ptr((u64 __percpu *)(uintptr_t)counter, cpu);
}

__rust_helper void rust_helper_free_percpu(u64 *counter)
{
	free_percpu((void __percpu *)(uintptr_t)counter);
}

__rust_helper u64 *rust_helper_alloc_percpu(size_t size, size_t align)
{
	return (u64 *)(uintptr_t)__alloc_percpu(size, align);
}

__rust_helper unsigned int rust_helper_cpumask_next_possible(int cpu)
{
	return cpumask_next(cpu, cpu_possible_mask);
}

__rust_helper void rust_helper_bio_associate_blkg_from_root(struct bio *bio)
{
	bio_associate_blkg_from_css(bio, blkcg_root_css);
}

__rust_helper struct page *rust_helper_zero_page(void)
{
	return ZERO_PAGE(0);
}

__rust_helper void
rust_helper_bio_set_dev(struct bio *bio, struct block_device *bdev)
{
	bio_set_dev(bio, bdev);
}

__rust_helper void rust_helper_bio_advance(struct bio *bio, unsigned int bytes)
{
	bio_advance(bio, bytes);
}

__rust_helper void rust_helper_bio_clear_flag(struct bio *bio, unsigned int bit)
{
	bio_clear_flag(bio, bit);
}

__rust_helper sector_t rust_helper_bdev_nr_sectors(struct block_device *bdev)
{
	return bdev_nr_sectors(bdev);
}

__rust_helper unsigned int
rust_helper_bdev_logical_block_size(struct block_device *bdev)
{
	return bdev_logical_block_size(bdev);
}

__rust_helper unsigned int
rust_helper_bdev_physical_block_size(struct block_device *bdev)
{
	return bdev_physical_block_size(bdev);
}

__rust_helper unsigned int
rust_helper_bdev_max_discard_sectors(struct block_device *bdev)
{
	return bdev_max_discard_sectors(bdev);
}

__rust_helper bool rust_helper_bdev_is_zoned(struct block_device *bdev)
{
	return bdev_is_zoned(bdev);
}

__rust_helper bool rust_helper_bdev_read_only(struct block_device *bdev)
{
	return bdev_read_only(bdev);
}

/* Sectors and flushes that the disk of @bdev is done with, for all who use it. */
__rust_helper u64 rust_helper_disk_done(struct block_device *bdev)
{
	struct block_device *disk = bdev_whole(bdev);

	return part_stat_read_accum(disk, sectors) + part_stat_read(disk, ios[STAT_FLUSH]);
}

/* Requests that wait for it, or that it is at. */
__rust_helper unsigned int rust_helper_disk_in_flight(struct block_device *bdev)
{
	return bdev_count_inflight(bdev_whole(bdev));
}

__rust_helper struct file *rust_helper_get_file(struct file *file)
{
	return get_file(file);
}

__rust_helper void
rust_helper_ratelimit_state_init(struct ratelimit_state *rs, int interval, int burst)
{
	ratelimit_state_init(rs, interval, burst);
}

__rust_helper unsigned int rust_helper_memalloc_noio_save(void)
{
	return memalloc_noio_save();
}

__rust_helper void rust_helper_memalloc_noio_restore(unsigned int flags)
{
	memalloc_noio_restore(flags);
}

__rust_helper void rust_helper_non_block_start(void)
{
	/* A lock that spins sleeps there, which is reported too. */
	if (!IS_ENABLED(CONFIG_PREEMPT_RT))
		non_block_start();
}

__rust_helper void rust_helper_non_block_end(void)
{
	if (!IS_ENABLED(CONFIG_PREEMPT_RT))
		non_block_end();
}

__rust_helper struct workqueue_struct *
rust_helper_alloc_reclaim_workqueue(const char *name)
{
	return alloc_workqueue("%s", WQ_MEM_RECLAIM | WQ_PERCPU, 0, name);
}

__rust_helper struct kmem_cache *
rust_helper_kmem_cache_create(const char *name, unsigned int size, unsigned int align)
{
	return kmem_cache_create(name, size, align, SLAB_NO_MERGE, NULL);
}

__rust_helper void *rust_helper_kmem_cache_alloc_on(struct kmem_cache *cache, gfp_t flags, int node)
{
	return kmem_cache_alloc_node(cache, flags | __GFP_NOWARN, node);
}

__rust_helper int rust_helper_virt_to_nid(const void *address)
{
	return page_to_nid(virt_to_page(address));
}

__rust_helper int rust_helper_numa_node_id(void)
{
	return numa_node_id();
}

__rust_helper int rust_helper_next_possible_node(int node)
{
	int next = next_node(node, node_possible_map);

	return next < MAX_NUMNODES ? next : -1;
}

__rust_helper bool rust_helper_node_has_memory(int node)
{
	return node_state(node, N_MEMORY);
}

__rust_helper struct task_struct *
rust_helper_kthread_create_named(int (*main)(void *data), void *data, const char *name)
{
	return kthread_create(main, data, "%s", name);
}

__rust_helper bool rust_helper_this_module_get(void)
{
	return try_module_get(THIS_MODULE);
}

__rust_helper void rust_helper_this_module_put(void)
{
	module_put(THIS_MODULE);
}

__rust_helper void rust_helper_kthread_begin(void)
{
	set_freezable();
}

__rust_helper void rust_helper_kthread_sleep_begin(void)
{
	set_current_state(TASK_IDLE | TASK_FREEZABLE);
}

__rust_helper void rust_helper_kthread_sleep_end(void)
{
	__set_current_state(TASK_RUNNING);
	try_to_freeze();
}
