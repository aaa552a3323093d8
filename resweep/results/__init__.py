"""What trainings leave, read: files to metrics, metrics to rows, rows to tables and the best."""
