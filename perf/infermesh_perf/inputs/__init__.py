"""What is sent: from options, random numbers or files to the load generator's payloads."""
