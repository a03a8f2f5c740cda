from tools.runtime.export_device import *
