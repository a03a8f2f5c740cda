from tools.runtime.oip_http import *
