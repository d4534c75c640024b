"""How much of its source a pull takes in one flight: all rows, a window of them, or those that are new or changed."""
