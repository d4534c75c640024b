"""The status page: for people who ask whether the numbers in Pigment are today's.

    record     what the bucket stores: the last runs of each job; pure functions add runs to it
    standing   how a job stands at a moment, in the words of the page
    markup     HTML, and a chart of the last runs
    page       the page of all jobs, and the page of one job

The effects are in `common.flows.status`.
"""
