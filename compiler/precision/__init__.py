"""From calibration data to a quantised model: data, ranges, forms, the plain model, its accuracy."""
