"""The badge reader: what a card says becomes a signed claim."""
