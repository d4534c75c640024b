"""`engine: bigquery`: compare two files of the bucket in one query of BigQuery.

`comparing` compares what was sent to Pigment with what a block has, as `tables.equality` does in the function, and
`changes` finds new and changed rows, as `tables.compare` does. Both find the same as these.
"""
