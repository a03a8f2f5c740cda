from tools.runtime.client_settings import *
