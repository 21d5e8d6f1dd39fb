"""The command line: one file per command; each parses, calls, renders and ends with an exit code."""
