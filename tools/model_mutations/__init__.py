"""Structural mutations of ONNX models, one a run: what an exporter's bug, a half-written file or an attacker would leave."""
