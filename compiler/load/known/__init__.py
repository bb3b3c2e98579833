"""What is known of a model before it runs: values of small tensors, and the shapes that follow from them."""
