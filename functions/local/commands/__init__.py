"""The commands of `bridge`, by subject. Imports inside functions keep the start of every other command short."""
