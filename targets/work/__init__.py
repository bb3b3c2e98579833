"""How much there is to compute and to move, whatever the machine."""
