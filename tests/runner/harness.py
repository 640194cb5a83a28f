# SPDX-License-Identifier: GPL-2.0
"""Tests of the harness: failures that it must detect, in both kinds of guest."""

from runner.machine import Machine, Needs


class Failing(Machine):
    """A script whose failure must be detected."""

    # pylint: disable-next=too-many-arguments
    def __init__(self, name, script, wanted, needs=Needs(), *, native):
        super().__init__(f"harness.{'uml' if native else 'qemu'}.{name}", script, needs, native)
        self.wanted = wanted

    def passed(self, status, kernel_bugs):
        return bool(self.wanted(status, kernel_bugs))


def planted(native):
    """Each checker that the tests rely on must report a bug of tests/planted."""

    def seen(name, bug, wanted, then="wait $!", needs=Needs()):
        script = f"insmod $MODULES/planted_bugs.ko bug={bug} &\n{then}\n"
        return Failing(f"sees_{name}", script, wanted, needs, native=native)

    def reports(*words):
        return lambda _, kernel_bugs: any(word in bug for bug in kernel_bugs for word in words)

    sleeps = "sleeping function called from invalid context"
    hang = "echo 1 >/proc/sys/kernel/hung_task_timeout_secs\n"
    hang += "until dmesg | grep -q 'INFO: task'; do sleep 1; done"
    # kmemleak reports only objects of some seconds of age.
    leak = "wait $!; while guest-tests no-leak; do sleep 1; done; exit 7"
    waits = Needs(waits=True)
    leaks = Needs(waits=True, leaks=True)
    return [
        seen("read_of_freed_memory", 1, reports("KASAN: slab-use-after-free")),
        seen("overflow", 2, reports("kernel BUG at", "BUG: failure at")),
        seen("locks_in_two_orders", 3, reports("possible circular locking")),
        seen("allocation_that_sleeps_with_a_spinlock", 4, reports(sleeps)),
        seen("sleep_where_none_may", 8, reports(sleeps)),
        seen("shift_too_far", 5, reports("UBSAN: shift-out-of-bounds")),
        seen("leak", 6, lambda status, _: status == 7, leak, leaks),
        seen("hang", 7, reports("INFO: task"), hang, waits),
    ]


def of_the_runner(native):
    """The runner must detect a guest that fails, and a guest that a test has changed."""

    def failing(name, script, wanted, needs=Needs()):
        return Failing(name, script, wanted, needs, native=native)

    def is_seven(status, kernel_bugs):
        return status == 7 and not kernel_bugs

    trace = "guest-tests begin\nguest-tests as-new || exit\n%s\n"
    trace += "if guest-tests as-new; then exit 1; fi\nexit 7\n"
    traces = {
        "file": ": >/mnt/left",
        "module": "insmod $MODULES/brd.ko; exec 9</dev/ram0",
        "spent": ": >/run/spent",
    }
    hangs = Needs(seconds=6, waits=True)
    report = "echo 'BUG: KASAN: planted' >/dev/kmsg\n"
    return [
        *(failing(f"{name}_is_seen", trace % left, is_seven) for name, left in traces.items()),
        failing("exit_status_is_passed_on", "exit 7\n", is_seven),
        failing(
            "panic_is_seen", "echo c >/proc/sysrq-trigger\nsleep 60\n", lambda s, a: a and s is None
        ),
        failing("report_is_seen", report, lambda s, a: s == 0 and a),
        failing("time_out_is_seen", "sleep 100\n", lambda s, a: s is None, hangs),
    ]


def tests(native):
    """All tests of the harness."""
    return of_the_runner(native) + planted(native)
