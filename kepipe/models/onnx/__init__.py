"""Export of models as ONNX graphs, which run in onnxruntime and other runtimes without kepipe and torch."""
