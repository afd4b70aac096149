"""Distribution `weightspace`: the framework, the first-party plugins and their entry points."""

from setuptools import find_packages, setup

CORE = [
    # 2.6 is the first that loads checkpoints with weights_only by default; below 2.7, since a minor release may rename
    # the parts of its loops that we use and that are not public
    "lightning>=2.6,<2.7",
    "torch>=2.10",  # oldest whose inductor compiles the fitter's step
    "torchmetrics>=1.7",
    "omegaconf>=2.4",  # jsonargparse's "omegaconf+" mode
    "jsonargparse[omegaconf,signatures]~=4.53.0",  # cli/class_paths.py and others replace functions within it
    "numpy>=1.26",
    "scipy>=1.11.1",  # 1.11.0 is withdrawn
    "lapx>=0.11",  # the first with lapjvr_batch
    "tensorboard>=2.16.2",  # earlier 2.16 install a nightly tensorflow
    "fsspec[http]>=2024.2",  # lightning has it too: checkpoints from addresses
    "safetensors>=0.5",
    "PyYAML>=6",
    "rich>=13",
    "matplotlib>=3.9",  # the names of boxes in a plot are tick_labels
]
DATA = [
    "scikit-learn>=1.4",
    "requests>=2.30",  # takes urllib3 2, which notices a connection that is closed before the end
    "pillow>=10.3",  # earlier ones misread some pictures of 16 bits
]
SHAPES = [
    "scikit-image>=0.22",
    "trimesh>=4.7",  # earlier ones ask for chardet where an STL file was cut
    "libigl>=2.6",  # the first with these names and types of arguments
]
COMPLETION = ["argcomplete>=3.5"]
CLUSTER = ["submitit>=1.5"]
DOCS = ["mkdocs-material>=9.7", "mkdocstrings[python]>=1.0", "ruff"]
TEST = [
    "pytest>=8",
    "hypothesis>=6.100",
    "pytest-cov>=7",
    "pytest-timeout>=2.3",
    "pytest-xdist>=3.6",
    "ruff",
    "mypy",
    "types-PyYAML",
    "build",
]

setup(
    name="weightspace",
    version="0.1.0",
    description="Networks that learn from the weights of other networks, with augmentations as plugins",
    long_description=open("README.md", encoding="utf-8").read(),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    packages=[*find_packages("framework"), *find_packages("plugins", include=["weightspace_plugins*"])],
    package_dir={
        "weightspace": "framework/weightspace",
        "weightspace_plugins": "plugins/weightspace_plugins",
    },
    package_data={
        "weightspace": ["py.typed", "testing/template/**"],
        "weightspace_plugins": ["py.typed"],
    },
    install_requires=CORE,
    extras_require={
        "data": DATA,
        "shapes": SHAPES,
        "completion": COMPLETION,
        "cluster": CLUSTER,
        "docs": DOCS,
        "test": DATA + SHAPES + COMPLETION + CLUSTER + TEST,
    },
    entry_points={
        "console_scripts": ["weightspace = weightspace.cli.main:main"],
        "weightspace.augmentations": [
            "rotate = weightspace_plugins.geometry:Rotate",
            "translate = weightspace_plugins.geometry:Translate",
            "scale = weightspace_plugins.geometry:Scale",
            "gaussian_noise = weightspace_plugins.noise:GaussianNoise",
            "dropout = weightspace_plugins.noise:Dropout",
            "quantile_mask = weightspace_plugins.noise:QuantileMask",
            "permute = weightspace_plugins.symmetry:Permute",
            "sign_flip = weightspace_plugins.symmetry:SignFlip",
            "phase_shift = weightspace_plugins.symmetry:PhaseShift",
            "positive_scale = weightspace_plugins.symmetry:PositiveScale",
            "label_smoothing = weightspace_plugins.labels:LabelSmoothing",
            "mixup = weightspace_plugins.mixup:MixUp",
            "mixup_permuted = weightspace_plugins.mixup:MixUpPermuted",
            "mixup_aligned = weightspace_plugins.mixup:MixUpAligned",
            "mixup_aligned_permuted = weightspace_plugins.mixup:MixUpAlignedPermuted",
            "self_mixup = weightspace_plugins.mixup:SelfMixUp",
            "one_of = weightspace_plugins.compose:OneOf",
            "some_of = weightspace_plugins.compose:SomeOf",
            "repeat = weightspace_plugins.compose:Repeat",
        ],
        "weightspace.backbones": [
            "Canonical = weightspace.backbones.canonical:Canonical",
            "DWS = weightspace.backbones.dws:DWS",
            "GNN = weightspace.backbones.gnn:GNN",
            "GraphTransformer = weightspace.backbones.graph_transformer:GraphTransformer",
            "GridCNN = weightspace.backbones.grid_cnn:GridCNN",
            "MLP = weightspace.backbones.mlp:MLP",
            "PhaseGNN = weightspace.backbones.phase_gnn:PhaseGNN",
            "Probe = weightspace.backbones.probe:Probe",
            "ScaleGNN = weightspace.backbones.scale_gnn:ScaleGNN",
            "Statistics = weightspace.backbones.statistics:Statistics",
        ],
        "weightspace.edits": [
            "blur = weightspace_plugins.edits:blur",
            "contrast = weightspace_plugins.edits:contrast",
            "dilation = weightspace_plugins.edits:dilation",
            "erosion = weightspace_plugins.edits:erosion",
            "sharpen = weightspace_plugins.edits:sharpen",
        ],
        "weightspace.sources": [
            "digits = weightspace.sources.digits:digits",
            "idx = weightspace.sources.idx:idx",
            "cifar10 = weightspace.sources.cifar10:cifar10",
            "cifar100 = weightspace.sources.cifar100:cifar100",
            "classifiers = weightspace.sources.classifiers:classifiers",
            "cnns = weightspace.sources.cnns:cnns",
            "clip-art = weightspace.sources.clip_art:clip_art",
            "images = weightspace.sources.images:images",
            "meshes = weightspace.sources.solids.meshes:meshes",
            "furniture = weightspace.sources.solids.furniture.source:furniture",
            "shapes = weightspace.sources.solids.shapes:shapes",
            "fashion-mnist = weightspace.sources.fashion_mnist:fashion_mnist",
            "mnist-5k = weightspace.sources.mnist_5k:mnist_5k",
            "silhouettes = weightspace.sources.silhouettes:silhouettes",
        ],
    },
)
