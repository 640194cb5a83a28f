// SPDX-License-Identifier: GPL-2.0
#include <linux/export.h>

int planted_shift(int bits);

int planted_shift(int bits)
{
	return 1 << bits;
}
