"""`engine: bigquery`: compare what was sent to Pigment with what a block has, in one query of BigQuery over both files.

The verdict is that of `tables.equality`, which does the same in the function.
"""
