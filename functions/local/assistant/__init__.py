"""`bridge mcp`: an assistant asks about the bridge over the Model Context Protocol.

The tools only read. They give counts, names, reasons and next steps, never a value of a row or of a secret.
"""
