"""What is known of the whole base at as_of, versioned with the snapshot."""
