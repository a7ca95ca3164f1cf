"""Makes weights of verified files of others; nothing here is imported before something is fetched or read."""
