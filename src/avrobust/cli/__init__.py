"""What turns a command line into a task."""

from avrobust.cli.interrupts import watch_for_ctrl_c

watch_for_ctrl_c()
