from tools.runtime.oip_server import *
