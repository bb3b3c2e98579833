"""Dtypes and shapes of the operators that onnxruntime adds to the standard (domain com.microsoft)."""
