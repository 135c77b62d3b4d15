"""Independent tasks, on one process or several."""
