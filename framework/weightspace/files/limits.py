"""Size limits of files that are read, checked before memory is allocated. Published data stay far below them."""

from __future__ import annotations

#: Pixels of a picture: as Pillow's own limit.
PIXELS = 89_478_485
#: Bytes of a file of a mesh; its vertices, and its faces after polygons are divided into triangles.
MESH_BYTES, VERTICES, FACES = 100_000_000, 1_500_000, 500_000
#: Corners of one face, and of all, that are divided by clipping ears: the work grows with the square of the first.
CONCAVE_FACE, CONCAVE_CORNERS = 2_500, 50_000
#: Bytes of one idx file, unpacked.
IDX_BYTES = 4_000_000_000
#: No byte of a gzipped file unpacks to more.
GZIP_RATIO = 1_040
#: Bytes of a batch of CIFAR, and of an archive of it, unpacked: a release has 186 MB.
BATCH_BYTES, ARCHIVE_BYTES = 200_000_000, 250_000_000
#: Steps of a pickle: the largest batch of CIFAR-100 has 300,000.
PICKLE_STEPS = 2_000_000
#: An .npz archive may unpack to so many bytes, or to so many times its size.
NPZ_BYTES, NPZ_RATIO = 500_000_000, 50
#: Bytes of a file that is downloaded: the largest of Fashion-MNIST has 26 MB.
DOWNLOAD_BYTES = 100_000_000
