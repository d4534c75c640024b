"""Pigment to Cloud Storage: what is asked for, how it is checked and published, and what the object is made of."""
