"""What was found too late for a closed linkage period, recorded in the open one."""
