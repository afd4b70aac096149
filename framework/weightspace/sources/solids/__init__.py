"""Solids as objects: shapes by formula, meshes from files, and their signed distances."""
