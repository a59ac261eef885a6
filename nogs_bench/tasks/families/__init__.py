"""One small file for each family of tasks; each registers its own."""
