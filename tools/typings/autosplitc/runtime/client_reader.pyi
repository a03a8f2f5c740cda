from tools.runtime.client_reader import *
