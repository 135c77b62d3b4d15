"""Independent tasks, done here or on workers."""
