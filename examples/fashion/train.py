"""Train the `zoo:fashion` example on Fashion-MNIST and write its ONNX file and data: see README.md beside this file.

Writes `fashion.onnx`, `calib.npz` (training images) and `eval.npz` (test images with labels) into `--out`.
One seed and one thread: a second run on the same machine and library versions gives the same bytes.
"""

import argparse
import gzip
import hashlib
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

SIDE = 28
CLASSES = 10
PIXEL_SCALE = 1 / 255  # the network trains on [0, 1]; export multiplies the stem's weights by this, so that the file takes raw pixels
CLIP = 6.0  # upper end of the waist's activation (ReLU6)
WAIST = "waist/clip"  # the one tensor that crosses from the part before the waist to the part after it
CALIB_IMAGES = 256
EVAL_IMAGES = 2000
OPSET = 17


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read a gzipped IDX file of bytes: a 4-byte magic ending in the rank, one big-endian u32 per dimension, the data."""
    raw = gzip.decompress(path.read_bytes())
    rank = raw[3]
    shape = np.frombuffer(raw, dtype=">u4", count=rank, offset=4)
    return np.frombuffer(raw, dtype=np.uint8, offset=4 + 4 * rank).reshape(tuple(int(d) for d in shape))


def load_split(data: Path, prefix: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images [N,1,28,28] and labels [N] of the split whose files start with `prefix` (`train` or `t10k`)."""
    images = read_idx(data / f"{prefix}-images-idx3-ubyte.gz")
    labels = read_idx(data / f"{prefix}-labels-idx1-ubyte.gz")
    return images[:, None], labels.astype(np.int64)


class OnnxBuilder:
    """Collects nodes and initializers; every node's result is named after the node."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def constant(self, name: str, value: Tensor) -> str:
        self.initializers.append(numpy_helper.from_array(value.detach().numpy().astype(np.float32), name))
        return name

    def add(self, op: str, name: str, *inputs: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=name, **attributes))
        return name


class ConvBn(nn.Module):
    """Convolution without bias, batch normalisation; `same` padding at stride 1, half the side at stride 2."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x))

    def export(self, onnx_graph: OnnxBuilder, x: str, name: str, suffix: str = "", scale: float = 1.0) -> str:
        conv, bn = f"{name}/conv{suffix}", f"{name}/bn{suffix}"
        k, s = self.conv.kernel_size[0], self.conv.stride[0]
        weight = onnx_graph.constant(f"{conv}/weight", self.conv.weight * scale)
        x = onnx_graph.add("Conv", conv, x, weight, kernel_shape=[k, k], strides=[s, s], pads=[k // 2] * 4)
        parts = {"scale": self.bn.weight, "bias": self.bn.bias, "mean": self.bn.running_mean, "var": self.bn.running_var}
        names = [onnx_graph.constant(f"{bn}/{part}", value) for part, value in parts.items()]
        return onnx_graph.add("BatchNormalization", bn, x, *names, epsilon=self.bn.eps)


class Block(nn.Module):
    """Basic residual block: relu(x + bn(conv(relu(bn(conv(x))))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvBn(channels, channels, 3)
        self.second = ConvBn(channels, channels, 3)
        nn.init.zeros_(self.second.bn.weight)  # the block starts as the identity, which makes a short schedule converge

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.second(functional.relu(self.first(x))))

    def export(self, onnx_graph: OnnxBuilder, x: str, name: str) -> str:
        y = onnx_graph.add("Relu", f"{name}/relu1", self.first.export(onnx_graph, x, name, "1"))
        y = self.second.export(onnx_graph, y, name, "2")
        return onnx_graph.add("Relu", f"{name}/relu2", onnx_graph.add("Add", f"{name}/add", y, x))


class Network(nn.Module):
    """Light stages to 7x7, a waist of 8x7x7 values, then the heavy stage and the classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvBn(1, 16, 5, stride=2)
        self.stage1 = Block(16)
        self.down = ConvBn(16, 24, 3, stride=2)
        self.stage2 = Block(24)
        self.waist = ConvBn(24, 8, 1)
        self.widen = ConvBn(8, 64, 3)
        self.stage3 = nn.ModuleList([Block(64), Block(64)])
        self.classifier = nn.Linear(64, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stage1(functional.relu(self.stem(x)))
        x = self.stage2(functional.relu(self.down(x)))
        x = self.waist(x).clamp(0.0, CLIP)
        if self.training:  # uniform noise one 4-bit step wide: the heavy stage learns to read a quantised waist
            x = x + (torch.rand_like(x) - 0.5) * (CLIP / 15)
        x = functional.relu(self.widen(x))
        for block in self.stage3:
            x = block(x)
        return self.classifier(x.mean((2, 3)))

    def export(self) -> onnx.ModelProto:
        """The trained network as ONNX: `image` f32 [N,1,28,28] of raw pixels (0 to 255) -> `logits` f32 [N,10]."""
        g = OnnxBuilder()
        x = g.add("Relu", "stem/relu", self.stem.export(g, "image", "stem", scale=PIXEL_SCALE))
        x = self.stage1.export(g, x, "stage1/block0")
        x = g.add("Relu", "down/relu", self.down.export(g, x, "down"))
        x = self.stage2.export(g, x, "stage2/block0")
        low, high = g.constant("waist/clip/min", torch.tensor(0.0)), g.constant("waist/clip/max", torch.tensor(CLIP))
        x = g.add("Clip", WAIST, self.waist.export(g, x, "waist"), low, high)
        x = g.add("Relu", "widen/relu", self.widen.export(g, x, "widen"))
        for index, block in enumerate(self.stage3):
            x = block.export(g, x, f"stage3/block{index}")
        x = g.add("Flatten", "head/flatten", g.add("GlobalAveragePool", "head/pool", x), axis=1)
        weight = g.constant("head/fc/weight", self.classifier.weight)
        bias = g.constant("head/fc/bias", self.classifier.bias)
        g.nodes.append(helper.make_node("Gemm", [x, weight, bias], ["logits"], name="head/fc", transB=1))
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, SIDE, SIDE])
        logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", CLASSES])
        graph = helper.make_graph(g.nodes, "fashion", [image], [logits], g.initializers)
        model = helper.make_model(graph, producer_name="autosplitc", opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        return model


def augment(images: Tensor) -> Tensor:
    """Mirror half the images and shift each by up to 2 pixels, filling with black; u8 [B,1,28,28] -> f32 in [0, 1]."""
    count, pad = images.shape[0], 2
    padded = functional.pad(images[:, 0], (pad, pad, pad, pad))
    line = torch.arange(SIDE)
    rows = torch.randint(0, 2 * pad + 1, (count, 1)) + line
    columns = torch.where(torch.rand(count, 1) < 0.5, line.flip(0), line) + torch.randint(0, 2 * pad + 1, (count, 1))
    return padded[torch.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]][:, None].float() * PIXEL_SCALE


def train(images: NDArray[np.uint8], labels: NDArray[np.int64], epochs: int, seed: int) -> Network:
    """SGD with Nesterov momentum under a one-cycle learning rate, cross-entropy with light label smoothing, in f32."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    network = Network().to(memory_format=torch.channels_last)
    x, y, batch = torch.from_numpy(images.copy()), torch.from_numpy(labels), 128
    steps = len(x) // batch
    optimizer = torch.optim.SGD(network.parameters(), lr=0.2, momentum=0.9, weight_decay=5e-4, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.2, total_steps=epochs * steps, pct_start=0.25)
    for epoch in range(epochs):
        start, total = time.perf_counter(), 0.0
        order = torch.randperm(len(x))
        for step in range(steps):
            picked = order[step * batch : (step + 1) * batch]
            loss = functional.cross_entropy(network(augment(x[picked])), y[picked], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1}/{epochs}: loss {total / steps:.4f}, {time.perf_counter() - start:.0f} s", flush=True)
    return network.eval()


def run(model: onnx.ModelProto, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The model's one result on `values`, its one input, through ONNX Runtime."""
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: values[i : i + 500]})[0] for i in range(0, len(values), 500)])


