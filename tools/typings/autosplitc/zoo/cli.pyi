from tools.zoo.cli import *
