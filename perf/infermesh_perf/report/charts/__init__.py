"""One chart to a file: parts of a result in, Vega-Lite out, or None where there is nothing to see."""
