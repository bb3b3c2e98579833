"""The functions of `import autoglmc`: each takes a model as a path or in memory, and returns a result to look at."""
