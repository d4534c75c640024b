"""The loads of a pull: all rows (full), a window of them (incremental), or those that are new or changed (changes)."""
