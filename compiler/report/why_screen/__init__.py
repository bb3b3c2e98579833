"""The screen of `autoglmc why`."""
