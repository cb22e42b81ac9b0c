"""What is said on the wire: topics, messages, signatures."""
