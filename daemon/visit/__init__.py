"""What the visits come to: the looks at each face, the verdict, and the faces of a whole frame."""
