"""State that your machines share with no server."""
