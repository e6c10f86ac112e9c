"""What it costs: figures side by side with what people would write or use instead. ``python -m benchmarks --quick``."""
