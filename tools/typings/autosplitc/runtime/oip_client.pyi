from tools.runtime.oip_client import *
