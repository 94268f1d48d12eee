"""Model servers that batch, in simulated time, with the Prometheus and the KEDA that scale them."""
