"""Reports of a run: for the terminal, for programs, for CI servers and for pull requests."""
