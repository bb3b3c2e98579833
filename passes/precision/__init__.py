"""A float graph written in other number formats: which operators may, with which scales, and how that stands in ONNX."""
