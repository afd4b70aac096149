"""Models of furniture in libraries of Sweet Home 3D."""
