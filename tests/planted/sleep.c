// SPDX-License-Identifier: GPL-2.0
#include <linux/kernel.h>
#include <linux/sched.h>

void planted_sleep(void);

void planted_sleep(void)
{
	non_block_start();
	might_sleep();
	non_block_end();
}
