"""One file per verb of the command line: arguments in, words out. What they do is imported when they run."""
