"""Files that compilers of runtimes make of segments: built apart, kept by content, read from the bundle."""
