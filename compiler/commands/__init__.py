"""One file per command of the command line: arguments in, text out. What a command does is imported when it runs."""
