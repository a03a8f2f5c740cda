"""What the paper prints: A. Banitalebi-Dehkordi et al., "Auto-Split: A General Framework of Collaborative Edge-Cloud AI", KDD 2021.

Ratios are end-to-end latencies against Cloud-Only (raw input at 8 bits, 3 Mbps); sizes in MB; accuracies as shares.
"""

from __future__ import annotations

DECISIONS = {
    "resnet18": "edge-only",
    "resnet50": "split",
    "googlenet": "split",
    "resnext50": "cloud-only",
    "mobilenet-v2": "edge-only",
    "mnasnet": "edge-only",
    "yolov3-tiny": "split",
    "yolov3": "split",
    "yolov3-spp": "split",
    "faster-rcnn": "cloud-only",
}
"""Fig. 6: at accuracy drops of 5 % (classification) and 10 % (detection)."""

RATIOS = {"resnet50": "0.43", "yolov3": "0.37"}
"""Figs. 5 and 6 at those drops, where the text has the figure."""

FASTER_THAN = {"u8": 0.25, "qdmp": 0.40, "neurosurgeon": 0.47, "cloud-only": 0.70}
"""Fig. 6: how much faster Auto-Split is in the mean."""

TRADE_OFF = {
    "resnet50": ((0.0, 1.00), (0.01, 0.57), (0.05, 0.43), (0.10, 0.43)),
    "yolov3": ((0.0, 1.00), (0.10, 0.37), (0.20, 0.32), (0.50, 0.24)),
}
"""Fig. 5: (accuracy drop, ratio)."""

EDGE_MODELS = {
    "googlenet": ("18", 0.4, 3.5, 0.44),
    "resnet50": ("12", 0.9, 50.0, 12.5),
    "yolov3-spp": ("1", 1.3, 99.0, 22.2),
    "yolov3-tiny": ("7", 8.8, 18.2, 4.44),
    "yolov3": ("33", 13.3, 118.0, 29.6),
}
"""Table 2: split index, MB of the edge model of Auto-Split, QDMP_E, QDMP_E+U4."""

COMPRESSION = (
    ("raw", "1", 1.0, 0.39),
    ("lossless", "2", 0.56, 0.39),
    ("JPEG q80", "5", 0.23, 0.38),
    ("JPEG q60", "8", 0.15, 0.35),
    ("JPEG q40", "10", 0.13, 0.29),
    ("JPEG q20", "17", 0.09, 0.22),
    ("split, lossless", "15", 0.08, 0.35),
)
"""Table 7, YOLOv3 at 416 x 416: what is sent, how many times less, ratio, mAP."""

BANDWIDTH = {
    "yolov3": ((1, "0.26", "0.37"), (3, "0.37", "0.37"), (10, "0.83", "0.34"), (20, "0.75", "0.25")),
    "yolov3-spp": ((20, "0.71", "0.37"),),
}
"""Table 8: Mbps, ratio, mAP (Cloud-Only: 0.39, YOLOv3-spp 0.41)."""

HEADS = {"yolov3-tiny": (16, 23), "yolov3": (82, 94, 106), "yolov3-spp": (89, 101, 113), "faster-rcnn": (10, 23, 42, 52)}
"""Table 9: indices of the layers that the heads collect."""

LATE_VOLUMES = (("layer4.0.conv3", 100_352), ("layer4.1.conv3", 100_352), ("layer4.2.conv3", 100_352), ("fc", 1_000))
"""Table 10, ResNet-50: elements that cross behind a layer; the input has 150,528."""

EARLY_INDEX, LATE_INDEX = 12, 53
"""Fig. 7, ResNet-50."""
