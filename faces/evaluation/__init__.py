"""How good a verifier is: scores in, figures out."""
