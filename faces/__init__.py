"""The field itself: find, align, encode, compare, and the gallery of templates."""
