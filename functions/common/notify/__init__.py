"""Messages to people, when the state of a job changes.

    changes     which changes to tell of, once each; pure functions
    messages    a message in the format of Slack, Teams, Google Chat, or JSON

The effects are in `common.flows.notify`.
"""
