from tools.runtime.oip_service import *
