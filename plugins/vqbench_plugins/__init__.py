"""The built-in methods of vqbench, registered exactly as a third party's would be."""
