"""An image file as the array that a model of images takes."""