def report_accuracy(model: onnx.ModelProto, calib: NDArray[np.uint8], images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
    """Print the accuracy of the ONNX file, and with the waist rounded to 2^bits levels from 0 to its largest value on `calib`."""
    extractor = onnx.utils.Extractor(onnx.shape_inference.infer_shapes(model))
    before, after = extractor.extract_model(["image"], [WAIST]), extractor.extract_model([WAIST], ["logits"])
    top = run(before, calib.astype(np.float32)).max()
    waist = run(before, images.astype(np.float32))
    cases = {"f32": run(model, images.astype(np.float32))}
    for bits in (8, 4, 3, 2, 1):
        scale = top / (2**bits - 1)
        cases[f"{bits}-bit waist"] = run(after, (np.clip(np.rint(waist / scale), 0, 2**bits - 1) * scale).astype(np.float32))
    for name, logits in cases.items():
        hits = logits.argmax(1) == labels
        every, first = 100 * hits.mean(), 100 * hits[:EVAL_IMAGES].mean()
        print(f"{name}: {every:.2f} % of {len(hits)} test images, {first:.2f} % of the first {EVAL_IMAGES}")


def report_layers(model: onnx.ModelProto) -> None:
    """Print one table row per node: result shape for one image, parameters, multiply-accumulates, values in the result."""
    inferred = onnx.shape_inference.infer_shapes(model).graph.value_info
    shapes = {value.name: [d.dim_value for d in value.type.tensor_type.shape.dim][1:] for value in inferred}
    shapes["logits"] = [CLASSES]
    sizes = {t.name: int(np.prod(t.dims)) for t in model.graph.initializer}
    for node in model.graph.node:
        values, parameters = int(np.prod(shapes[node.output[0]])), sum(sizes.get(name, 0) for name in node.input)
        weight = next((t for t in model.graph.initializer if t.name == f"{node.name}/weight"), None)
        macs = values * int(np.prod(weight.dims[1:])) if weight else 0
        shape = "x".join(map(str, shapes[node.output[0]]))
        print(f"| {node.name} | {node.op_type} | {shape} | {parameters:,} | {macs:,} | {values:,} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder for the three files")
    parser.add_argument("--data", type=Path, default=Path("/usr/share/datasets/fashion-mnist"), help="folder of the four .gz files")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    images, labels = load_split(args.data, "train")
    test_images, test_labels = load_split(args.data, "t10k")
    args.out.mkdir(parents=True, exist_ok=True)
    calib = images[:CALIB_IMAGES]
    np.savez_compressed(args.out / "calib.npz", image=calib)
    np.savez_compressed(args.out / "eval.npz", image=test_images[:EVAL_IMAGES], labels=test_labels[:EVAL_IMAGES])
    model = train(images, labels, args.epochs, args.seed).export()
    content = model.SerializeToString(deterministic=True)
    (args.out / "fashion.onnx").write_bytes(content)
    report_layers(model)
    report_accuracy(model, calib, test_images, test_labels)
    print(f"fashion.onnx: {len(content):,} bytes, sha256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
