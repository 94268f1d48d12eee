"""The server under load: how it is reached, what it says about itself and its models."""
