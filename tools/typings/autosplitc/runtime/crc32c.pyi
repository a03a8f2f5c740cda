from tools.runtime.crc32c import *
