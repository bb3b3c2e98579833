"""Models beside targets: what each would take."""
