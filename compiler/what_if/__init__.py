"""What a plan would be if a number of the target were another one: single settings, and sweeps over many models and targets."""
