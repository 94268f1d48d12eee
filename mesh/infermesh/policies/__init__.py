"""What is done with requests on their way: a schema for every policy."""
