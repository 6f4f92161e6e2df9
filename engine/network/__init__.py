"""Models as graphs of operations, the recording of their activations, and the registry of models."""
