#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Runs when dracut has waited long for devices.

remapctl activate --without-spare
