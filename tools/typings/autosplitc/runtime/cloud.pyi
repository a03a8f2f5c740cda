from tools.runtime.cloud import *
