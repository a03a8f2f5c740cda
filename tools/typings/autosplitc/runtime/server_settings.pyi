from tools.runtime.server_settings import *
