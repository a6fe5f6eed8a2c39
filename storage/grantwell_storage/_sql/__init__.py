"""The SQL store: one module for each subject, each function the inside of one transaction."""
