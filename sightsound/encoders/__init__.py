"""Encoders by modality and name. A dotted path to your own class works in place of a name."""

from sightsound.encoders.audio import BiLstm, ConvNet
from sightsound.encoders.base import Encoder
from sightsound.encoders.image import Cnn, ResNet

ENCODERS: dict[str, dict[str, type[Encoder]]] = {
    "image": {"resnet": ResNet, "cnn": Cnn},
    "audio": {"convnet": ConvNet, "bilstm": BiLstm},
}
