"""What turns a command line into a task."""
