"""Built-in datasets: photos that come with scikit-image, and folders of the user's own images."""
