"""Handwritten digits: trained, exported to ONNX, served by infermesh, checked against scikit-learn."""
