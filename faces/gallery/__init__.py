"""Who is enrolled: templates, sealed at rest, and the search among them."""
