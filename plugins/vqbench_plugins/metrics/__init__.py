"""Built-in metrics of originals and reconstructions."""
