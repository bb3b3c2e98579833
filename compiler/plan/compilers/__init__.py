"""What runtimes' own compilers say of segments, and placement by it."""
