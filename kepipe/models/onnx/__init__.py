"""Models as ONNX graphs, which onnxruntime and many others run without kepipe and without torch."""
